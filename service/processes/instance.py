"""A private folder for each running instance: its sockets and its metric files.

It lies where no cleaner of temporary files goes, nobody but the service's own user may enter it,
and whatever a killed instance has left behind is removed by the next one that starts.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from service.errors import CannotStart

_PREFIX = "b-"
_LOCK = "lock"
# What the path of a Unix socket may have at most, and what BentoML appends to ours.
_MAX_SOCKET_PATH = 102
_SOCKET_NAME = f"/{_PREFIX}12345678/bentoml-uds-12345678/18446744073709551615.sock"


@dataclass(frozen=True)
class Instance:
    """One running instance's folder.

    Attributes:
        folder: The folder, absolute.
        lock: Held for as long as the process lives; the kernel frees it when the process is killed.
    """

    folder: Path
    lock: FileLock

    def remove(self) -> None:
        """Give the folder back."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.lock.release()


def open_instance(parents: Sequence[Path]) -> Instance:
    """Make a folder in the first place that will do, and remove what dead instances left there.

    Args:
        parents: Folders to try, the best one first; made if they are not there.

    Raises:
        CannotStart: With one sentence, if none of them will do.
    """
    faults = []
    for parent in (folder.absolute() for folder in parents):
        if len(os.fsencode(parent)) + len(_SOCKET_NAME) > _MAX_SOCKET_PATH:
            faults.append(f"{parent} is too long for the path of a socket")
            continue
        try:
            _make_private(parent)
            with FileLock(parent / _LOCK):  # else a folder could be swept before it is locked
                _sweep(parent)
                folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
                lock = FileLock(folder / _LOCK)
                lock.acquire(timeout=0)
        except OSError as refused:
            faults.append(f"{parent}: {refused.strerror or refused}")
        else:
            return Instance(folder, lock)
    raise CannotStart(
        f"no place for its sockets: {'; '.join(faults)}; "
        "set BIREFNET_CACHE_DIR to a short, writable path"
    )


def _make_private(folder: Path) -> None:
    """Make a folder that only we may enter, or make sure that it is one."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    seen = folder.lstat()
    if not stat.S_ISDIR(seen.st_mode) or (hasattr(os, "geteuid") and seen.st_uid != os.geteuid()):
        raise OSError(f"{folder} belongs to somebody else")
    folder.chmod(0o700)


def _sweep(parent: Path) -> None:
    """Remove the folders whose lock nobody holds any more."""
    for folder in parent.glob(f"{_PREFIX}*"):
        lock = FileLock(folder / _LOCK)
        with contextlib.suppress(OSError, Timeout):
            lock.acquire(timeout=0)
            shutil.rmtree(folder, ignore_errors=True)
            lock.release()
