"""Many files: which there are, what their cutouts are called, what is done already."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from birefnet_client.errors import FILE_ERROR, RemovalError
from birefnet_client.files import write_whole
from birefnet_client.models import Options
from birefnet_client.result import Cutout, CutoutInfo
from birefnet_client.steps import Steps, Work

#: What is taken for a picture in a folder.
SUFFIXES = frozenset(
    (".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif")
) | {".tiff", ".webp"}
_WRITTEN = {"jpeg": ".jpg", None: ".png"}


@dataclass(frozen=True)
class Job:
    """One file to do.

    Attributes:
        source: The picture.
        target: Where its cutout goes.
    """

    source: Path
    target: Path


@dataclass(frozen=True)
class Done:
    """What came of one file.

    Attributes:
        source: The picture.
        target: Where its cutout is, if there is no error.
        error: Why there is none.
        skipped: Whether it was there already.
        info: How it was made; None if it was not made now.
    """

    source: Path
    target: Path
    error: RemovalError | None = None
    skipped: bool = False
    info: CutoutInfo | None = None


def plan(
    paths: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str] | None,
    suffix: str,
    ending: str = "",
) -> list[Job]:
    """What is to be done for files and folders.

    A folder's tree is kept below `out`. Files that would get one name keep their own suffix before
    the new one, `x.jpg.png`; files given one by one that still would are put into folders as their
    sources are.

    Args:
        paths: Files, and folders with all that is in them.
        out: Folder for the cutouts; pictures in it are no sources. None for beside each file.
        suffix: Of a cutout's name, with its dot.
        ending: Of its name before that.

    Raises:
        ValueError: If a cutout would take the place of a source.
    """
    folder = Path(out or "")
    places: dict[Path, Path] = {}  # where a source's cutout goes below `out`, by the source
    single = []
    for path in map(Path, paths):
        if path.is_dir():
            for file in pictures_in(path, leave_out=folder):
                places.setdefault(file, file.relative_to(path))
        else:
            single.append(path)
    beside = {file: file for file in single}
    places = {**(beside if out is None else _places_of(single)), **places}
    targets = _name_targets(places, ending + suffix)
    jobs = [Job(source, folder / target) for source, target in targets.items()]
    sources = {os.path.realpath(job.source) for job in jobs}
    for job in jobs:
        if os.path.realpath(job.target) in sources:
            raise ValueError(f"{job.target} is a source itself; choose another folder")
    return jobs


def _places_of(files: list[Path]) -> dict[Path, Path]:
    """Files given one by one: by their names, or with their folders if two have one name."""
    whole = {Path(os.path.abspath(file)): file for file in files}
    absolute = {file: place for place, file in whole.items()}
    names = Counter(file.name.casefold() for file in absolute)
    if max(names.values(), default=0) < 2:
        return {file: Path(file.name) for file in absolute}
    common = os.path.commonpath([place.parent for place in absolute.values()])
    return {file: place.relative_to(common) for file, place in absolute.items()}


def _name_targets(places: dict[Path, Path], suffix: str) -> dict[Path, Path]:
    """A name for each, in which those that would be one keep their own suffix."""
    named = {source: place.with_name(place.stem + suffix) for source, place in places.items()}
    while shared := _shared(named):
        longer = {
            source: places[source].with_name(places[source].name + suffix) for source in shared
        }
        if all(named[source] == target for source, target in longer.items()):
            raise ValueError(f"two pictures would both become {named[shared[0]]}; rename one")
        named |= longer
    return named


def _shared(named: dict[Path, Path]) -> list[Path]:
    """Those whose name another has, too; capitals count for nothing, as on some disks."""
    names = Counter(str(target).casefold() for target in named.values())
    return [source for source, target in named.items() if names[str(target).casefold()] > 1]


def pictures_in(folder: Path, leave_out: Path | None = None) -> Iterator[Path]:
    """The pictures below a folder, in alphabetical order; nothing hidden, no linked folder."""
    kept_out = os.path.realpath(leave_out) if leave_out else None
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(Path(here, name)) != kept_out
        )
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(here, name)


def suffix_of(options: Options) -> str:
    """Suffix of what options ask for."""
    if options.get("output") == "parts":
        return ".zip"
    asked = options.get("format")
    return _WRITTEN.get(asked) or f".{asked}"


def remove_into(
    remove: Callable[[Path], Steps[Cutout]], job: Job, *, resume: bool, overwrite: bool
) -> Steps[Done]:
    """Do one file; whatever is wrong with it is told, not raised.

    Args:
        remove: Makes a cutout of a file.
        job: The file.
        resume: Whether a cutout that is newer than its source is left as it is.
        overwrite: Whether another file of that name may be replaced.
    """
    try:
        if (yield Work(lambda: _is_done(job, resume, overwrite))):
            return Done(job.source, job.target, skipped=True)
        cutout = yield from remove(job.source)
        yield Work(lambda: _keep(job, cutout), commits=True)
    except RemovalError as error:
        return Done(job.source, job.target, error)
    except OSError as fault:
        sentence = f"{fault.filename or job.source}: {fault.strerror or fault}"
        return Done(job.source, job.target, RemovalError(FILE_ERROR, sentence))
    return Done(job.source, job.target, info=cutout.info)


def _is_done(job: Job, resume: bool, overwrite: bool) -> bool:
    """Whether there is nothing to do.

    Raises:
        OSError: If the source cannot be read.
        RemovalError: If a file is in the way.
    """
    written = job.source.stat().st_mtime_ns
    try:
        there = job.target.stat()
    except FileNotFoundError:
        return False
    if os.path.samefile(job.source, job.target):
        raise RemovalError(FILE_ERROR, f"{job.target} is the source itself")
    if resume and there.st_mtime_ns >= written and not overwrite:
        return True
    if overwrite:
        return False
    older = "is older than its source" if there.st_mtime_ns < written else "is there already"
    raise RemovalError(FILE_ERROR, f"{job.target} {older}; it is replaced only if you say so")


def _keep(job: Job, cutout: Cutout) -> None:
    job.target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(job.target, cutout.data)
