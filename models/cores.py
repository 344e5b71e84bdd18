"""How many cores this process may use, which is what every engine counts its threads by.

An affinity mask takes whole cores away; a quota (`docker --cpus`, a Kubernetes limit) takes time
away and leaves every core in sight. With a thread per core in sight, all of them are halted
together as soon as the quota is used up, and the last one to finish decides when the picture is
done.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def usable_cores() -> int:
    """Cores this process may use: by affinity, and by CPU quota, rounded up; at least 1."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """The smallest CPU quota of this process's control groups and all groups around them.

    Args:
        root: Where the file system begins; another folder in tests.

    Returns:
        The quota in CPUs, such as 1.5; None where there is none, or nothing to be read.

    Source:
        Linux, Documentation/admin-guide/cgroup-v2.rst (`cpu.max`) and
        Documentation/scheduler/sched-bwc.rst (`cpu.cfs_quota_us`, `cpu.cfs_period_us`).
    """
    try:
        memberships = (root / "proc/self/cgroup").read_text().splitlines()
        mounts = (root / "proc/self/mountinfo").read_text().splitlines()
    except (OSError, ValueError):
        return None
    quotas = (
        quota
        for kind, top, mount in _cpu_mounts(mounts)
        for path in _paths(memberships, kind)
        for folder in _groups(mount, top, path)
        if (quota := _quota_of(root / folder.relative_to("/"))) is not None
    )
    return min(quotas, default=None)


def _cpu_mounts(mounts: list[str]) -> Iterator[tuple[str, PurePosixPath, PurePosixPath]]:
    """Hierarchies that may limit CPU time: kind, the group at the top of the mount, the mount."""
    for line in mounts:
        before, _, after = line.partition(" - ")
        place, fs = before.split(), after.split()
        if len(place) < 5 or len(fs) < 3:
            continue
        if fs[0] == "cgroup2" or (fs[0] == "cgroup" and "cpu" in fs[2].split(",")):
            yield fs[0], PurePosixPath(_unescape(place[3])), PurePosixPath(_unescape(place[4]))


def _paths(memberships: list[str], kind: str) -> Iterator[PurePosixPath]:
    """The group this process is in, of that kind of hierarchy (`number:controllers:path`)."""
    for line in memberships:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        is_v2 = number == "0" and not controllers
        if is_v2 if kind == "cgroup2" else "cpu" in controllers.split(","):
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


def _quota_of(group: Path) -> float | None:
    """The quota of one group in CPUs; None if it has none."""
    try:
        if (group / "cpu.max").is_file():
            limit, period = (group / "cpu.max").read_text().split()
        else:
            limit = (group / "cpu.cfs_quota_us").read_text().strip()
            period = (group / "cpu.cfs_period_us").read_text().strip()
        quota = int(limit) / int(period) if limit != "max" else 0.0
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or one of another format
        return None
    return quota if quota > 0 else None


def _unescape(word: str) -> str:
    r"""A path of mountinfo, in which a space is written `\040`."""
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), word)
