"""Measure what a picture takes of one public and one inference service, for `scripts.capacity`.

    python -m scripts.capacity.measure --output docs/benchmarks/2026-11-28-capacity-one-pair

One caller asks for one picture after the other. Needs root, HAProxy, Redis and Postgres.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import httpx
import numpy as np

from scripts.arguments import positive
from scripts.capacity.simulation import Costs, Step
from scripts.command import run_command
from scripts.measuring.processes import stop_by_itself
from scripts.measuring.report import Report, Run, begin_run
from scripts.measuring.scraped import Scraped
from scripts.measuring.table import table
from scripts.replicas.cluster import Cluster
from scripts.replicas.network import go_into_own_network
from service.settings import Settings

_PREPARE = ("guard", "admission", "decode", "fit")
_NETWORK = "matte"
_FINISH = ("refine", "smooth", "foreground", "compose", "encode")
_LARGEST_BATCH = "background_removal_engine_batch_size_max"
_MINUTES = 15


@dataclass(frozen=True)
class OnePair(Report):
    """One run.

    Attributes:
        model: Name in the catalogue.
        engine: What was asked for.
        pictures: How many were made.
        took_ms: Median of a picture, as its caller sees it.
        cpu_ms: Core milliseconds of a picture: public, inference, and all the others.
        stages_ms: Milliseconds of a picture in each stage.
        costs: What the simulation takes.
    """

    title: ClassVar[str] = "What a picture takes of one public and one inference service"
    model: str
    engine: str
    pictures: int
    took_ms: float
    cpu_ms: dict[str, float]
    stages_ms: dict[str, float]
    costs: Costs

    def notes(self) -> Iterable[str]:
        """What was asked."""
        yield f"{self.model} ({self.engine}), {self.pictures} pictures one by one"
        yield "Others are two HAProxys, Redis, Postgres and the caller."

    def body(self) -> Iterable[str]:
        """The tables."""
        yield f"A picture took {self.took_ms:.0f} ms (median)."
        yield ""
        yield from _numbers("core time, ms", self.cpu_ms)
        yield ""
        yield from _numbers("stage, ms", self.stages_ms)
        yield ""
        steps = (("before the network", self.costs.prepare), ("network", self.costs.network),
                 ("after the network", self.costs.finish))  # fmt: skip
        rows = [["step", "core ms", "ms alone"]]
        rows += [[n, f"{1e3 * s.core_s:.1f}", f"{1e3 * s.alone_s:.1f}"] for n, s in steps]
        yield from table(rows)


def _numbers(heading: str, numbers: Mapping[str, float]) -> list[str]:
    return table([[heading, ""], *([name, f"{one:.1f}"] for name, one in numbers.items())])


def main(arguments: list[str] | None = None) -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="u2netp", help="registered already")
    parser.add_argument("--engine", default="auto", help="as of BIREFNET_ENGINE")
    parser.add_argument("--pictures", type=positive, default=300)
    parser.add_argument("--output", type=Path, metavar="STEM", required=True)
    options = parser.parse_args(arguments)
    go_into_own_network()
    stop_by_itself(_MINUTES)
    run = begin_run("scripts.capacity.measure", arguments)
    measure(run, options.model, options.engine, options.pictures).publish(options.output)
    return 0


def measure(run: Run, model: str, engine: str, pictures: int) -> OnePair:
    """Measure it; see the report.

    Args:
        run: What the figures belong to.
        model: Name in the catalogue; registered already.
        engine: As of BIREFNET_ENGINE.
        pictures: How many are asked for.
    """
    from scripts.capacity.pairs import cpu_seconds, pairs  # with the client, found by now

    with pairs(1, model, engine) as (running, callers):
        before, cpu_before = _scrape(running), cpu_seconds(running)
        took_s = float(np.median(callers.one_by_one(pictures)))
        cpu = {n: one - cpu_before[n] for n, one in cpu_seconds(running).items()}
        stages = Scraped.read(_scrape(running)).since(Scraped.read(before)).stages_ms
        largest = max(
            float(line.split()[-1])
            for line in before.splitlines()
            if line.startswith(_LARGEST_BATCH)
        )
    cpu_s = {name: one / pictures for name, one in cpu.items()}
    stages_s = {name: ms / 1e3 / pictures for name, ms in stages.items()}
    return OnePair(
        *run,
        model=model,
        engine=engine,
        pictures=pictures,
        took_ms=1e3 * took_s,
        cpu_ms={name: 1e3 * one for name, one in cpu_s.items()},
        stages_ms={name: 1e3 * one for name, one in stages_s.items()},
        costs=costs_of(took_s, cpu_s, stages_s, int(largest)),
    )


def costs_of(
    took_s: float, cpu_s: Mapping[str, float], stages_s: Mapping[str, float], largest_batch: int
) -> Costs:
    """What the simulation takes, of what was measured of one picture.

    Public's stages before and after the network keep the core they run on busy. What public and
    the others take beside them, and the time that passes meanwhile, is half before and half after.
    Where the machine is busy with something else, stages seem longer than that, and costs too high.

    Args:
        took_s: Seconds that its caller waits.
        cpu_s: Core seconds of public, inference and others.
        stages_s: Seconds of each stage.
        largest_batch: Of the engine.
    """
    before, after = (sum(stages_s.get(name, 0.0) for name in n) for n in (_PREPARE, _FINISH))
    around_s = max(0.0, took_s - before - after - stages_s[_NETWORK]) / 2
    beside_s = max(0.0, cpu_s["public"] + cpu_s["others"] - before - after) / 2
    return Costs(
        Step(before + beside_s, before + around_s),
        Step(cpu_s["inference"], stages_s[_NETWORK]),
        Step(after + beside_s, after + around_s),
        threads=Settings().num_workers,
        largest_batch=largest_batch,
    )


def _scrape(running: Cluster) -> str:
    return httpx.get(f"{running.publics['public1'].root}/metrics", timeout=10).text


if __name__ == "__main__":
    run_command(main)
