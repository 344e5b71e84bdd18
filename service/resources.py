"""What this process takes of the machine, what it may take, and how it gives memory back."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from pathlib import Path

import psutil

from models.control_groups import group_folders

_LIMIT_FILES = ("memory.max", "memory.limit_in_bytes")


def own_usage() -> dict[str, float]:
    """Memory, processor time and start of this process.

    Returns:
        `memory_bytes` resident, `cpu_seconds` since the start (user and system), and `started` in
        seconds since 1970.
    """
    process = psutil.Process()
    with process.oneshot():
        times = process.cpu_times()
        return {
            "memory_bytes": float(process.memory_info().rss),
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
        for name in _LIMIT_FILES:
            with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
                limits.append(int((folder / name).read_text()))
    return limits


def return_freed_memory() -> None:
    """Have the C library give freed memory back to the system; it keeps large buffers otherwise."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl has not
        if trim is not None:
            trim(0)
