"""Whether the image effects do what they say, judged with known truth, and what they cost.

    python -m scripts.looks                          the report
    python -m scripts.looks --picture docs/pictures/looks.jpg
    python -m scripts.looks --vectors tests/data/looks

Prints the report and writes it with its figures as JSON. The composites are those of
`scripts.evaluate`; they are fetched on first use.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2

from scripts.arguments import positive
from scripts.command import run_command
from scripts.evaluate.composites import DEFAULT_CACHE, fetch_packages, make_composites
from scripts.looks.cost import Cost, measure_costs
from scripts.looks.judge import Judgement, judge_all
from scripts.looks.sheet import draw_sheet
from scripts.looks.trials import compose_scene
from scripts.looks.vectors import write_vectors
from scripts.measuring.processes import REPOSITORY
from scripts.measuring.report import Report, begin_run, say
from scripts.measuring.table import table

_COMPOSITES = 24


@dataclass(frozen=True)
class Looks(Report):
    """What was judged and what it costs.

    Attributes:
        composites: How many pictures were made.
        judgements: Each measure of each effect.
        costs: Each call; the first is what the others are compared with.
    """

    title: ClassVar[str] = "Image effects, judged with known truth"
    composites: int
    judgements: list[Judgement]
    costs: list[Cost]

    def notes(self) -> Iterable[str]:
        """How to read the figures."""
        yield (
            f"{self.composites} composites with exact colours, matte and background "
            "(scripts/evaluate/composites.py, split `test`) and the three photographs of "
            "`examples/`. Lower is better everywhere; `better` counts pictures."
        )
        yield "CPU time is of one thread, the least of three calls. Memory includes the results."
        yield (
            "Before is nothing done, or the plain way: a square window (outline), the box of all "
            "visible pixels (crop), straight colours resized (place), the moved matte without blur "
            "(shadow), the source blurred (blurred backdrop)."
        )
        yield (
            "Colour matching is thin evidence: the truth is a photograph's own light, and the "
            "shifts are simulated (0.7 stops, white balance of 20 %). A piece of a photograph is "
            "like what is around it, so more strength helps; a subject of its own colour, as in "
            "the three photographs, bears a third. No colour moves farther than 0.08 of OKLab."
        )
        yield (
            "With the true matte, what decontamination leaves is alpha times the error of the "
            "colour, over any ground; over another matte, the matte's own error comes on top."
        )

    def body(self) -> Iterable[str]:
        """The two tables."""
        yield "## Truth"
        yield ""
        heading = ["effect", "measure", "with", "before", "after", "better"]
        rows = [
            [
                one.effect,
                one.measure,
                one.variant,
                f"{one.before:.3g}",
                f"{one.after:.3g}",
                f"{one.better} of {one.pictures}",
            ]
            for one in self.judgements
        ]
        yield from table([heading, *rows], words=3)
        yield ""
        yield "## Cost"
        yield ""
        costs = [["call", "ms at 2 MP", "ms at 12 MP", "bytes per pixel", "file at 12 MP, kB"]]
        for cost in self.costs:
            figures = (cost.small_ms, cost.large_ms, cost.bytes_per_pixel)
            file = "" if cost.file_kb is None else f"{cost.file_kb:.0f}"
            costs.append([cost.call, *(f"{one:.1f}" for one in figures), file])
        yield from table(costs)
        yield ""
        yield "![Every effect on one photograph](../pictures/looks.jpg)"


def main(arguments: list[str] | None = None) -> int:
    """Parse, do one of the three, print."""
    options = _parse(arguments)
    cv2.setNumThreads(1)  # as in the service
    if options.vectors:
        write_vectors(options.vectors)
        return 0
    if options.picture:
        draw_sheet().save(options.picture, quality=76, optimize=True)
        return 0
    run = begin_run("scripts.looks", arguments)
    made = make_composites(fetch_packages(options.cache), "test", options.composites)
    scenes = [compose_scene(one) for one in made]
    say(f"{len(scenes)} composites made")
    judgements = list(judge_all(scenes))
    say("judged; now the cost")
    report = Looks(*run, len(scenes), judgements, list(measure_costs()))
    report.publish(options.output or REPOSITORY / "docs" / "benchmarks" / f"{run.date}-looks")
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--composites", type=positive, default=_COMPOSITES, metavar="N")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="composites' material")
    parser.add_argument("--output", type=Path, metavar="STEM", help="report, without suffix")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--picture", type=Path, help="draw the contact sheet into this JPEG")
    instead.add_argument("--vectors", type=Path, help="write the reference vectors here")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    run_command(main)
