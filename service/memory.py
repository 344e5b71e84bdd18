"""How much memory this process may have, which is what the memory of pictures is counted by."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import psutil

from models.control_groups import group_folders

_LIMIT_FILES = ("memory.max", "memory.limit_in_bytes")


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
