"""The file of API keys: read, changed by one writer at a time, and read again once it changed."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from models.artifacts import replacing
from service.access.keys import KeyEntry, KeyRing

log = logging.getLogger(__name__)

_CHECKED_EVERY_S = 1.0


class BrokenKeyFile(Exception):
    """The file of keys cannot be used; the message is a sentence without any of its content."""


class _Content(BaseModel):
    """What the file holds, as JSON."""

    model_config = ConfigDict(extra="forbid")

    keys: list[KeyEntry]


def read_key_file(file: Path) -> list[KeyEntry]:
    """Every key of a file, revoked ones among them.

    Raises:
        BrokenKeyFile: If it cannot be read, is no such file, or names an id twice.
    """
    try:
        keys = _Content.model_validate_json(file.read_bytes()).keys
    except OSError as fault:
        raise BrokenKeyFile(f"{file} cannot be read ({fault.strerror})") from fault
    except ValidationError as invalid:
        first = invalid.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise BrokenKeyFile(
            f"{file} is no file of API keys ({f'{place}: ' if place else ''}{first['msg']})"
        ) from None  # the cause would show what the file holds
    if len({key.id for key in keys}) < len(keys):
        raise BrokenKeyFile(f"{file} has two keys of one id")
    return keys


@contextmanager
def changing(file: Path) -> Iterator[list[KeyEntry]]:
    """Change the keys of a file, made if need be; no two processes do at once.

    Yields:
        Its keys, to be changed in place; written when the block ends without a fault, whole or not
        at all, readable by the file's owner alone.

    Raises:
        BrokenKeyFile: If it cannot be read.
    """
    with FileLock(f"{file}.lock", mode=0o600):
        before = file.stat() if file.exists() else None
        keys = read_key_file(file) if before else []
        yield keys
        with replacing(file) as unfinished:
            unfinished.touch(mode=0o600)
            unfinished.write_text(_Content(keys=keys).model_dump_json(indent=2) + "\n")
            if before and os.geteuid() == 0:  # the service that reads it may be another user
                os.chown(unfinished, before.st_uid, before.st_gid)


class KeyFile:
    """The keys of a file, read again within a second of its change.

    A file that cannot be used any more changes nothing: the last good keys count until it can.

    Args:
        file: Where it is.
        clock: Seconds, never backwards.

    Attributes:
        fault: Why the file as it is now is not used, or None.
    """

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._file, self._clock = file, clock
        self._ring = KeyRing()
        self._version: tuple[int, ...] | None = ()  # of no file
        self._checked_at = float("-inf")
        self.fault: str | None = None

    def find(self, shown: str) -> KeyEntry | None:
        """The entry of a key that somebody shows, or None."""
        self.refresh()
        return self._ring.find(shown)

    def refresh(self) -> None:
        """Read the file again if it changed, and if it was not asked just now."""
        if self._clock() - self._checked_at < _CHECKED_EVERY_S:
            return
        self._checked_at = self._clock()
        version = _version_of(self._file)
        if version == self._version:
            return
        self._version = version
        try:
            self._ring = KeyRing(read_key_file(self._file))
        except BrokenKeyFile as broken:
            self.fault = "the file of API keys cannot be used; the last good keys count"
            log.warning("BIREFNET_KEYS_FILE: %s; the last good keys count", broken)
        else:
            self.fault = None
            log.info("API keys were read from %s", self._file)


def _version_of(file: Path) -> tuple[int, ...] | None:
    """What differs once a file was written anew; None if it is not there."""
    try:
        now = file.stat()
    except OSError:
        return None
    return now.st_mtime_ns, now.st_size, now.st_ino
