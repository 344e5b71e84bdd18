"""Writes files so that each is there whole or not at all."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path


def write_whole(target: Path, data: bytes) -> None:
    """Write a file by another name and rename it.

    Args:
        target: Its name; what is there is replaced.
        data: Its bytes.

    Raises:
        OSError: If it cannot be written; nothing is left of it then.
    """
    part = target.parent / f".{secrets.token_hex(6)}.part"
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
            file.write(data)
        os.replace(part, target)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
