"""Folders of the control groups this process is in, where Linux says what they may use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def group_folders(controller: str, root: Path = Path("/")) -> Iterator[Path]:
    """This process's control groups of one controller, and all groups around them.

    Args:
        controller: Its name, such as `cpu` or `memory`.
        root: Where the file system begins; another folder in tests.

    Yields:
        One folder after the other; nothing where there are none, or nothing can be read.

    Source:
        Linux, Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/cgroups.rst.
    """
    try:
        memberships = (root / "proc/self/cgroup").read_text().splitlines()
        mounts = (root / "proc/self/mountinfo").read_text().splitlines()
    except (OSError, ValueError):
        return
    for kind, top, mount in _mounts_of(controller, mounts):
        for path in _paths(controller, memberships, kind):
            for folder in _groups(mount, top, path):
                yield root / folder.relative_to("/")


def _mounts_of(
    controller: str, mounts: list[str]
) -> Iterator[tuple[str, PurePosixPath, PurePosixPath]]:
    """Hierarchies with a controller: kind, the group at the top of the mount, the mount."""
    for line in mounts:
        before, _, after = line.partition(" - ")
        place, fs = before.split(), after.split()
        if len(place) < 5 or len(fs) < 3:
            continue
        if fs[0] == "cgroup2" or (fs[0] == "cgroup" and controller in fs[2].split(",")):
            yield fs[0], PurePosixPath(_unescape(place[3])), PurePosixPath(_unescape(place[4]))


def _paths(controller: str, memberships: list[str], kind: str) -> Iterator[PurePosixPath]:
    """The group this process is in, of that kind of hierarchy (`number:controllers:path`)."""
    for line in memberships:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        is_v2 = number == "0" and not controllers
        if is_v2 if kind == "cgroup2" else controller in controllers.split(","):
            yield PurePosixPath(path or "/")


def _groups(
    mount: PurePosixPath, top: PurePosixPath, path: PurePosixPath
) -> Iterator[PurePosixPath]:
    """Folders of a group and of all groups around it that the mount shows, the mount's own last."""
    # In a container the mount may show the container's group only, or a path from elsewhere.
    if path.is_relative_to(top) and ".." not in path.parts:
        inner = path.relative_to(top)
        yield from (mount / part for part in (inner, *inner.parents) if part.parts)
    yield mount


def _unescape(word: str) -> str:
    r"""A path of mountinfo, in which a space is written `\040`."""
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), word)
