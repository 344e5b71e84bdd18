"""What this process takes of the machine; each of our two processes says it of itself."""

from __future__ import annotations

import psutil


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
