"""The report of a benchmark: rows that took turns, and how they compare."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from models.arrays import U8Array
from scripts.measuring import report
from scripts.measuring.errors import Error
from scripts.measuring.table import table

_COLUMNS = [
    *("engine", "runtime", "device", "precision", "median ms", "p95", "images/s", "CPU ms"),
    *("times the first", "opened in s", "MB opening / running / between"),
    *("error max / mean, of 255", "of deviation"),
]
_WORDS = 4


@dataclass
class Row:
    """One engine on one model at one batch size.

    Attributes:
        label: How it was asked for, such as `onnxruntime:decomposed`.
        opened: What the engine said when it opened: runtime, device, precision, seconds, memory.
        times_ms: Milliseconds per batch, in the order of the turns.
        cpu_ms: CPU milliseconds of all threads, likewise: what other work disturbs less.
        peak_mb: Most resident memory while it ran, in MB of 10^6 bytes.
        error: Differences from the reference, or None if there are no mattes to compare.
        failure: Why there are no times, or None.
    """

    label: str
    opened: dict[str, Any] = field(default_factory=dict)
    times_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    peak_mb: float = 0.0
    error: Error | None = None
    failure: str | None = None


@dataclass
class Group:
    """Rows that took turns.

    Attributes:
        model: Name of the model.
        caveat: What a reader must know of it.
        height: Rows of the model input, in pixels.
        width: Columns of the model input, in pixels.
        batch: Pictures per pass.
        reference: What mattes are compared with.
        spread: Percentiles and deviation of the reference's mattes, in levels of 255.
        failure: Why there is no reference, or None.
        rows: What was measured; ratios are to the first.
    """

    model: str
    caveat: str
    height: int
    width: int
    batch: int
    reference: str
    spread: dict[str, float] = field(default_factory=dict)
    failure: str | None = None
    rows: list[Row] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether the reference or a row failed."""
        return any((self.failure, *(row.failure for row in self.rows)))

    def as_markdown(self) -> Iterator[str]:
        """Heading and table."""
        yield f"## {self.model}, {self.height} x {self.width}, batch of {self.batch}"
        yield ""
        yield f"- {self.caveat}"
        if self.failure:
            yield f"- No errors: {self.reference} failed: {self.failure}"
        if self.spread:
            yield (
                f"- Errors against {self.reference}, whose alpha runs from {self.spread['p5']:.0f} "
                f"to {self.spread['p95']:.0f} of 255 (5th to 95th percentile), deviation "
                f"{self.spread['std']:.0f}"
            )
        yield ""
        yield from table([_COLUMNS, *map(self._cells, self.rows)], _WORDS)

    def _cells(self, row: Row) -> list[str]:
        if row.failure is not None or not row.times_ms:
            return [row.label, row.failure or "no time was left"]
        median, opened, error = statistics.median(row.times_ms), row.opened, row.error
        return [
            *(row.label, opened["runtime"], opened["device"], opened["precision"]),
            f"{median:.0f}",
            f"{np.percentile(row.times_ms, 95):.0f}",
            f"{self.batch / median * 1e3:.2f}",
            f"{statistics.median(row.cpu_ms):.0f}",
            self._ratio(row),
            f"{opened['open_s']:.1f}",
            f"{opened['open_peak_mb']:.0f} / {row.peak_mb:.0f} / {opened['idle_mb']:.0f}",
            f"{error.max:.0f} / {error.mean:.3f}" if error else "-",
            f"{error.relative:.2%}" if error else "-",
        ]

    def _ratio(self, row: Row) -> str:
        """Median over the turns of this row's time to the first row's in the same turn."""
        turns = list(zip(row.times_ms, self.rows[0].times_ms, strict=False))
        return f"{statistics.median(a / b for a, b in turns):.2f}" if turns else "-"


@dataclass(frozen=True)
class Report(report.Report):
    """Everything that was measured.

    Attributes:
        groups: The measurements so far.
    """

    title: ClassVar[str] = "Engines compared"
    groups: list[Group] = field(default_factory=list)

    def notes(self) -> Iterator[str]:
        """How the rows were taken."""
        turns = max((len(r.times_ms) for g in self.groups for r in g.rows), default=0)
        yield (
            f"Each row is a process of its own; they took turns, {turns} of them, the order "
            "rotating. MB = 10^6 bytes, resident."
        )

    def body(self) -> Iterator[str]:
        """A table per group."""
        for number, group in enumerate(self.groups):
            yield from ([""] if number else [])
            yield from group.as_markdown()


def spread_of(alpha: U8Array) -> dict[str, float]:
    """Percentiles and deviation of mattes, in levels of 255."""
    p5, p50, p95 = np.percentile(alpha, (5, 50, 95))
    return {"p5": float(p5), "p50": float(p50), "p95": float(p95), "std": float(alpha.std())}
