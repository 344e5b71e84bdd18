"""Tell what guard and decoder of the service spend on each file named on standard input.

Started by `scripts.hostile.costliest` with the checkout to be measured on its path. Answers with a
line of JSON: `outcome` (`accepted`, or the name of the error), `cpu_s` and `peak_mb`, the most
memory it took beyond what the process had.
"""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser
from pathlib import Path

import cv2

from service.imaging.decode import decode
from service.imaging.guard import ImageLimits, inspect

_KB_PER_MB = 1024
_STATUS = Path("/proc/self/status")
_FORGET_PEAK = "5"


def main() -> int:
    """Work until standard input ends."""
    ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None).parse_args()
    cv2.setNumThreads(1)  # as in the service
    for line in sys.stdin:
        data = Path(line.rstrip("\n")).read_bytes()
        Path("/proc/self/clear_refs").write_text(_FORGET_PEAK)
        had_mb = _memory_mb("VmRSS")
        started = time.process_time()
        outcome = _decode(data)
        spent_s = time.process_time() - started
        taken_mb = _memory_mb("VmHWM") - had_mb
        print(json.dumps({"outcome": outcome, "cpu_s": spent_s, "peak_mb": taken_mb}), flush=True)
    return 0


def _decode(data: bytes) -> str:
    try:
        decode(data, inspect(data, ImageLimits()))
    except Exception as fault:
        return str(getattr(fault, "code", type(fault).__name__))
    return "accepted"


def _memory_mb(name: str) -> float:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / _KB_PER_MB


if __name__ == "__main__":
    sys.exit(main())
