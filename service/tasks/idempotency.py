"""`Idempotency-Key`: the same request of the same caller, sent again, is the same task.

What a key stands for is a blob whose name is an HMAC of caller and key: from the storage nobody
can tell which keys there were. Those of one day lie in one folder, and go with it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass

from service.blobs.blobs import Blobs
from service.tasks.errors import IdempotencyConflict

_ROOT = "task-keys"
_DAY_S = 86_400
_KEEP_S = 86_400.0
_MOST_BYTES = 1024


@dataclass(frozen=True)
class _Entry:
    """What a key stands for: a task, what was asked for, and since when."""

    task_id: str
    content: str
    created: float


class IdempotencyKeys:
    """The keys of callers.

    Args:
        blobs: Where they are noted.
    """

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def task_id(self, secret: bytes, owner: str, key: str, content: bytes) -> str:
        """The task that a caller's key stands for: a new id, or the one it had before.

        Args:
            secret: Of the storage.
            owner: Stands for the caller.
            key: What the caller sent; untrusted.
            content: A digest of everything that is asked for.

        Raises:
            IdempotencyConflict: If it stands for a task that something else was asked for by.
            ServiceError: If the storage cannot be asked now.
        """
        name = _digest(secret, f"{owner}\0{key}".encode())
        told = _digest(secret, content)
        now = time.time()
        today = int(now // _DAY_S)
        for day in (today, today - 1):
            entry = await self._read(f"{_ROOT}/{day}/{name}")
            if entry is not None and abs(now - entry.created) < _KEEP_S:
                return _same(entry, told)
        entry = _Entry(secrets.token_hex(16), told, now)
        path = f"{_ROOT}/{today}/{name}"
        await self._blobs.put(path, json.dumps(vars(entry)).encode())
        return _same(await self._read(path) or entry, told)  # another request may have been first

    async def clean(self) -> None:
        """Forget the keys of days that are over."""
        today = int(time.time() // _DAY_S)
        for blob in await self._blobs.all_in(_ROOT):
            if int(blob.path.split("/")[1]) < today - 1:
                await self._blobs.delete(blob.path)

    async def _read(self, path: str) -> _Entry | None:
        found = await self._blobs.read(path, _MOST_BYTES)
        return None if found is None else _Entry(**json.loads(found))


def _same(entry: _Entry, content: str) -> str:
    if entry.content != content:
        raise IdempotencyConflict
    return entry.task_id


def _digest(secret: bytes, data: bytes) -> str:
    return hmac.new(secret, data, hashlib.sha256).hexdigest()
