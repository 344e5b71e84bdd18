"""Blobs: bytes under a path, in a folder or a bucket, written whole or not at all.

`obstore` speaks to all of them alike; it is imported when a storage is opened, since only one
process needs it. Paths are made by us, never by callers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shutil
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

from service.blobs.errors import StorageFull, StorageUnavailable
from service.errors import ServiceError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

log = logging.getLogger(__name__)

T = TypeVar("T")

_TIMEOUT_S = 20.0
_CHECK_TIMEOUT_S = 2.0
_CHECK_EVERY_S = 10.0
_FULL_S = 600.0  # how long health tells of a full storage that nobody has written to since
_RETRY_S = 5
_LEFTOVER = re.compile(r".+#\d+")  # what a write that was cut off leaves in a folder
_LEFTOVER_S = 60.0
_BUCKET = re.compile(r"(s3|gs|az)://[^/@?#]+(/[^?#]*)?$")
_FULL = re.compile(r"os error (?:28|122)\b|507 Insufficient")  # ENOSPC, EDQUOT


class BadStorage(ValueError):
    """An address that no storage can be opened by; the message says why."""


@dataclass(frozen=True)
class Blob:
    """A blob that is there.

    Attributes:
        path: Its path.
        n_bytes: Its size.
    """

    path: str
    n_bytes: int


class Blobs:
    """A storage.

    Args:
        address: A folder, or `file://`, `s3://`, `gs://` or `az://` with a bucket and a prefix.
            Credentials are read of the environment, as each provider names them.

    """

    def __init__(self, address: str) -> None:
        self.folder = folder_of(address)
        self._address = address
        self._opened: ObjectStore | None = None
        self._checked = self._full = -_FULL_S
        self._fault = ""

    async def put(self, path: str, data: bytes) -> None:
        """Keep a new blob. Its path must be one nobody has used.

        Raises:
            StorageUnavailable: If it cannot be kept now.
            StorageFull: If there is no room for it.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError

        try:
            if self.folder is not None:
                await self._done(asyncio.to_thread(self._make_place, self.folder, path))
            # In one piece: of many pieces some would stay if we were killed.
            store = self._store()
            await self._done(
                obstore.put_async(store, path, data, mode="create", use_multipart=False)
            )
        except AlreadyExistsError:
            pass  # by a first try of the same write, whose answer was lost
        except FileNotFoundError as gone:
            raise storage_fault(gone) from gone
        except StorageFull:
            self._full = time.monotonic()
            raise
        if data:  # a full disk still takes empty files
            self._full = -_FULL_S
        if self.folder is not None:
            await self._done(asyncio.to_thread(_settle, self.folder / path))

    def check_room(self, n_bytes: int) -> None:
        """Refuse where the disk has no room for so many bytes; a bucket is not asked.

        Raises:
            StorageFull: If it has not.
        """
        if self.folder is None or not self.folder.is_dir():
            return
        if shutil.disk_usage(self.folder).free < n_bytes:
            self._full = time.monotonic()
            raise StorageFull

    async def read(self, path: str, most: int) -> bytes | None:
        """The first bytes of a blob, `most` at most; None where there is none.

        Raises:
            StorageUnavailable: If it cannot be read now.
        """
        import obstore

        try:
            return bytes(
                await self._done(obstore.get_range_async(self._store(), path, start=0, end=most))
            )
        except FileNotFoundError:
            await self._check_folder()
            return None

    async def all_in(self, folder: str) -> list[Blob]:
        """All blobs below a folder; what is being written is not among them.

        Raises:
            StorageUnavailable: If they cannot be listed now.
        """
        import obstore

        await self._check_folder()
        found = await self._done(obstore.list(self._store(), folder).collect_async())
        return [Blob(str(one["path"]), int(one["size"])) for one in found]

    async def delete(self, path: str) -> None:
        """Forget a blob, if it is there.

        Raises:
            StorageUnavailable: If it cannot be deleted now.
        """
        import obstore

        try:
            await self._done(obstore.delete_async(self._store(), path))
        except FileNotFoundError:
            return
        self._full = -_FULL_S

    async def notes(self) -> list[str]:
        """What is wrong with the storage, one sentence each; asks it a few times a minute."""
        now = time.monotonic()
        if now - self._checked > _CHECK_EVERY_S:
            self._checked, fault = now, ""
            try:
                async with asyncio.timeout(_CHECK_TIMEOUT_S):
                    await self.all_in("health")
            except (StorageUnavailable, TimeoutError):
                fault = "the storage does not answer"
            self._fault = fault
        full = ["the storage is full"] if now - self._full < _FULL_S else []
        return [*([self._fault] if self._fault else []), *full]

    def clean(self) -> int:
        """Remove what writes have left that were cut off; how much that was."""
        return 0 if self.folder is None else _clean(self.folder, "**/*#*")

    def _make_place(self, folder: Path, path: str) -> None:
        """Make the folders of a blob, for nobody else; what was left there goes."""
        self._refuse_missing_folder()
        try:
            for name in path.split("/")[:-1]:
                folder = folder / name
                folder.mkdir(mode=0o700, exist_ok=True)
            _clean(folder, "*#*")
        except OSError as refused:
            raise storage_fault(refused) from refused

    def _store(self) -> ObjectStore:
        """The storage, opened when it is first needed: it may be gone when the service starts."""
        if self._opened is None:
            try:
                self._opened = open_store(self._address)
            except BadStorage as refused:
                raise storage_fault(refused) from refused
        return self._opened

    async def _check_folder(self) -> None:
        if self.folder is not None:  # a missing one would be taken for an empty one
            await self._done(asyncio.to_thread(self._refuse_missing_folder))

    def _refuse_missing_folder(self) -> None:
        if self.folder is not None and not self.folder.is_dir():
            log.warning("the storage is gone: there is no folder %s", self.folder)
            raise StorageUnavailable(retry_after=_RETRY_S)

    async def _done(self, work: Awaitable[T]) -> T:
        """The result of a call, or an error of ours."""
        from obstore.exceptions import AlreadyExistsError

        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await work
        except (FileNotFoundError, AlreadyExistsError, ServiceError):
            raise
        except Exception as refused:  # obstore's own, and Python's for some
            raise storage_fault(refused) from refused


def folder_of(address: str) -> Path | None:
    """The folder that an address names; None of a bucket."""
    if "://" not in address:
        return Path(address).expanduser().absolute()
    parts = urlsplit(address)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def make_folder(folder: Path) -> None:
    """Make a storage's folder, which nobody else may enter.

    Raises:
        OSError: If it cannot be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):  # an operator's own; what we make in it is ours alone
        return
    folder.chmod(0o700)


def open_store(address: str, *, tries: int = 3, patience_s: float = _TIMEOUT_S / 2) -> ObjectStore:
    """Open a storage, without asking it anything.

    Args:
        address: As `Blobs` takes it.
        tries: How often a bucket is asked before it is taken not to answer.
        patience_s: Seconds after which it is not asked again.

    Raises:
        BadStorage: If there is no such folder, or no storage can be opened by the address.
    """
    from obstore.store import LocalStore, from_url

    folder = folder_of(address)
    if folder is None and not _BUCKET.match(address):
        raise BadStorage("it is neither a folder nor an address such as s3://bucket/prefix")
    retry: Any = {"max_retries": tries - 1, "retry_timeout": timedelta(seconds=patience_s)}
    try:
        if folder is not None:
            return LocalStore(folder)
        return from_url(address, retry_config=retry)
    except Exception as refused:  # whatever a provider's own rules are
        raise BadStorage(_sentence(refused)) from refused


def storage_fault(refused: Exception) -> ServiceError:
    """The error of ours for one of a storage, which the log tells of."""
    told = _sentence(refused)
    log.warning("the storage refused: %s", told)
    if _FULL.search(told) or getattr(refused, "errno", None) in (28, 122):
        return StorageFull()
    return StorageUnavailable(retry_after=_RETRY_S)


def _sentence(refused: Exception) -> str:
    """The first line of a fault, without what an address may carry of credentials."""
    first = (str(refused) or type(refused).__name__).splitlines()[0]
    return re.sub(r"\?\S+", "?...", first)[:300]


def _settle(file: Path) -> None:
    """For nobody else, and on the disk: a power failure must not take what we have confirmed."""
    with contextlib.suppress(OSError), file.open("rb") as written:  # one deletes it already
        os.fchmod(written.fileno(), 0o600)
        os.fsync(written.fileno())


def _clean(folder: Path, pattern: str) -> int:
    removed = 0
    for file in folder.glob(pattern):
        if not _LEFTOVER.fullmatch(file.name):
            continue
        try:
            if time.time() - file.stat().st_mtime > _LEFTOVER_S:
                file.unlink()
                removed += 1
        except OSError:  # gone, or not ours
            continue
    return removed
