"""Whether a `.env` can be read as what its author meant; else one sentence for each fault.

A file that is passed over in silence loses every setting in it, and a line that is passed over
loses one. Both happen: a folder where Docker found no file, a file in latin-1, `NAME: value`.
"""

from __future__ import annotations

import codecs
import os
from io import StringIO
from pathlib import Path

from dotenv.parser import parse_stream

_UTF_8 = "utf-8-sig"  # with or without a byte order mark


def env_file_faults(file: Path) -> list[str]:
    """What keeps a file of `NAME=value` lines from being read in full; nothing if it is absent.

    Args:
        file: The file; UTF-8, or UTF-16 with its byte order mark, as PowerShell writes it.

    Returns:
        One sentence for each fault.
    """
    if not os.path.lexists(file):
        return []
    try:
        if file.exists() and not file.is_file():
            kind = "a folder" if file.is_dir() else "a pipe or a device"
            return [f"{file} is {kind}, not a file of settings; remove or rename it"]
        data = file.read_bytes()
    except OSError as refused:
        return [f"{file} cannot be read ({refused.strerror})"]
    try:
        text = data.decode(_encoding(data))
    except UnicodeDecodeError as wrong:
        line = data.count(b"\n", 0, wrong.start) + 1
        return [f"{file} is not UTF-8 in line {line}; save it as UTF-8"]
    if "\0" in text:
        return [f"{file} is not UTF-8, it has zero bytes in it; save it as UTF-8"]
    return [
        f"{file}, line {one.original.line}: not of the form NAME=value"
        for one in parse_stream(StringIO(text))
        if one.error or (one.key is not None and one.value is None)
    ]


def env_file_encoding(file: Path) -> str:
    """How the text of a file is encoded, by its first bytes; UTF-8 if there is no such file."""
    return _encoding(file.read_bytes()) if file.is_file() else _UTF_8


def _encoding(data: bytes) -> str:
    return "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else _UTF_8
