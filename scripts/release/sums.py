"""What lies in the folder of a release, and its checksums as `sha256sum` reads them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from scripts.command import Unusable

SUMS = "SHA256SUMS"


def write_sums(folder: Path) -> None:
    """Write the checksums of all that lies in a folder."""
    files = sorted(file for file in folder.iterdir() if file.name != SUMS)
    (folder / SUMS).write_text("".join(f"{_sum(file)}  {file.name}\n" for file in files))


def verify(folder: Path) -> None:
    """Compare a folder with its checksums.

    Raises:
        Unusable: If a file is another, is missing, or is not named.
        OSError: If there are no checksums.
    """
    lines = (line.partition("  ") for line in (folder / SUMS).read_text().splitlines())
    named = {name: digest for digest, _, name in lines}
    there = {file.name for file in folder.iterdir()} - {SUMS}
    wrong = {name for name in named.keys() & there if _sum(folder / name) != named[name]}
    if unlike := sorted(wrong | (named.keys() ^ there)):
        raise Unusable(f"{folder}: not as {SUMS} says: {', '.join(unlike)}")


def the_one(folder: Path, form: str) -> Path:
    """The one file of a folder with such a name.

    Raises:
        Unusable: If there is none, or are several.
    """
    found = list(folder.glob(form))
    if len(found) != 1:
        raise Unusable(f"{folder} has {len(found)} files {form}, and should have one")
    return found[0]


def _sum(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
