"""Run the loads of a prediction against real services, and compare.

    python -m scripts.capacity.compare --output docs/benchmarks/2026-11-28-capacity-compared \
        --predicted docs/benchmarks/2026-11-28-capacity-prediction.json

Pictures come at times of chance, whether or not earlier ones are done. All services run on this
machine, so the prediction should be of shared cores. Needs root, HAProxy, Redis and Postgres.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from scripts.arguments import positive
from scripts.capacity.prediction import Load, load_rows, read_report
from scripts.command import run_command
from scripts.measuring.processes import stop_by_itself
from scripts.measuring.report import Report, Run, begin_run, say
from scripts.measuring.table import table
from scripts.replicas.network import go_into_own_network

_OFF = 0.2
_PAUSE_S = 3.0
_MINUTES = 30


@dataclass(frozen=True)
class Compared(Report):
    """One run.

    Attributes:
        model: Name in the catalogue.
        engine: What was asked for.
        prediction: The command that predicted.
        pairs: Of public and inference services.
        pictures: How many were asked for at each load.
        failed: Why pictures did not come, where they did not.
        predicted: What was predicted of each load.
        measured: What was found.
    """

    title: ClassVar[str] = "A prediction of capacity, and what really happened"
    model: str
    engine: str
    prediction: str
    pairs: int
    pictures: int
    failed: list[str]
    predicted: list[Load]
    measured: list[Load]

    def notes(self) -> Iterable[str]:
        """What was asked."""
        yield f"{self.model} ({self.engine}), {self.pairs} pairs, {self.pictures} pictures a load"
        yield f"Predicted by `{self.prediction}`."

    def body(self) -> Iterable[str]:
        """The tables."""
        both = zip(self.predicted, self.measured, strict=True)
        yield from load_rows(one for p, m in both for one in (("predicted", p), ("measured", m)))
        yield ""
        rows = [["measured beside predicted", "p50", "p95", "cores busy"]]
        for load, numbers in zip(self.measured, self.ratios, strict=True):
            rows.append([f"{load.per_second:g} a second", *(f"{one:.2f}" for one in numbers)])
        yield from table(rows)
        yield ""
        yield f"{len(self.failed)} pictures failed."

    @property
    def ratios(self) -> list[tuple[float, float, float]]:
        """Of each load, measured over predicted: median, 95th percentile, cores."""
        both = zip(self.predicted, self.measured, strict=True)
        return [(m.p50_ms / p.p50_ms, m.p95_ms / p.p95_ms, m.cores / p.cores) for p, m in both]

    @property
    def is_close(self) -> bool:
        """Whether every picture came, and every ratio is within a fifth of 1."""
        return not self.failed and all(abs(one - 1) <= _OFF for row in self.ratios for one in row)


def main(arguments: list[str] | None = None) -> int:
    """Parse, run, print; 1 if the prediction is not close."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--predicted", type=Path, required=True, help="JSON of scripts.capacity")
    parser.add_argument("--model", default="u2netp", help="registered already")
    parser.add_argument("--engine", default="auto", help="as of BIREFNET_ENGINE")
    parser.add_argument("--pictures", type=positive, default=1000, help="of each load")
    parser.add_argument("--output", type=Path, metavar="STEM", required=True)
    options = parser.parse_args(arguments)
    go_into_own_network()
    stop_by_itself(_MINUTES)
    run = begin_run("scripts.capacity.compare", arguments)
    report = compare(
        run, read_report(options.predicted), options.model, options.engine, options.pictures
    )
    report.publish(options.output)
    return 0 if report.is_close else 1


def compare(
    run: Run, prediction: dict[str, Any], model: str, engine: str, pictures: int
) -> Compared:
    """Run every load of a prediction.

    Args:
        run: What the figures belong to.
        prediction: A report of `scripts.capacity`.
        model: Name in the catalogue; registered already.
        engine: As of BIREFNET_ENGINE.
        pictures: How many are asked for at each load.
    """
    from scripts.capacity.pairs import cpu_seconds, pairs  # with the client, found by now

    predicted, measured = [Load(**one) for one in prediction["loads"]], []
    number = prediction["plant"]["publics"]
    with pairs(number, model, engine) as (running, callers):
        for load in predicted:
            time.sleep(_PAUSE_S)
            say(f"{pictures} pictures, {load.per_second:g} a second")
            before, began_s = sum(cpu_seconds(running).values()), time.monotonic()
            took_s = callers.by_chance(pictures, load.per_second)
            cores = (sum(cpu_seconds(running).values()) - before) / (time.monotonic() - began_s)
            measured.append(_load(load.per_second, took_s, cores))
        failed = callers.failed
    return Compared(
        *run,
        model=model,
        engine=engine,
        prediction=prediction["command"],
        pairs=number,
        pictures=pictures,
        failed=failed,
        predicted=predicted,
        measured=measured,
    )


def _load(per_second: float, took_s: Sequence[float], cores: float) -> Load:
    p50, p95 = (1e3 * float(one) for one in np.percentile(took_s, (50, 95)))
    return Load(per_second, p50, p95, cores)


if __name__ == "__main__":
    run_command(main)
