"""The services of two checkouts on this machine, requests alternating: did it get slower or larger?

`python -m scripts.compare_checkouts ../before` puts that checkout's service beside this
one's, with the same model, environment and pictures, and prints medians and their ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from scripts.command import Unusable, run_command
from scripts.download_model import DEFAULT_FOLDER
from scripts.measuring.load import OUR_FORM
from scripts.measuring.machine import describe_machine
from scripts.measuring.pictures import SIZES, find_photos, make_sizes
from scripts.measuring.processes import REPOSITORY, our_service, stop_by_itself
from scripts.measuring.table import table
from scripts.register_model import ensure
from scripts.rembg.bench import FULL, Contender, Plan, measure
from scripts.rembg.report import Measured

_PLAN = Plan({"1080p": 30, "12 MP": 24}, 4, 16, FULL.stage_repeats)
_PHOTOS = REPOSITORY / "examples" / "photos"


def main(arguments: list[str] | None = None) -> int:
    """Parse, measure, print; 1 if a request failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("before", type=Path, help="another checkout of this repository")
    parser.add_argument("--model", default="u2net")
    parser.add_argument(
        "--load", default="1080p", choices=list(SIZES), help="size of what comes eight at once"
    )
    parser.add_argument("--minutes", type=int, default=14, help="give up after so long")
    options = parser.parse_args(arguments)
    if not (options.before / "service" / "public.py").is_file():
        raise Unusable(f"{options.before} is not a checkout of this repository")
    stop_by_itself(options.minutes)
    machine = describe_machine()
    ensure(options.model, DEFAULT_FOLDER)
    before, now = _compare(options.model, options.before.resolve(), options.load)
    print("\n".join([f"{datetime.now(UTC):%Y-%m-%d}, {options.model}", "", *machine.as_markdown()]))
    rows = [["", "before", "now", "now / before"]]
    for name, was, is_now in _rows(before, now, options.load):
        rows.append([name, f"{was:.4g}", f"{is_now:.4g}", f"{is_now / was:.2f}"])
    print("\n".join(["", *table(rows)]))
    return int(bool(before.failures or now.failures))


def _compare(model: str, before: Path, load: str) -> tuple[Measured, Measured]:
    """Both services' numbers."""
    with tempfile.TemporaryDirectory(prefix="compare-") as scratch, ExitStack() as running:
        folder = Path(scratch)
        contenders = []
        for name, checkout in (("before", before), ("now", REPOSITORY)):
            settings = {
                "PYTHONPATH": str(checkout),
                "BIREFNET_CACHE_DIR": str(folder / name),
            }
            log = folder / f"{name}.log"
            server = running.enter_context(our_service(model, log, settings, checkout))
            contenders.append(Contender(server, OUR_FORM, Measured()))
        files = make_sizes(find_photos(_PHOTOS), folder)
        pictures = {load: files.pop(load), **files}
        first, second = contenders
        asyncio.run(measure(_PLAN, (first, second), pictures))
        return first.measured, second.measured


def _rows(before: Measured, now: Measured, load: str) -> list[tuple[str, float, float]]:
    """What is compared: name, before, now."""
    rows = [
        (f"latency at {size}, median, ms", before.latency_ms(size), now.latency_ms(size))
        for size in before.latencies_ms
    ]
    name = f"throughput at {load}, 8 at once, median, 1/s"
    return [
        *rows,
        (name, before.images_per_s(), now.images_per_s()),
        ("memory, all processes, idle, MB", before.idle_mb, now.idle_mb),
        ("memory, peak of the load, MB", before.peak_mb, now.peak_mb),
    ]


if __name__ == "__main__":
    run_command(main)
