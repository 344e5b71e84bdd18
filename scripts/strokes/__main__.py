"""What strokes do to mattes that are wrong, judged with known truth, and how long they take.

    python -m scripts.strokes                        the report
    python -m scripts.strokes --photographs           with the photographs of examples/ alone

Prints the report and writes it with its figures as JSON. The composites are those of
`scripts.evaluate`, enlarged to 1024 pixels; they are fetched on first use.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from models.arrays import Mask, U8Array
from scripts.arguments import positive
from scripts.command import run_command
from scripts.evaluate.cases import EXAMPLE_PHOTOS, Case, example_cases
from scripts.evaluate.composites import DEFAULT_CACHE, fetch_packages, make_composites
from scripts.measuring.processes import REPOSITORY
from scripts.measuring.report import Report, begin_run
from scripts.measuring.table import table
from scripts.strokes.faults import make_faults, read_faults
from scripts.strokes.judge import ENOUGH, Trial, try_out

SCRIPTED = EXAMPLE_PHOTOS.parent / "strokes" / "strokes.json"
_COMPOSITES = 24
_SIDE = 1024


@dataclass(frozen=True)
class Strokes(Report):
    """What was drawn and what became of it.

    Attributes:
        trials: Of the composites and of the photographs, by set.
    """

    title: ClassVar[str] = "Strokes, judged with known truth"
    trials: dict[str, list[Trial]]

    def notes(self) -> Iterable[str]:
        """How to read the figures."""
        yield (
            "Each matte is the true one with a piece of the subject lost or a piece of the "
            "background kept. Errors are means of |alpha - truth|, 0..1: `wrong` where that matte "
            "was wrong, `elsewhere` everywhere else, in thousandths; after one stroke."
        )
        yield f"`strokes` is how many it takes to an error below {ENOUGH} where it was wrong."
        yield "Milliseconds are wall time of one stroke and of the matte made of it, one thread."

    def body(self) -> Iterable[str]:
        """One row for each set."""
        heading = ["set", "mattes", "wrong before", "after", "p95", "elsewhere before", "after"]
        rows = [[*heading, "p95", "strokes", "at most", "ms", "p95"]]
        for name, trials in self.trials.items():
            after, harm = _column(trials, "after"), _column(trials, "elsewhere_after")
            ms, needed = _column(trials, "ms"), _column(trials, "needed")
            rows.append(
                [
                    name,
                    str(len(trials)),
                    f"{_column(trials, 'before').mean():.3f}",
                    *(f"{one:.3f}" for one in (after.mean(), np.percentile(after, 95))),
                    f"{1e3 * _column(trials, 'elsewhere_before').mean():.2f}",
                    *(f"{1e3 * one:.2f}" for one in (harm.mean(), np.percentile(harm, 95))),
                    f"{needed.mean():.2f}",
                    f"{needed.max():.0f}",
                    *(f"{one:.0f}" for one in (np.median(ms), np.percentile(ms, 95))),
                ]
            )
        yield from table(rows)


def main(arguments: list[str] | None = None) -> int:
    """Parse, draw, print."""
    options = _parse(arguments)
    cv2.setNumThreads(1)  # as in the service
    run = begin_run("scripts.strokes", arguments)
    photographs = {case.name: case for case in example_cases()}
    trials = {"photographs": [try_out(one) for one in read_faults(SCRIPTED, photographs)]}
    if not options.photographs:
        made = make_composites(fetch_packages(options.cache), "test", options.composites)
        cases = (
            _enlarged(Case(one.name, one.source, one.alpha_u8, _all_known(one.alpha_u8)))
            for one in made
        )
        faults = (fault for number, case in enumerate(cases) for fault in make_faults(case, number))
        trials["composites"] = [try_out(fault) for fault in faults]
    report = Strokes(*run, trials)
    report.publish(options.output or REPOSITORY / "docs" / "benchmarks" / f"{run.date}-strokes")
    return 0


def _column(trials: list[Trial], name: str) -> npt.NDArray[np.float64]:
    return np.array([getattr(one, name) for one in trials], np.float64)


def _all_known(alpha_u8: U8Array) -> Mask:
    return np.asarray(np.ones(alpha_u8.shape), np.bool_)


def _enlarged(case: Case) -> Case:
    """The picture at the size of most screens."""
    height, width = case.alpha_u8.shape
    scale = _SIDE / max(height, width)
    size = (round(width * scale), round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    alpha = np.asarray(cv2.resize(case.alpha_u8, size, interpolation=method), np.uint8)
    source = np.asarray(cv2.resize(case.source, size, interpolation=method), np.uint8)
    return replace(case, source=source, alpha_u8=alpha, known=_all_known(alpha))


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--composites", type=positive, default=_COMPOSITES, metavar="N")
    parser.add_argument("--photographs", action="store_true", help="no composites")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="composites' material")
    parser.add_argument("--output", type=Path, metavar="STEM", help="report, without suffix")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    run_command(main)
