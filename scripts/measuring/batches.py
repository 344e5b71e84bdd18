"""One batch against single calls and against several at once, on each engine, in one run.

    python -m scripts.measuring.batches

Starts a service of its own for each engine. Prints the report and writes it with its figures as
JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import httpx

from scripts.arguments import positive
from scripts.command import Unusable, run_command
from scripts.measuring.load import load
from scripts.measuring.pictures import find_photos, make_sizes
from scripts.measuring.processes import REPOSITORY, MemoryWatch, Server, our_service
from scripts.measuring.report import Report, begin_run, say
from scripts.measuring.scraped import Scraped
from scripts.measuring.table import table

_PICTURES = 50
_AT_ONCE = 8
_ROUNDS = 3
_ENGINES = ("openvino", "onnxruntime")
_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Way:
    """One way to have the pictures done; medians over the rounds.

    Attributes:
        name: What was sent.
        wall_s: Until the last answer.
        cpu_s: Processor time of all processes of the service.
        cores: Processors that were at work on average.
        peak_mb: Most memory of the service above idle, PSS.
    """

    name: str
    wall_s: float
    cpu_s: float
    cores: float
    peak_mb: float


@dataclass(frozen=True)
class OfEngine:
    """What one engine gains.

    Attributes:
        engine: Engine and precision, as health says.
        batch_size: Pictures of batches worked on at once, as measured at the start.
        ways: Single calls, several at once, one batch.
        stages_ms: Milliseconds per picture in each stage of the batch; they overlap.
        single_idle_ms: A single call without other work; median.
        single_beside_ms: The same while a batch runs.
    """

    engine: str
    batch_size: int
    ways: list[Way]
    stages_ms: dict[str, float]
    single_idle_ms: float
    single_beside_ms: float


@dataclass(frozen=True)
class Batches(Report):
    """What a batch gains.

    Attributes:
        model: Name in the catalogue.
        engines: One after the other on the same machine.
    """

    title: ClassVar[str] = "Batches"
    model: str
    engines: list[OfEngine]

    def notes(self) -> Iterable[str]:
        """How it was measured."""
        yield f"{_PICTURES} photographs of 1920 x 1080, {self.model}, medians of {_ROUNDS} rounds."
        yield "The sender runs on the same machine, on loopback, and is not counted."

    def body(self) -> Iterable[str]:
        """A section for each engine."""
        for one in self.engines:
            yield f"## {one.engine}, batch size {one.batch_size}"
            yield ""
            heading = ["way", "wall, s", "against singles", "CPU, s", "cores", "memory, MB"]
            single = one.ways[0].wall_s
            rows = [
                [
                    way.name,
                    f"{way.wall_s:.1f}",
                    f"{single / way.wall_s:.2f}x",
                    f"{way.cpu_s:.1f}",
                    f"{way.cores:.2f}",
                    f"{way.peak_mb:.0f}",
                ]
                for way in one.ways
            ]
            yield from table([heading, *rows])
            yield ""
            stages = ", ".join(f"{name} {ms:.0f}" for name, ms in one.stages_ms.items())
            yield f"Stages of the batch, ms per picture (they overlap): {stages}."
            beside = one.single_beside_ms / one.single_idle_ms
            yield (
                f"A single call takes {one.single_idle_ms:.0f} ms, and {one.single_beside_ms:.0f} "
                f"ms beside a running batch ({beside:.2f}x)."
            )
            yield ""


def measure(model: str, engine: str, files: list[Path], folder: Path) -> OfEngine:
    """Serve with one engine, and send the pictures in each way."""
    # The longest deadline: eight at once on a slow engine wait for each other.
    settings = {"BIREFNET_ENGINE": engine, "BIREFNET_PROCESSING_TIMEOUT_SEC": "120"}
    with our_service(model, folder / f"{engine}.log", settings) as server:
        health = _wait_for_batches(server)
        _send_singles(server, files[:4], 2)
        ways: dict[str, Callable[[], None]] = {
            f"{len(files)} single calls": lambda: _send_singles(server, files, 1),
            f"{_AT_ONCE} at once": lambda: _send_singles(server, files, _AT_ONCE),
            f"one batch of {len(files)}": lambda: _send_batch(server, files),
        }
        rounds = [
            {name: _measure(server, way) for name, way in ways.items()} for _ in range(_ROUNDS)
        ]
        before = Scraped.of(server)
        _send_batch(server, files)
        stages = Scraped.of(server).since(before).stages_ms
        beside = list(_singles_beside(server, files))
        idle = [_single_ms(server, files[0]) for _ in range(9)]
    return OfEngine(
        engine=health["engine"],
        batch_size=health["batch_size"],
        ways=[_median_of(name, [one[name] for one in rounds]) for name in ways],
        stages_ms={name: ms / len(files) for name, ms in stages.items()},
        single_idle_ms=median(idle),
        single_beside_ms=median(beside),
    )


def _wait_for_batches(server: Server) -> dict[str, Any]:
    """Health, once the size of batches has been measured."""
    time.sleep(10)
    found: dict[str, Any] = httpx.get(server.health_url).json()
    return found


def _measure(server: Server, way: Callable[[], None]) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds, and megabytes above idle."""
    idle, cpu, started = sum(server.memory_mb().values()), _cpu_s(server), time.perf_counter()
    with MemoryWatch(server) as memory:
        way()
    wall = time.perf_counter() - started
    return wall, _cpu_s(server) - cpu, memory.peak_mb - idle


def _cpu_s(server: Server) -> float:
    processes = [server.process, *server.process.children(recursive=True)]
    times = [process.cpu_times() for process in processes if process.is_running()]
    return sum(one.user + one.system for one in times)


def _median_of(name: str, rounds: list[tuple[float, float, float]]) -> Way:
    wall, cpu, peak = (median(values) for values in zip(*rounds, strict=True))
    return Way(name, wall, cpu, cpu / wall, peak)


def _send_singles(server: Server, files: list[Path], at_once: int) -> None:
    came = asyncio.run(load(server.url, files, len(files), at_once, _TIMEOUT_S))
    if came.successful != len(files):
        raise Unusable(f"not all pictures came back: {came.statuses}")


def _send_batch(server: Server, files: list[Path]) -> None:
    parts = [("image", (file.name, file.read_bytes())) for file in files]
    url, zipped = server.url.replace("/remove", "/remove-batch"), {"Accept": "application/zip"}
    answer = httpx.post(url, files=parts, headers=zipped, timeout=_TIMEOUT_S)
    answer.raise_for_status()


def _single_ms(server: Server, file: Path) -> float:
    started = time.perf_counter()
    _send_singles(server, [file], 1)
    return (time.perf_counter() - started) * 1e3


def _singles_beside(server: Server, files: list[Path]) -> Iterator[float]:
    batch = threading.Thread(target=_send_batch, args=(server, files))
    batch.start()
    time.sleep(1.0)  # its body is read by then
    while batch.is_alive():
        yield _single_ms(server, files[0])
    batch.join()


def main(arguments: list[str] | None = None) -> int:
    """Parse, measure each engine, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="u2net", help="registered already")
    parser.add_argument("--pictures", type=positive, default=_PICTURES, metavar="N")
    parser.add_argument("--output", type=Path, metavar="STEM", help="report, without suffix")
    options = parser.parse_args(arguments)
    run = begin_run("scripts.measuring.batches", arguments)
    with tempfile.TemporaryDirectory() as folder:
        photos = make_sizes(find_photos(REPOSITORY / "examples/photos"), Path(folder))["1080p"]
        files = [photos[i % len(photos)] for i in range(options.pictures)]
        engines = []
        for engine in _ENGINES:
            say(engine)
            engines.append(measure(options.model, engine, files, Path(folder)))
    report = Batches(*run, options.model, engines)
    report.publish(options.output or report.stem("batches"))
    return 0


if __name__ == "__main__":
    run_command(main)
