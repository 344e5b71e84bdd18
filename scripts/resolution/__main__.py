"""What a matte gains on its way up to the size of a large photograph, judged with known truth.

    python -m scripts.resolution
    python -m scripts.resolution --megapixels 12 --sides 1024

Prints the report and writes it with its figures as JSON. Pictures are made by code of the
photographs in examples/; no network runs: true mattes are reduced to the size of a model input,
made as wrong as a network's, and brought back.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np

from scripts.arguments import positive
from scripts.command import run_command
from scripts.measuring.processes import REPOSITORY
from scripts.measuring.report import Report, begin_run, say
from scripts.measuring.table import table
from scripts.resolution.judge import FAULTS, WAYS, Cost, Trial, measure, try_out
from scripts.resolution.scenes import make_scenes

#: Height and width, by megapixels.
_SIZES = {2: (1200, 1600), 8: (2448, 3264), 12: (3000, 4000), 24: (4000, 6000)}
_MEGAPIXELS, _SIDES = (8, 12, 24), (512, 1024, 2048)
_COSTLY = ("hair, out of focus", "hard, photograph")


@dataclass(frozen=True)
class Resolution(Report):
    """Every matte that was brought up, and what that costs.

    Attributes:
        trials: One for each scene, size, side, fault and way.
        costs: Of two scenes, at every size, from 1024.
    """

    title: ClassVar[str] = "The way up to a large photograph"
    trials: list[Trial]
    costs: list[Cost]

    def notes(self) -> Iterable[str]:
        """How to read the figures."""
        yield (
            "Errors are means of |alpha - truth| within 8 pixels of the true edge, in thousandths. "
            "A true matte is reduced by area to the model input and brought back: `cubic` is how "
            "a BiRefNet's came up before, `unmixed` how it does now, `guided filter` how u2net's "
            "does."
        )
        yield (
            "`exact` is the reduced matte itself, which no network gives; `blurred` has a blur of "
            "0.8 pixels of the model input, `moved` besides lies 0.7 and 0.5 of its pixels aside."
        )

    def body(self) -> Iterable[str]:
        """A summary, then every scene at each size, then what it costs."""
        yield "## Error beside cubic's: geometric mean over scenes, and the worst scene"
        yield ""
        yield from table(_summary(self.trials), words=2)
        sides = sorted({one.side for one in self.trials})
        for fault in FAULTS:
            for side in sides:
                yield ""
                yield f"## Model input {side}, matte {fault}"
                yield ""
                here = [one for one in self.trials if (one.fault, one.side) == (fault, side)]
                yield from table(_scene_rows(here))
        drifts = [abs(one.drift) for one in self.trials if one.way == "unmixed"]
        yield ""
        yield (
            "The mean of alpha over a picture changes by at most "
            f"{1e3 * max(drifts):.1f} thousandths when it is unmixed, beside cubic."
        )
        yield ""
        yield "## Cost, one thread, from 1024"
        yield ""
        yield from table(_cost_rows(self.costs), words=2)


def main(arguments: list[str] | None = None) -> int:
    """Parse, make, judge, print."""
    options = _parse(arguments)
    cv2.setNumThreads(1)  # as in the service
    run = begin_run("scripts.resolution", arguments)
    trials: list[Trial] = []
    costs: list[Cost] = []
    for megapixels in options.megapixels:
        for scene in make_scenes(*_SIZES[megapixels]):
            say(f"{megapixels} megapixels: {scene.name}")
            for side in options.sides:
                trials += try_out(scene, side)
            if scene.name in _COSTLY:
                costs += measure(scene, 1024)
    report = Resolution(*run, trials, costs)
    report.publish(options.output or REPOSITORY / "docs" / "benchmarks" / f"{run.date}-resolution")
    return 0


def _summary(trials: Sequence[Trial]) -> list[list[str]]:
    ways = [way for way in WAYS if way != "cubic"]
    heading = ["matte", "model input", *(f"{way}{end}" for way in ways for end in ("", ", worst"))]
    rows = [heading]
    for fault in FAULTS:
        for side in sorted({one.side for one in trials}):
            row = [fault, str(side)]
            for way in ways:
                ratios = _ratios([t for t in trials if (t.fault, t.side) == (fault, side)], way)
                row += [f"{np.exp(np.mean(np.log(ratios))):.2f}", f"{max(ratios):.2f}"]
            rows.append(row)
    return rows


def _ratios(trials: Sequence[Trial], way: str) -> list[float]:
    """Errors of a way beside cubic's, of the same pictures."""
    cubic = {(t.scene, t.megapixels): t.error for t in trials if t.way == "cubic"}
    return [t.error / cubic[t.scene, t.megapixels] for t in trials if t.way == way]


def _scene_rows(trials: Sequence[Trial]) -> list[list[str]]:
    sizes = sorted({one.megapixels for one in trials})
    rows = [["scene", *(f"{size:.0f} MP {way}" for size in sizes for way in WAYS)]]
    for name in dict.fromkeys(one.scene for one in trials):
        errors = {(t.megapixels, t.way): 1e3 * t.error for t in trials if t.scene == name}
        rows.append([name, *(f"{errors[size, way]:.1f}" for size in sizes for way in WAYS)])
    return rows


def _cost_rows(costs: Sequence[Cost]) -> list[list[str]]:
    return [
        ["scene", "way", "megapixels", "ms", "peak MB"],
        *(
            [one.scene, one.way, f"{one.megapixels:.0f}", f"{one.ms:.0f}", f"{one.peak_mb:.0f}"]
            for one in costs
        ),
    ]


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--megapixels", type=int, nargs="+", choices=list(_SIZES), default=list(_MEGAPIXELS)
    )
    parser.add_argument("--sides", type=positive, nargs="+", default=list(_SIDES), metavar="S")
    parser.add_argument("--output", type=Path, metavar="STEM", help="report, without suffix")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    run_command(main)
