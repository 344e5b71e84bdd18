"""A simulated load, and the report of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from scripts.capacity.simulation import Costs, Plant, Simulation
from scripts.command import Unusable
from scripts.measuring.report import Report
from scripts.measuring.table import table


@dataclass(frozen=True)
class Load:
    """Pictures that come by chance at a mean rate, and what becomes of them.

    Attributes:
        per_second: Pictures that come.
        p50_ms: What half of them take at most.
        p95_ms: What 95 of 100 take at most.
        cores: Cores that are busy in the mean, all machines together.
    """

    per_second: float
    p50_ms: float
    p95_ms: float
    cores: float


@dataclass(frozen=True)
class Prediction(Report):
    """What was simulated.

    Attributes:
        costs: Of a picture.
        plant: What there is.
        loads: What becomes of each rate.
    """

    title: ClassVar[str] = "What public and inference services will do, by simulation"
    costs: Costs
    plant: Plant
    loads: list[Load]

    def body(self) -> Iterable[str]:
        """The table."""
        yield from load_rows([("", load) for load in self.loads])


def load_rows(loads: Iterable[tuple[str, Load]]) -> list[str]:
    """A table of loads, each with a word before it."""
    rows = [["", "pictures a second", "p50, ms", "p95, ms", "cores busy"]]
    for word, one in loads:
        numbers = (
            f"{one.per_second:g}",
            f"{one.p50_ms:.0f}",
            f"{one.p95_ms:.0f}",
            f"{one.cores:.2f}",
        )
        rows.append([word, *numbers])
    return table(rows)


def predict(costs: Costs, plant: Plant, per_second: float, pictures: int) -> Load:
    """Simulate so many pictures."""
    took_s = Simulation(costs, plant).run(per_second, pictures)
    p50, p95 = (1e3 * float(one) for one in np.percentile(took_s, (50, 95)))
    return Load(per_second, p50, p95, per_second * costs.core_s)


def read_report(file: Path) -> dict[str, Any]:
    """The figures of a report.

    Raises:
        Unusable: If the file holds none.
    """
    try:
        found: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError) as fault:
        raise Unusable(f"{file} is no report in JSON: {fault}") from fault
    return found
