"""The pictures of tasks in a storage, and the marks of tasks that are being worked on.

Below `tasks/<id>/` lie `in` and `behind`, which a caller sent, `out`, which was made of them, and
`begun.<n>` while it is worked on. A mark that is found there is of a process that ended. `webhook`
lies there until the caller's server has been told.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Collection, Mapping

from service.blobs.blobs import Blobs, make_folder
from service.tasks.cipher import Cipher

_ROOT = "tasks"
_SECRET = "secrets/tasks"  # noqa: S105  # a path
_SECRET_BYTES = 32
_MARK = "begun."
_ANY = 2**40
# Of a disk, for the queue, for results of tasks that were accepted, and for whatever else is there.
_SPARE_BYTES = 200 * 1024**2
_RESULT_TIMES = 10


class TaskPictures:
    """What lies in the storage of tasks.

    Args:
        blobs: The storage.
        cipher: Encrypts the pictures; None where they lie as they are.

    Attributes:
        folder: Its folder; None of a bucket.
    """

    def __init__(self, blobs: Blobs, cipher: Cipher | None = None) -> None:
        self._blobs, self._cipher = blobs, cipher
        self.folder = blobs.folder
        self._secret = b""

    def make_place(self) -> None:
        """Make the folder, where it is one.

        Raises:
            OSError: If it cannot be made.
        """
        if self.folder is not None:
            make_folder(self.folder)

    async def secret(self) -> bytes:
        """A secret that all who share the storage share; made by whoever asks first."""
        if not self._secret:
            found = await self._blobs.read(_SECRET, _SECRET_BYTES)
            if found is None:
                await self._blobs.put(_SECRET, secrets.token_bytes(_SECRET_BYTES))
                found = await self._blobs.read(_SECRET, _SECRET_BYTES)
            self._secret = found or b""
        return self._secret

    async def keep(self, task_id: str, name: str, data: bytes) -> None:
        """Keep a file of a task."""
        path = f"{_ROOT}/{task_id}/{name}"
        if self._cipher is not None:
            data = await asyncio.to_thread(self._cipher.close, path, data)
        await self._blobs.put(path, data)

    async def read(self, task_id: str, name: str) -> bytes | None:
        """A file of a task; None if it is not there."""
        path = f"{_ROOT}/{task_id}/{name}"
        data = await self._blobs.read(path, _ANY)
        if data is None or self._cipher is None:
            return data
        return await asyncio.to_thread(self._cipher.open, path, data)

    def check_room(self, n_bytes: int) -> None:
        """Refuse a picture of so many bytes where it, and what is made of it, may not fit.

        Raises:
            StorageFull: If the disk has no room; a bucket is not asked.
        """
        self._blobs.check_room(_SPARE_BYTES + _RESULT_TIMES * n_bytes)

    async def mark(self, task_id: str, number: int) -> None:
        """Note that a task is being worked on for the n-th time."""
        await self._blobs.put(f"{_ROOT}/{task_id}/{_MARK}{number}", b"")

    async def unmark(self, task_id: str, number: int) -> None:
        """Note that nothing ended while it was."""
        await self._blobs.delete(f"{_ROOT}/{task_id}/{_MARK}{number}")

    async def marks(self, task_id: str) -> int:
        """How many times something ended while a task was worked on."""
        files = await self._blobs.all_in(f"{_ROOT}/{task_id}")
        return sum(_MARK in file.path for file in files)

    async def drop(self, task_id: str, name: str) -> None:
        """Delete a file of a task, if it is there."""
        await self._blobs.delete(f"{_ROOT}/{task_id}/{name}")

    async def forget(self, task_id: str, keep: Collection[str] = ()) -> None:
        """Delete all files of a task, but for some."""
        for file in await self._blobs.all_in(f"{_ROOT}/{task_id}"):
            if file.path.rsplit("/", 1)[1] not in keep:
                await self._blobs.delete(file.path)

    async def all_tasks(self) -> Mapping[str, int]:
        """Bytes that lie there, by task."""
        sizes: dict[str, int] = defaultdict(int)
        for file in await self._blobs.all_in(_ROOT):
            sizes[file.path.split("/")[1]] += file.n_bytes
        return sizes

    async def notes(self) -> list[str]:
        """What is wrong with the storage."""
        return await self._blobs.notes()
