"""Measured rows in, a JSON file and a Markdown table out."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from models.arrays import U8Array
from scripts.measuring.errors import Error
from scripts.measuring.machine import Machine


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
        yield (
            "| engine | runtime | device | precision | median ms | p95 | images/s | CPU ms "
            "| times the first | opened in s | MB opening / running / between "
            "| error max / mean, of 255 | of deviation |"
        )
        yield "|---|---|---|---|" + "---:|" * 9
        for row in self.rows:
            yield self._line(row)

    def _line(self, row: Row) -> str:
        if row.failure is not None or not row.times_ms:
            return f"| {row.label} | {row.failure or 'no time was left'} |" + " |" * 11
        median, opened, error = statistics.median(row.times_ms), row.opened, row.error
        off = "- | -"
        if error:
            off = f"{error.max:.0f} / {error.mean:.3f} | {error.relative:.2%}"
        return (
            f"| {row.label} | {opened['runtime']} | {opened['device']} | {opened['precision']} "
            f"| {median:.0f} | {_p95(row.times_ms):.0f} "
            f"| {self.batch / median * 1e3:.2f} | {statistics.median(row.cpu_ms):.0f} "
            f"| {self._ratio(row)} | {opened['open_s']:.1f} | {opened['open_peak_mb']:.0f} / "
            f"{row.peak_mb:.0f} / {opened['idle_mb']:.0f} | {off} |"
        )

    def _ratio(self, row: Row) -> str:
        """Median over the turns of this row's time to the first row's in the same turn."""
        turns = list(zip(row.times_ms, self.rows[0].times_ms, strict=False))
        return f"{statistics.median(a / b for a, b in turns):.2f}" if turns else "-"


@dataclass
class Report:
    """Everything that was measured.

    Attributes:
        date: Day it was measured.
        command: What measured it.
        machine: On what.
        groups: The measurements.
    """

    date: str
    command: str
    machine: Machine
    groups: list[Group] = field(default_factory=list)

    def as_markdown(self) -> str:
        """A page."""
        turns = max((len(r.times_ms) for g in self.groups for r in g.rows), default=0)
        lines = [
            f"# Engines compared, {self.date}",
            "",
            f"`{self.command}`",
            "",
            *self.machine.as_markdown(),
            f"- Each row is a process of its own; they took turns, {turns} of them, the order "
            "rotating. MB = 10^6 bytes, resident.",
        ]
        for group in self.groups:
            lines += ["", *group.as_markdown()]
        return "\n".join(lines) + "\n"

    def write(self, stem: Path) -> None:
        """Write `stem.md` and `stem.json`."""
        stem.parent.mkdir(parents=True, exist_ok=True)
        stem.with_name(f"{stem.name}.md").write_text(self.as_markdown())
        stem.with_name(f"{stem.name}.json").write_text(json.dumps(asdict(self), indent=1) + "\n")


def spread_of(alpha: U8Array) -> dict[str, float]:
    """Percentiles and deviation of mattes, in levels of 255."""
    p5, p50, p95 = np.percentile(alpha, (5, 50, 95))
    return {"p5": float(p5), "p50": float(p50), "p95": float(p95), "std": float(alpha.std())}


def _p95(times: list[float]) -> float:
    return float(np.percentile(times, 95))
