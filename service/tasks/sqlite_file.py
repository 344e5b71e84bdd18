"""The file that SQLite keeps tasks in: whether there are any, and which process has which."""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
from pathlib import Path

from filelock import FileLock, Timeout


def holds_tasks(file: Path) -> bool:
    """Whether there may be tasks in it, finished ones too; found out without DBOS."""
    if not file.is_file():
        return False
    try:
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as asked:
            return asked.execute("SELECT 1 FROM workflow_status LIMIT 1").fetchone() is not None
    except sqlite3.Error:
        return True  # whoever opens it will say what is wrong


def take_number(file: Path) -> tuple[FileLock, str]:
    """A name that no other living process has: by the smallest number that is free.

    Whoever has a number goes on with the tasks of who had it before. The kernel frees it when a
    process is killed, also in another container on the same disk.

    Raises:
        OSError: If the file cannot be made.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # For nobody else; SQLite gives its journals the mode of the file.
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    for number in itertools.count():
        name = f"{file.name}.{number}.lock"
        lock = FileLock(file.with_name(name), mode=0o600, thread_local=False)
        with contextlib.suppress(Timeout):
            lock.acquire(timeout=0)
            return lock, f"here:{number}"
    raise AssertionError  # numbers do not end
