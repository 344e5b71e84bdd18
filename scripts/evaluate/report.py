"""Scores of one or two contenders in, Markdown for people and JSON for programs out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scripts.evaluate.scores import MEASURES, Measure, Scores, mean, values_of
from scripts.measuring.machine import Machine


@dataclass(frozen=True)
class Evaluation:
    """One run.

    Attributes:
        date: Of the run, ISO.
        command: That repeats it.
        machine: What it ran on.
        pictures: What was measured on, in words.
        contenders: By label, what it was: model, runtime, precision.
        scores: By label and name of the picture, unscaled.
        sod_versions: Of pysodmetrics and what it stands on; empty where it was left out.
    """

    date: str
    command: str
    machine: Machine
    pictures: str
    contenders: Mapping[str, Mapping[str, str]]
    scores: Mapping[str, Mapping[str, Scores]]
    sod_versions: Mapping[str, str]

    def measures(self) -> list[Measure]:
        """Those that were taken, of one picture at least."""
        taken = set().union(*next(iter(self.rows().values())))
        return [measure for measure in MEASURES if measure.key in taken]

    def rows(self) -> dict[str, list[Scores]]:
        """Scores of each picture, by contender."""
        return {who: list(named.values()) for who, named in self.scores.items()}

    def means(self) -> dict[str, Scores]:
        """Averages over the pictures, by contender."""
        return {
            who: {measure.key: mean(rows, measure.key) for measure in self.measures()}
            for who, rows in self.rows().items()
        }

    def as_markdown(self) -> str:
        """The whole report."""
        tools = ", ".join(f"{name} {number}" for name, number in self.sod_versions.items())
        lines = [
            f"# Evaluation, {self.date}",
            "",
            f"`{self.command}`",
            "",
            f"- {self.pictures}; each picture counts the same",
            *(f"- {who}: {_in_words(what)}" for who, what in self.contenders.items()),
            *self.machine.as_markdown(),
            *([f"- The last measures by {tools}"] if tools else []),
            "",
            *self.table(),
        ]
        return "\n".join(lines) + "\n"

    def table(self) -> list[str]:
        """Lines of a table: a row per measure, a column per contender."""
        cells = [["measure", "better", *self.scores]]
        rows = list(self.rows().values())
        if len(rows) == 2:
            cells[0].append("the first is better, worse")
        for measure in self.measures():
            title = f"{measure.title}, {measure.unit}" if measure.unit else measure.title
            judged, pictures = len(values_of(rows[0], measure.key)), len(rows[0])
            if judged < pictures:
                title += f" ({judged} of {pictures} pictures)"
            values = [measure.text(means[measure.key]) for means in self.means().values()]
            cell = [title, "more" if measure.more_is_better else "less", *values]
            if len(rows) == 2:
                cell.append(_wins(measure, rows[0], rows[1]))
            cells.append(cell)
        return _aligned(cells)

    def as_json(self) -> str:
        """Everything, values unscaled."""
        whole: dict[str, Any] = {**asdict(self), "means": self.means()}
        return json.dumps(whole, indent=1) + "\n"

    def write(self, folder: Path) -> None:
        """Write `evaluation.json` and `evaluation.md` into a folder."""
        (folder / "evaluation.json").write_text(self.as_json())
        (folder / "evaluation.md").write_text(self.as_markdown())


def _in_words(what: Mapping[str, str]) -> str:
    return ", ".join(what.values())


def _wins(measure: Measure, first: Sequence[Scores], second: Sequence[Scores]) -> str:
    """On how many pictures the first is better and on how many worse."""
    pairs = list(
        zip(values_of(first, measure.key), values_of(second, measure.key), strict=True)
    )  # whether a picture has the measure is up to its truth alone
    better = sum(measure.is_better(a, b) for a, b in pairs)
    worse = sum(measure.is_better(b, a) for a, b in pairs)
    return f"{better}, {worse}"


def _aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table that is readable as it stands; numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]

    def line(row: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * width if at < 2 else "-" * (width - 1) + ":" for at, width in enumerate(widths)]
    return [line(cells[0]), line(rule), *(line(row) for row in cells[1:])]
