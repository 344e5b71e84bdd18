"""The report of an evaluation: a row per measure, a column per contender."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from scripts.evaluate.scores import MEASURES, Measure, Scores, mean, values_of
from scripts.measuring.report import Report
from scripts.measuring.table import table


@dataclass(frozen=True)
class Evaluation(Report):
    """One run.

    Attributes:
        pictures: What was measured on, in words.
        contenders: By label, what it was: model, runtime, precision.
        scores: By label and name of the picture, unscaled.
        sod_versions: Of pysodmetrics and what it stands on; empty where it was left out.
    """

    title: ClassVar[str] = "Evaluation"
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

    def notes(self) -> Iterator[str]:
        """What was measured, on what."""
        yield f"{self.pictures}; each picture counts the same"
        for who, what in self.contenders.items():
            yield f"{who}: {', '.join(what.values())}"
        if self.sod_versions:
            tools = ", ".join(f"{name} {number}" for name, number in self.sod_versions.items())
            yield f"The last measures by {tools}"

    def body(self) -> list[str]:
        """The table; where there are several contenders, the first is held against the last."""
        head, rows = ["measure", "better", *self.scores], list(self.rows().values())
        if len(rows) > 1:
            head += ["first / last", "the first is better, worse"]
        return table([head, *(self._cells(one, rows) for one in self.measures())], 2, padded=True)

    def as_json(self) -> dict[str, Any]:
        """Everything, values unscaled."""
        return {**super().as_json(), "means": self.means()}

    def _cells(self, measure: Measure, rows: Sequence[Sequence[Scores]]) -> list[str]:
        title = f"{measure.title}, {measure.unit}" if measure.unit else measure.title
        judged, pictures = len(values_of(rows[0], measure.key)), len(rows[0])
        if judged < pictures:
            title += f" ({judged} of {pictures} pictures)"
        means = [mean(one, measure.key) for one in rows]
        cells = [title, "more" if measure.more_is_better else "less", *map(measure.text, means)]
        if len(rows) > 1:
            ratio = f"{means[0] / means[-1]:.3f}" if means[-1] else "-"
            cells += [ratio, _wins(measure, rows[0], rows[-1])]
        return cells


def _wins(measure: Measure, first: Sequence[Scores], last: Sequence[Scores]) -> str:
    """On how many pictures the first is better and on how many worse."""
    pairs = list(
        zip(values_of(first, measure.key), values_of(last, measure.key), strict=True)
    )  # whether a picture has the measure is up to its truth alone
    better = sum(measure.is_better(a, b) for a, b in pairs)
    worse = sum(measure.is_better(b, a) for a, b in pairs)
    return f"{better}, {worse}"
