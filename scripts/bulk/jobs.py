"""Starts the command, watches its processes, and looks at what it has written."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import psutil

from scripts.command import Unusable
from scripts.measuring.processes import REPOSITORY, within
from service.bulk.place import Place

_WORKER = "ray::MapWorker"
_LOOK_S = 0.5
_GONE_S = 60.0
_MOST = 1 << 32


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        status: Its exit status.
        wall_s: From its start to its end.
        said: What it said last.
    """

    status: int
    wall_s: float
    said: str


@contextmanager
def running(log: Path, *asked: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command, with what it says in a file; ended with all its processes afterwards."""
    words = ["-m", "service.bulk", *asked]
    with log.open("wb") as said:
        process = subprocess.Popen(
            within({"PYTHONPATH": str(REPOSITORY)}, [sys.executable, *words]),
            stdout=said,
            stderr=said,
            cwd=log.parent,
        )
    below: list[psutil.Process] = []
    try:
        yield process
    finally:
        with suppress(psutil.Error):
            below = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        for left in psutil.wait_procs(below, timeout=_GONE_S)[1]:
            left.kill()


def run(log: Path, *words: str) -> Ended:
    """Run the command to its end."""
    started = time.monotonic()
    with running(log, *words) as process:
        status = process.wait()
    said = log.read_text(errors="replace")[-600:]
    return Ended(status, time.monotonic() - started, said)


def workers_of(pid: int) -> list[psutil.Process]:
    """The workers below a process."""
    found = []
    with suppress(psutil.Error):
        for one in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.Error):
                if (one.cmdline() or [""])[0].startswith(_WORKER):
                    found.append(one)
    return found


def wait_for(place: Place, number: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until so many cutouts are there.

    Raises:
        Unusable: If the command ends before.
    """
    while len(stamps(place)) < number:
        if process.poll() is not None:
            raise Unusable(f"the command ended with {process.returncode} before {number} cutouts")
        time.sleep(_LOOK_S)


def stamps(place: Place) -> dict[str, tuple[Any, ...]]:
    """When each cutout was written, and its tag, by its path."""
    import obstore

    with suppress(FileNotFoundError):
        found = obstore.list(place.store).collect()
        return {
            str(one["path"]): (one["last_modified"], one["e_tag"])
            for one in found
            if not str(one["path"]).startswith(".") and not str(one["path"]).endswith(".parquet")
        }
    return {}


def rows_of(place: Place) -> list[dict[str, Any]]:
    """The rows of the manifest."""
    import pyarrow.parquet as pq

    data = place.read("manifest.parquet", _MOST)
    rows: list[dict[str, Any]] = pq.read_table(BytesIO(data)).to_pylist()
    return rows


def rate_of(written: Mapping[str, tuple[Any, ...]]) -> float:
    """Cutouts a second, between the first and the last tenth of them."""
    times = sorted(when.timestamp() for when, _ in written.values())
    first, last = len(times) // 10, len(times) - len(times) // 10 - 1
    return float((last - first) / (times[last] - times[first]))
