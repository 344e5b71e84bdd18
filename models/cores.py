"""How many cores this process may use, which is what every engine counts its threads by.

An affinity mask takes whole cores away; a quota (`docker --cpus`, a Kubernetes limit) takes time
away and leaves every core in sight. With a thread per core in sight, all of them are halted
together as soon as the quota is used up, and the last one to finish decides when the picture is
done.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

from models.control_groups import group_folders

_told: int | None = None


def use_only(cores: int) -> None:
    """Be told that other processes share the machine, and how many cores are left to this one.

    To be called before engines open, and before `models.spare_cores` is imported.
    """
    global _told
    _told = cores


def usable_cores() -> int:
    """Cores this process may use: by affinity, by CPU quota, rounded up, as told; at least 1."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    cores = cores if _told is None else min(cores, _told)
    quota = cpu_quota()
    return max(1, cores if quota is None else min(cores, math.ceil(quota)))


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
    quotas = map(_quota_of, group_folders("cpu", root))
    return min((quota for quota in quotas if quota is not None), default=None)


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
