"""What this process takes of the machine, what it may take, and how it gives memory back."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from pathlib import Path

import psutil

from models.control_groups import group_folders

#: What says how much a control group may have, and what of it is taken; of cgroup 2 and 1.
_GROUP_FILES = {
    "memory.max": "memory.current",
    "memory.limit_in_bytes": "memory.usage_in_bytes",
}


def own_usage() -> dict[str, float]:
    """Memory, processor time and start of this process.

    Returns:
        `memory_bytes` resident, `memory_available_bytes` and `memory_limit_bytes` of what it runs
        in (see `free_bytes`, `allowed_bytes`), `cpu_seconds` since the start (user and system), and
        `started` in seconds since 1970.
    """
    process = psutil.Process()
    with process.oneshot():
        times = process.cpu_times()
        return {
            "memory_bytes": float(process.memory_info().rss),
            "memory_available_bytes": float(free_bytes()),
            "memory_limit_bytes": float(allowed_bytes()),
            "cpu_seconds": times.user + times.system,
            "started": process.create_time(),
        }


def allowed_bytes() -> int:
    """Bytes this process may have: of the machine, of its control groups, of its address space."""
    limits = [psutil.virtual_memory().total, *group_limits()]
    if sys.platform != "win32":
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            limits.append(max(0, soft - psutil.Process().memory_info().vms))
    return min(limits)


def group_limits(root: Path = Path("/")) -> list[int]:
    """Limits in bytes of this process's control groups and all groups around them.

    Args:
        root: Where the file system begins; another folder in tests.
    """
    limits = []
    for folder in group_folders("memory", root):
        for name in _GROUP_FILES:
            with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
                limits.append(int((folder / name).read_text()))
    return limits


def has_room_for_as_much() -> bool:
    """Whether there is memory for all that this process has once more, and a quarter."""
    return free_bytes() > 1.25 * psutil.Process().memory_info().rss


def free_bytes(root: Path = Path("/")) -> int:
    """Bytes nobody has yet: of the machine, and of this process's control groups.

    Files that the kernel keeps for speed count as nobody's: it drops them first.

    Args:
        root: Where the file system begins; another folder in tests.
    """
    free = [psutil.virtual_memory().available]
    for folder in group_folders("memory", root):
        for limit, used in _GROUP_FILES.items():
            with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
                taken = int((folder / used).read_text()) - _droppable(folder)
                free.append(int((folder / limit).read_text()) - taken)
    return max(0, min(free))


def _droppable(folder: Path) -> int:
    """Bytes of a control group that hold files nobody reads now; of cgroup 1 with its children."""
    with contextlib.suppress(OSError, ValueError):
        figures = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return int(figures.get("total_inactive_file") or figures.get("inactive_file", "0"))
    return 0


def return_freed_memory() -> None:
    """Have the C library give freed memory back to the system; it keeps large buffers otherwise."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl has not
        if trim is not None:
            trim(0)
