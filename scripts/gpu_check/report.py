"""The report of a GPU check: on disk after every row, so that a run can be taken up again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from models.artifacts import write_atomically
from scripts.gpu_check import served_row
from scripts.gpu_check.served_row import DONE, NOT_MEASURED, ServedRow, was_tried
from scripts.measuring.table import table

#: Facts that stand above the table: without them a number says nothing.
_HEADING = ("device", "driver", "cuda", "torch", "date", "command")
_COLUMNS = [
    *("network", "how", "batch", "forward ms", "min", "host to host ms", "images/s", "of peak"),
    *("MiB", "error max / mean, of 255", "relative", "first s"),
]


@dataclass(frozen=True)
class Row:
    """One network, run in one way, at one batch size.

    Attributes:
        model: Backbone of the network.
        case: How it was run.
        batch: Pictures per pass.
        status: `ok`, or what came between; rows that begin with `skipped` are tried on a resume.
        forward_ms: One pass between two events on the device, median; None for engines that do not
            let us in between.
        forward_min_ms: The shortest.
        predict_ms: The same from the host's memory and back, median.
        repeats: Passes measured.
        images_per_s: Pictures per second, from `forward_ms` if there is one.
        peak_share: Share of the measured matrix peak that the multiply-adds came to.
        memory_mb: Device memory held after the passes, in MiB: weights, maps, what was recorded for
            this batch size and the smaller ones; the CUDA context comes on top.
        error_max: Largest difference from f32, in levels of 255.
        error_mean: Mean difference, likewise.
        error_relative: Mean difference as a share of the standard deviation of f32's mattes.
        first_s: Until the first mattes: compilation, recording, search for algorithms.
    """

    model: str
    case: str
    batch: int
    status: str = DONE
    forward_ms: float | None = None
    forward_min_ms: float | None = None
    predict_ms: float | None = None
    repeats: int = 0
    images_per_s: float | None = None
    peak_share: float | None = None
    memory_mb: float | None = None
    error_max: float | None = None
    error_mean: float | None = None
    error_relative: float | None = None
    first_s: float | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        """What it is about."""
        return self.model, self.case, self.batch

    @property
    def was_tried(self) -> bool:
        """Whether trying again would be a repetition."""
        return was_tried(self.status)

    @property
    def name(self) -> str:
        """What it is about, in words."""
        return f"{self.model}, {self.case}, batch {self.batch}"


AnyRow = Row | ServedRow
#: A row of either table, the same one throughout.
SomeRow = TypeVar("SomeRow", Row, ServedRow)


@dataclass
class Report:
    """Everything a run has found so far; on disk at any moment.

    Attributes:
        file: Where it is written.
        facts: What is known beside the rows: device, versions, peaks, profiles.
        rows: What was measured of networks.
        served: What was measured of services.
    """

    file: Path
    facts: dict[str, Any] = field(default_factory=dict)
    rows: dict[tuple[str, str, int], Row] = field(default_factory=dict)
    served: dict[tuple[str, str, str, int], ServedRow] = field(default_factory=dict)

    @classmethod
    def resume(cls, file: Path) -> Report:
        """Take up a report where it was left; an empty one where there is none."""
        report = cls(file)
        if file.is_file():
            content = json.loads(file.read_text())
            rows = [Row(**values) for values in content.pop("rows")]
            served = [ServedRow(**values) for values in content.pop("served", ())]
            report.rows = {row.key: row for row in rows}
            report.served = {row.key: row for row in served}
            report.facts = content
        return report

    def has(self, *key: str | int) -> bool:
        """Whether a row was tried already."""
        every: dict[Any, AnyRow] = {**self.rows, **self.served}
        return key in every and every[key].was_tried

    def add(self, row: AnyRow) -> None:
        """Put a row in, print it, and write all."""
        if isinstance(row, ServedRow):
            self.served[row.key] = row
            print(row.line(), flush=True)
        else:
            self.rows[row.key] = row
            print(_line(row), flush=True)
        self.write()

    def note(self, **facts: Any) -> None:
        """Put facts in and write all."""
        self.facts.update(facts)
        self.write()

    def note_build(self, what: str, **cost: Any) -> None:
        """Put in what it took to build something that rows are measured on."""
        self.note(builds={**self.facts.get("builds", {}), what: cost})

    def write(self) -> None:
        """Write, so that a kill at any moment leaves the old file or the new one."""
        rows = [asdict(row) for row in self.rows.values()]
        served = [asdict(row) for row in self.served.values()]
        content = {**self.facts, "rows": rows, "served": served}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.file, json.dumps(content, indent=1) + "\n")

    def as_markdown(self) -> str:
        """What the numbers belong to, the rows as a table, and what was skipped or failed."""
        rows = table([_COLUMNS, *self._rows()], words=2)
        cells = [row.cells() for row in self.served.values() if row.status == DONE]
        served = table([served_row.COLUMNS, *cells], words=3) if cells else []
        return "\n".join([*self._heading(), "", *rows, "", *served, "", *self._rest()])

    def _heading(self) -> Iterator[str]:
        for name in _HEADING:
            if name in self.facts:
                yield f"- {name}: {self.facts[name]}"
        peaks = self.facts.get("peaks_tflops", {})
        if peaks:
            reached = ", ".join(f"{name} {peak:.1f}" for name, peak in peaks.items())
            yield f"- peaks, TFLOP/s: {reached}"

    def _rows(self) -> Iterator[list[str]]:
        for row in self.rows.values():
            if row.status == DONE:
                yield [
                    *(row.model, row.case, str(row.batch)),
                    _number(row.forward_ms, 2),
                    _number(row.forward_min_ms, 2),
                    _number(row.predict_ms, 2),
                    _number(row.images_per_s, 1),
                    _share(row.peak_share),
                    _number(row.memory_mb, 0),
                    f"{_number(row.error_max, 0)} / {_number(row.error_mean, 3)}",
                    _share(row.error_relative),
                    _number(row.first_s, 1),
                ]

    def _rest(self) -> Iterator[str]:
        for what, cost in self.facts.get("builds", {}).items():
            yield f"- {what}: " + ", ".join(f"{name} {value}" for name, value in cost.items())
        for name, reason in self.facts.get("not_run", {}).items():
            yield f"- {name}: {NOT_MEASURED} {reason}"
        rows: tuple[AnyRow, ...] = (*self.served.values(), *self.rows.values())
        for row in rows:
            if row.status != DONE:
                yield f"- {row.name}: {row.status}"


def _line(row: Row) -> str:
    if row.status != DONE:
        return f"{row.model:10} {row.case:24} x{row.batch}: {row.status}"
    return (
        f"{row.model:10} {row.case:24} x{row.batch}: {_number(row.forward_ms, 2)} ms, "
        f"{_number(row.images_per_s, 1)}/s, {_share(row.peak_share)} of peak, "
        f"{_number(row.memory_mb, 0)} MiB, off by {_number(row.error_max, 0)} at most, "
        f"{_number(row.error_mean, 3)} on average"
    )


def _number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
