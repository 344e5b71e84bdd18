"""The CPU time and memory that guard and decoder of a checkout spend on a file."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

#: The outcome of a file that was decoded.
ACCEPTED = "accepted"
_POLL_S = 0.2
_WORKER = Path(__file__).with_name("cost_worker.py")
#: That of one that did not end in time, and that of one that ended the process.
KILLED, CRASHED = "killed", "crashed"


@dataclass(frozen=True)
class Cost:
    """What one file cost.

    Attributes:
        outcome: `accepted`, the code of the error, `killed` for one that did not end in time, or
            `crashed` for one that ended the process.
        cpu_s: Seconds of CPU time.
        peak_mb: Most memory it took at once, in MiB.
    """

    outcome: str
    cpu_s: float
    peak_mb: float

    @property
    def is_accepted(self) -> bool:
        """Whether it was not refused; what was killed had not been either."""
        return self.outcome in (ACCEPTED, KILLED)


class CostMeter:
    """A process that reads files for us, made anew when one of them ends it.

    Args:
        checkout: Root of the repository whose service reads them.
        give_up_s: CPU seconds after which a file is given up, and the process killed.
    """

    def __init__(self, checkout: Path, give_up_s: float) -> None:
        self._checkout, self._give_up_s = checkout, give_up_s
        self._worker = self._start()

    def measure(self, file: Path) -> Cost:
        """Have one file read."""
        asked, told = self._worker.stdin, self._worker.stdout
        if asked is None or told is None:
            raise ValueError("the process has no pipes")
        process = psutil.Process(self._worker.pid)
        before_s = _cpu_s(process)
        try:
            asked.write(f"{file}\n")
            asked.flush()
        except BrokenPipeError:
            return self._gave_up(CRASHED, process, before_s)
        while not select.select([told], [], [], _POLL_S)[0]:
            if _cpu_s(process) - before_s > self._give_up_s:
                return self._gave_up(KILLED, process, before_s)
        line = told.readline()
        if not line:
            return self._gave_up(CRASHED, process, before_s)
        return Cost(**json.loads(line))

    def close(self) -> None:
        """End the process."""
        self._worker.kill()
        self._worker.communicate()

    def _gave_up(self, outcome: str, process: psutil.Process, before_s: float) -> Cost:
        spent_s, peak_mb = 0.0, 0.0
        with contextlib.suppress(psutil.Error):
            spent_s, peak_mb = _cpu_s(process) - before_s, process.memory_info().rss / 1024**2
        self.close()
        self._worker = self._start()
        return Cost(outcome, spent_s, peak_mb)

    def _start(self) -> subprocess.Popen[str]:
        setting = ["/usr/bin/env", f"--chdir={self._checkout}", f"PYTHONPATH={self._checkout}"]
        return subprocess.Popen(
            [*setting, sys.executable, "-P", str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )


def _cpu_s(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0
