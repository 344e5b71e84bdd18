"""Which files the command's words mean, and what will be made of each."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from birefnet_client.command.arguments import Usage
from birefnet_client.folders import Job, plan, suffix_of
from birefnet_client.models import Options


def expand(words: Iterable[str]) -> list[str]:
    """Files and folders that words name: as they are, as a pattern, or in a list.

    Raises:
        Usage: If a pattern means nothing, or a list cannot be read.
    """
    return [name for word in words for name in _meant_by(word)]


def _meant_by(word: str) -> Iterator[str]:
    if os.path.lexists(word):
        yield word
    elif word.startswith("@"):
        yield from _listed(word[1:])
    elif glob.has_magic(word):
        found = sorted(glob.glob(word, recursive=True))
        if not found:
            raise Usage(f"{word}: there is no such file")
        yield from found
    else:
        yield word  # it is told with the others that there is none


def _listed(name: str) -> list[str]:
    """The lines of a list; `-` is what comes in."""
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as fault:
        raise Usage(f"@{name} cannot be read: {fault}") from fault
    return [line for line in text.splitlines() if line.strip()]


def jobs_of(names: Sequence[str], output: str | None, options: Options) -> list[Job]:
    """What is to be done.

    Args:
        names: Files and folders.
        output: File or folder for what is made; None for beside each file.
        options: What is made.

    Raises:
        Usage: If it cannot be done as it is said.
    """
    suffix = suffix_of(options)
    folders = [name for name in names if os.path.isdir(name)]
    if output is None:
        if folders:
            raise Usage(f"{folders[0]} is a folder: say with -o where its cutouts go")
        ending = "-mask" if options.get("output") == "mask" else "-cutout"
        return _planned(names, None, suffix, ending)
    if len(names) == 1 and not folders and _is_file_name(output):
        if Path(output).suffix.lower().replace(".jpeg", ".jpg") != suffix:
            raise Usage(f"-o {output}: what is made is {suffix}; see --format")
        return [Job(Path(names[0]), Path(output))]
    if os.path.exists(output) and not os.path.isdir(output):
        raise Usage(f"-o {output} is a file; for several pictures it must be a folder")
    for folder in folders:
        if os.path.realpath(folder) == os.path.realpath(output):
            raise Usage(f"-o {output} is the folder of the sources; choose another one")
    return _planned(names, output, suffix, "")


def _is_file_name(output: str) -> bool:
    return not output.endswith(os.sep) and not os.path.isdir(output) and bool(Path(output).suffix)


def _planned(names: Sequence[str], out: str | None, suffix: str, ending: str) -> list[Job]:
    try:
        return plan(names, out, suffix, ending)
    except ValueError as fault:
        raise Usage(str(fault)) from fault
