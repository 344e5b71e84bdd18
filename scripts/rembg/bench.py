"""Compare our service with `rembg s` on this machine: same weights, same pictures.

`python -m scripts.rembg.bench` prints a Markdown table and writes it, with every number as JSON,
under docs/benchmarks/. Both servers listen on loopback only; requests alternate between them, so
that other work on the machine hits both. It stops by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from models.catalog import find
from scripts.command import Unusable, run_command
from scripts.download_model import DEFAULT_FOLDER
from scripts.measuring.load import OUR_FORM, Form, load
from scripts.measuring.pictures import find_photos, make_sizes
from scripts.measuring.processes import REPOSITORY, MemoryWatch, Server, our_service, stop_by_itself
from scripts.measuring.report import begin_run, say
from scripts.register_model import ensure
from scripts.rembg.environment import ENVIRONMENT, give_checkpoint, rembg_server
from scripts.rembg.report import TARGETS, Comparison, Measured, Report
from scripts.rembg.stages import fetch_matte, mean_of, measure_stages

_CONCURRENCY = 8
_SETTLE_S = 2.0
# A phase that takes longer than this, on a slow or busy machine, ends with fewer requests.
_PHASE_S = 75.0
_MIN_TURNS = 2


@dataclass(frozen=True)
class Plan:
    """How often.

    Attributes:
        latencies: Requests per server, by size.
        load_rounds: Rounds of eight at once per server.
        load_requests: Requests per round.
        stage_repeats: Repeats of the stages, by size.
    """

    latencies: dict[str, int]
    load_rounds: int
    load_requests: int
    stage_repeats: dict[str, int]


FULL = Plan({"1080p": 20, "12 MP": 8}, 3, 16, {"1080p": 7, "12 MP": 3})
QUICK = Plan({"1080p": 10, "12 MP": 3}, 2, 12, {"1080p": 3, "12 MP": 2})


@dataclass(frozen=True)
class Contender:
    """A server under measurement, how it wants its pictures, and its numbers so far."""

    server: Server
    form: Form
    measured: Measured

    async def send(self, pictures: list[Path], requests: int, concurrency: int) -> list[float]:
        """Send pictures; returns median latency in ms and images per second, and notes failures."""
        report = await load(self.server.url, pictures, requests, concurrency, form=self.form)
        failed = Counter(report.statuses) - Counter({"200": report.successful})
        self.measured.failures.update(Counter(self.measured.failures) + failed)
        return [report.p50_latency_ms, report.successful / report.total_time_s]


def main(arguments: list[str] | None = None) -> int:
    """Parse, measure, print and write; 1 if a request failed."""
    options = _parse(arguments)
    stop_by_itself(options.minutes)
    run = begin_run("scripts.rembg.bench", arguments)
    if options.rembg_python and not options.rembg_python.with_name("rembg").is_file():
        raise Unusable(f"{options.rembg_python} has no rembg beside it; leave --rembg-python out")
    rembg_python = options.rembg_python or ENVIRONMENT.make()
    photos = find_photos(options.photos)
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        bench = Bench(
            Path(scratch), rembg_python, options.weights, QUICK if options.quick else FULL
        )
        pictures = make_sizes(photos, Path(scratch))
        comparisons = [bench.compare(model, pictures) for model in options.models]
    report = Report(*run, ENVIRONMENT.versions(rembg_python), comparisons)
    report.publish(options.out or report.stem("rembg"))
    return int(any(side.failures for c in comparisons for side in (c.ours, c.rembg)))


class Bench:
    """Measures models one after another.

    Args:
        scratch: Folder for pictures and logs.
        rembg_python: Python of rembg's environment.
        weights: Folder with checkpoints.
        plan: How often.
    """

    def __init__(self, scratch: Path, rembg_python: Path, weights: Path, plan: Plan) -> None:
        self._scratch, self._rembg_python = scratch, rembg_python
        self._weights, self._plan = weights, plan

    def compare(self, model: str, pictures: dict[str, list[Path]]) -> Comparison:
        """Measure both servers with one model on files by size."""
        spec, home = find(model), self._scratch / "rembg"
        ensure(model, self._weights)
        give_checkpoint(spec, self._weights, home)
        logs = [self._scratch / f"{model}-{who}.log" for who in ("ours", "rembg")]
        with (
            our_service(model, logs[0]) as our_server,
            rembg_server(self._rembg_python, home, logs[1]) as their_server,
        ):
            health = httpx.get(our_server.health_url).json()
            ours = Contender(our_server, OUR_FORM, Measured())
            rembg = Contender(their_server, Form("file", {"model": model}), Measured())
            asyncio.run(measure(self._plan, (ours, rembg), pictures))
            mattes = {
                size: [fetch_matte(our_server.url, file, spec.input) for file in files]
                for size, files in pictures.items()
            }
        stages = {}
        for size, files in pictures.items():
            say(f"{model}: stages at {size}")
            repeats = self._plan.stage_repeats[size]
            stages[size] = mean_of(
                [
                    measure_stages(model, file, matte, self._rembg_python, repeats)
                    for file, matte in zip(files, mattes[size], strict=True)
                ]
            )
        return Comparison(model, health, ours.measured, rembg.measured, stages)


async def measure(
    plan: Plan, contenders: tuple[Contender, Contender], pictures: dict[str, list[Path]]
) -> None:
    """Warm up, memory at rest, latency, load; large pictures last, since they raise memory.

    Requests alternate between the two servers; the pictures are files by size.
    """
    first, *others = pictures
    for contender in contenders:
        await contender.send(pictures[first], 2, 1)
    await asyncio.sleep(_SETTLE_S)
    for contender in contenders:
        contender.measured.idle_mb = sum(contender.server.memory_mb().values())
    await _alternate(plan.latencies[first], contenders, first, pictures[first])
    await _load(plan, contenders, pictures[first])
    for size in others:
        await _alternate(plan.latencies[size], contenders, size, pictures[size])


async def _alternate(
    turns: int, contenders: tuple[Contender, Contender], size: str, pictures: list[Path]
) -> None:
    """One request to each in turn, the order turned round every time."""
    say(f"latency at {size}")
    for turn in _turns(turns):
        picture = pictures[turn % len(pictures)]
        for contender in contenders if turn % 2 == 0 else contenders[::-1]:
            latency_ms, _ = await contender.send([picture], 1, 1)
            contender.measured.latencies_ms.setdefault(size, []).append(latency_ms)


async def _load(plan: Plan, contenders: tuple[Contender, Contender], pictures: list[Path]) -> None:
    """Eight requests at once to each in turn, watching memory."""
    for turn in _turns(plan.load_rounds):
        say(f"load, round {turn + 1} of {plan.load_rounds}")
        for contender in contenders if turn % 2 == 0 else contenders[::-1]:
            measured = contender.measured
            with MemoryWatch(contender.server) as watch:
                requests = plan.load_requests
                _, rate = await contender.send(pictures, requests, _CONCURRENCY)
            measured.throughput.append(rate)
            measured.after_mb = watch.samples_mb[-1]
            measured.peak_mb = max(measured.peak_mb, watch.peak_mb)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--models", nargs="+", default=list(TARGETS), choices=list(TARGETS), metavar="MODEL"
    )
    parser.add_argument("--quick", action="store_true", help="fewer requests, noisier numbers")
    parser.add_argument("--rembg-python", type=Path, help="python that has rembg; else one is made")
    parser.add_argument("--weights", type=Path, default=DEFAULT_FOLDER, metavar="FOLDER")
    parser.add_argument("--photos", type=Path, default=REPOSITORY / "examples" / "photos")
    parser.add_argument("--out", type=Path, metavar="STEM", help="files to write, without suffix")
    parser.add_argument("--minutes", type=int, default=14, help="give up after so long")
    return parser.parse_args(arguments)


def _turns(wanted: int) -> Iterator[int]:
    """Count up to what is wanted, or to what the phase has time for."""
    give_up = time.monotonic() + _PHASE_S
    for turn in range(wanted):
        if turn >= _MIN_TURNS and time.monotonic() > give_up:
            return
        yield turn


if __name__ == "__main__":
    run_command(main)
