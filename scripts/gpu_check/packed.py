"""Packages for a machine that can fetch none: archives in pieces, unpacked where they arrive.

A part, such as the service, is one archive `tar.xz`; its pieces are files named
`PART-pyVERSION.NUMBER-of-COUNT`. Needs the standard library alone.
"""

from __future__ import annotations

import lzma
import re
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

#: Where pieces lie, on both machines.
FOLDER = Path(__file__).resolve().parents[2] / "build" / "gpu_pack"
_UNPACKED = "unpacked"
_PIECE = re.compile(r"(\w+)-py([\d.]+)\.(\d+)-of-(\d+)")


def piece_name(part: str, python: str, number: int, count: int) -> str:
    """Name of one piece of a part that was packed for a Python, such as `3.12`."""
    return f"{part}-py{python}.{number}-of-{count}"


def unpack(folder: Path) -> tuple[list[Path], dict[str, str]]:
    """Unpack each part whose pieces are all there, unless that was done before.

    Args:
        folder: Where the pieces lie; may be missing.

    Returns:
        Folders to import from, and for each part that has none, why not.
    """
    found: list[Path] = []
    reasons: dict[str, str] = {}
    for part, pieces in _find(folder).items():
        try:
            found.append(_unpack(part, pieces, folder / _UNPACKED))
        except (_Unfit, OSError, EOFError, lzma.LZMAError, tarfile.TarError) as fault:
            reasons[part] = str(fault)
    return found, reasons


class _Unfit(Exception):
    """A part that is not whole, or is for another Python."""


def _find(folder: Path) -> dict[str, list[re.Match[str]]]:
    """The pieces of each part, in no order."""
    parts: dict[str, list[re.Match[str]]] = {}
    for file in sorted(folder.glob("*")):
        piece = _PIECE.fullmatch(file.name)
        if piece is not None:
            parts.setdefault(piece[1], []).append(piece)
    return parts


def _unpack(part: str, pieces: list[re.Match[str]], into: Path) -> Path:
    """The folder of a part."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    fit = [piece for piece in pieces if piece[2] == here]
    if not fit:
        raise _Unfit(f"packed for Python {pieces[0][2]}, and this is {here}")
    count = int(fit[0][4])
    files = [into.parent / piece_name(part, here, n + 1, count) for n in range(count)]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise _Unfit(f"{', '.join(missing)} is missing")
    unpacked = into / f"{part}-{max(file.stat().st_mtime_ns for file in files)}"
    if not unpacked.is_dir():
        into.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=into) as folder, tempfile.TemporaryFile() as whole:
            for file in files:
                with file.open("rb") as piece:
                    shutil.copyfileobj(piece, whole)
            whole.seek(0)
            with lzma.open(whole) as archive, tarfile.open(fileobj=archive, mode="r|") as tar:
                tar.extractall(Path(folder) / part, filter="data")
            (Path(folder) / part).rename(unpacked)
    return unpacked
