"""What traces cost, in CPU time of removals without a network, alternating with another checkout.

    python -m scripts.traces.cost ../before

Four processes take turns in an order that changes: that checkout twice, this one with traces off,
and this one with every removal traced. Only ratios of the same turn are compared, so that what else
the machine does falls on all; the second row says what is noise. Each round begins with processes
of its own, since where one happens to lie in memory is worth some percent.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
from pathlib import Path

from scripts.arguments import positive
from scripts.command import Unusable, run_command
from scripts.measuring.processes import REPOSITORY
from scripts.measuring.table import table
from scripts.traces.collector import Collector

_PHOTO = REPOSITORY / "examples/photos/coffee.jpg"
_WORKER = Path(__file__).with_name("cost_worker.py")
_UNCOUNTED = 5


def main(arguments: list[str] | None = None) -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("before", type=Path, help="a checkout from before")
    parser.add_argument("--rounds", type=positive, default=8)
    parser.add_argument("--turns", type=positive, default=25, help="of each round")
    parser.add_argument("--photo", type=Path, default=_PHOTO)
    options = parser.parse_args(arguments)
    if not (options.before / "service" / "public.py").is_file():
        raise Unusable(f"{options.before} is not a checkout of this repository")
    ratios: dict[str, list[float]] = {}
    with Collector() as collector:
        for _ in range(options.rounds):
            seconds = _measure(
                {
                    "before": _start(options.before.resolve(), options.photo),
                    "before, again": _start(options.before.resolve(), options.photo),
                    "off": _start(REPOSITORY, options.photo),
                    "on": _start(REPOSITORY, options.photo, collector.endpoint),
                },
                options.turns,
            )
            for name, mine in seconds.items():
                quotients = [a / b for a, b in zip(mine, seconds["before"], strict=True)]
                ratios.setdefault(name, []).append(statistics.median(quotients))
    rows = [["traces", "CPU time to before, median of rounds", "lowest", "highest"]]
    for name, medians in ratios.items():
        told = (statistics.median(medians), min(medians), max(medians))
        rows.append([name, *(f"{ratio:.3f}" for ratio in told)])
    print("\n".join(table(rows)))
    return 0


def _start(checkout: Path, photo: Path, *collector: str) -> subprocess.Popen[str]:
    """A worker of a checkout."""
    return subprocess.Popen(
        [sys.executable, str(_WORKER), str(photo.resolve()), *collector],
        cwd=checkout,
        env={"PYTHONPATH": str(checkout)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _measure(contenders: dict[str, subprocess.Popen[str]], turns: int) -> dict[str, list[float]]:
    """CPU seconds of every turn."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for turn in range(turns + _UNCOUNTED):
        for name in random.sample(names, len(names)):
            took = _ask(contenders[name])
            if turn >= _UNCOUNTED:
                seconds[name].append(took)
    for process in contenders.values():
        process.communicate()
    return seconds


def _ask(process: subprocess.Popen[str]) -> float:
    if process.stdin is None or process.stdout is None:
        raise Unusable("a worker has no pipes")
    process.stdin.write("\n")
    process.stdin.flush()
    told = process.stdout.readline()
    if not told:
        raise Unusable("a worker ended; see above")
    return float(told)


if __name__ == "__main__":
    run_command(main)
