"""What is to be done: pictures, what their cutouts are called, and how they are made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

#: What is taken for a picture, by the end of its name.
SUFFIXES = frozenset(
    (".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif")
) | {".tiff", ".webp"}
_WRITTEN = {"jpeg": ".jpg"}


@dataclass(frozen=True)
class Job:
    """What is made of every picture, and where.

    Attributes:
        source: Folder or address of a bucket that holds the pictures.
        target: The same for what is made.
        options: Those of the API, by name, as text.
        model: Name in the catalogue; empty for what the settings say.
        threads: Cores that one worker uses.
        gpus: GPUs that one worker has; a part of one, where several share it.
    """

    source: str
    target: str
    options: Mapping[str, str]
    model: str = ""
    threads: int = 1
    gpus: float = 0.0

    @property
    def suffix(self) -> str:
        """How the names of cutouts end, with the dot."""
        if self.options.get("output") == "parts":
            return ".zip"
        asked = self.options.get("format", "png")
        return _WRITTEN.get(asked, f".{asked}")


class Found(NamedTuple):
    """A picture that is there.

    Attributes:
        path: Below the source, with `/`.
        written: When it was written, in seconds since 1970.
    """

    path: str
    written: float


class Picture(NamedTuple):
    """A picture to do.

    Attributes:
        path: Below the source, with `/`.
        target: Of its cutout, below the target.
        written: When it was written, in seconds since 1970.
    """

    path: str
    target: str
    written: float


def is_picture(path: str) -> bool:
    """Whether a name below a source is that of a picture; nothing hidden is."""
    parts = path.split("/")
    hidden = any(part.startswith(".") for part in parts)
    return not hidden and PurePosixPath(parts[-1]).suffix.lower() in SUFFIXES


def name_targets(found: Iterable[Found], suffix: str) -> list[Picture]:
    """Name a cutout for each picture, in the order they come.

    The tree is kept, and the suffix is changed. Pictures whose cutouts would get one name, also
    where capitals count for nothing, keep their own suffix before the new one: `x.jpg.png`.
    """
    written = {one.path: one.written for one in found}
    long: set[str] = set()
    while True:
        targets = {path: _target(path, suffix, path in long) for path in written}
        counts = Counter(target.casefold() for target in targets.values())
        shared = {path for path, one in targets.items() if counts[one.casefold()] > 1} - long
        if not shared:
            return [Picture(path, one, written[path]) for path, one in targets.items()]
        long |= shared


def _target(path: str, suffix: str, is_long: bool) -> str:
    return (path if is_long else str(PurePosixPath(path).with_suffix(""))) + suffix
