"""What registering a file costs: wall and CPU time, and memory at its peak.

`python -m scripts.benchmark.registration FILE ...` registers each file in a process of its own, in
a store of its own, several times; `--python` names the environment, such as one without PyTorch.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from scripts.command import Unusable, run_command
from scripts.measuring.machine import describe_machine
from scripts.measuring.processes import REPOSITORY
from scripts.measuring.table import table

_MB = 1e6


class Cost(NamedTuple):
    """What one registration took.

    Attributes:
        wall_s: Seconds from start to end, Python's own included.
        cpu_s: Seconds of all cores.
        peak_mb: Most memory at a time, the pages of mapped files counted.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float


def main(arguments: list[str] | None = None) -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--python", default=sys.executable, help="of the environment to measure")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args(arguments)
    rows = [["file", "MB", "wall s", "CPU s", "peak MB", "wall s, all runs"]]
    for file in options.files:
        costs = [_register(file.resolve(), options.python) for _ in range(options.runs)]
        wall, cpu, peak = (median(values) for values in zip(*costs, strict=True))
        walls = " ".join(f"{cost.wall_s:.2f}" for cost in costs)
        size = f"{file.stat().st_size / _MB:.0f}"
        rows.append([file.name, size, f"{wall:.2f}", f"{cpu:.2f}", f"{peak:.0f}", walls])
    print("\n".join([*describe_machine().as_markdown(), "", *table(rows)]))
    return 0


def _register(file: Path, python: str) -> Cost:
    """Register a file where nothing is registered yet.

    Raises:
        Unusable: If it fails.
    """
    with tempfile.TemporaryDirectory(prefix="registration-") as home:
        command = [python, "-m", "scripts.register_model", "--from-file", str(file)]
        environment = {"BENTOML_HOME": home, "BENTOML_DO_NOT_TRACK": "True"}
        begin = time.monotonic()
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=_environment() | environment, stdout=subprocess.DEVNULL
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - begin
    if status:
        raise Unusable(f"{file.name} could not be registered; the reason is above")
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / _MB)


def _environment() -> dict[str, str]:
    """What a program needs to start, without an operator's settings."""
    return {"PATH": os.defpath, "HOME": str(Path.home())}


if __name__ == "__main__":
    run_command(main)
