"""What "Look again at what is in view" of the page is worth, judged with known truth.

    python -m scripts.look_again
    python -m scripts.look_again --model u2net --model u2netp

Prints the report and writes it with its figures as JSON. The composites are those of
`scripts.evaluate`, fetched on first use. The split `tune` is there to choose the page's bounds on.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np

from scripts.arguments import positive
from scripts.command import run_command
from scripts.download_model import DEFAULT_FOLDER
from scripts.evaluate.cases import composite_cases
from scripts.evaluate.composites import DEFAULT_CACHE, Split
from scripts.evaluate.contenders import open_model
from scripts.look_again.trials import PLACES, SHARES, Trial, try_out
from scripts.measuring.processes import REPOSITORY
from scripts.measuring.report import Report, begin_run, say
from scripts.measuring.table import table

#: A part is taken over if it contradicts what was certain by at most this:
#: `MOST_CONTRADICTION` of `web/page/src/editor/session.ts`.
MOST_CONTRADICTION = 0.01
#: What else that could be; the last takes everything.
_BOUNDS = (0.003, 0.005, 0.01, 0.015, 0.02, 0.03, 1.0)
_COMPOSITES = 48
_PLACES = {"edge": "the edge", "error": "the largest error"}


@dataclass(frozen=True)
class LookAgain(Report):
    """What was looked at again and what became of it.

    Attributes:
        trials: Of each model, of each split.
    """

    title: ClassVar[str] = "Looking again at a part of a picture"
    trials: dict[str, dict[Split, list[Trial]]]

    def as_json(self) -> dict[str, Any]:
        """Every window, a list for each field; errors to five places, for there are thousands."""
        trials = {
            model: {split: _columns(trials) for split, trials in splits.items()}
            for model, splits in self.trials.items()
        }
        return {**super().as_json(), "trials": trials}

    def notes(self) -> Iterable[str]:
        """How to read the figures."""
        yield (
            "Each window is cut out of the picture, given to the same model, and blended into the "
            "first matte over 8 % of its side, as the page does. Its side is a share of the "
            "picture's longer side; it lies around a random pixel of the true edge, or around the "
            "largest error of the first matte, where somebody would look again."
        )
        yield (
            "`contradiction` is how far the second matte differs, in the mean, where the first "
            "was certain (at most 8, or at least 247 of 255)."
        )
        yield (
            "Errors are means of |alpha - truth|, in thousandths: in the window, and within 8 "
            "pixels of the true edge there. `better` counts windows whose error near the edge fell."
        )
        yield (
            "The page offers this for at most half of the longer side, and takes what contradicts "
            f"by at most {MOST_CONTRADICTION}: on `tune` no other pair is better. `test` has other "
            "pictures."
        )

    def body(self) -> Iterable[str]:
        """What the two bounds could be, then what they give."""
        yield "## How much the error near the edge falls"
        yield ""
        yield "Of all models and places, windows that are not taken included, plus or minus the"
        yield "standard error over pictures. Columns: the largest contradiction that is taken."
        for split in get_args(Split):
            trials = [one for splits in self.trials.values() for one in splits[split]]
            yield ""
            yield from table(_bound_rows(trials, f"`{split}`, side"))
        for model, splits in self.trials.items():
            for split, trials in splits.items():
                yield ""
                yield f"## {model}, split `{split}`"
                yield ""
                yield f"Taken where the contradiction is at most {MOST_CONTRADICTION}:"
                yield ""
                yield from table(_taken_rows(trials), words=2)


def main(arguments: list[str] | None = None) -> int:
    """Parse, look, print."""
    options = _parse(arguments)
    run = begin_run("scripts.look_again", arguments)
    trials: dict[str, dict[Split, list[Trial]]] = {}
    for name in options.model or ["u2net"]:
        with closing(open_model(name, options.weights)) as model:
            trials[model.label] = {}
            for split in get_args(Split):
                say(f"{model.label}, {split}")
                cases = composite_cases(options.cache, split, options.composites)
                trials[model.label][split] = [
                    trial
                    for number, case in enumerate(cases)
                    for trial in try_out(case, number, model.matte)
                ]
    report = LookAgain(*run, trials)
    report.publish(options.output or REPOSITORY / "docs" / "benchmarks" / f"{run.date}-look-again")
    return 0


def _columns(trials: Sequence[Trial]) -> dict[str, list[Any]]:
    return {
        field.name: [
            round(value, 5) if isinstance(value, float) else value
            for value in (getattr(one, field.name) for one in trials)
        ]
        for field in fields(Trial)
    }


def _taken_rows(trials: Sequence[Trial]) -> list[list[str]]:
    rows = [["around", "side", "windows", "taken %", "window before", "after", "near the edge"]]
    rows[0] += ["after", "better %", "all windows before", "after", "near the edge", "after"]
    for place in PLACES:
        for share in SHARES:
            here = [one for one in trials if (one.place, one.share) == (place, share)]
            taken = [one for one in here if one.contradiction <= MOST_CONTRADICTION]
            near = [one for one in taken if one.band_before is not None]
            rows.append(
                [
                    _PLACES[place],
                    f"{share}",
                    f"{len(here)}",
                    f"{100 * len(taken) / len(here):.0f}",
                    *_errors(taken, MOST_CONTRADICTION),
                    f"{_percent(near, lambda one: _gain(one) > 0)}",
                    *_errors(here, MOST_CONTRADICTION),
                ]
            )
    return rows


def _bound_rows(trials: Sequence[Trial], heading: str) -> list[list[str]]:
    rows = [[heading, *(f"{bound}" if bound < 1 else "any" for bound in _BOUNDS)]]
    for share in SHARES:
        here = [one for one in trials if one.share == share and one.band_before is not None]
        rows.append([f"{share}", *(_mean_gain(here, bound) for bound in _BOUNDS)])
    return rows


def _mean_gain(trials: Sequence[Trial], bound: float) -> str:
    """The mean of the pictures' means, and its standard error."""
    of_pictures: dict[str, list[float]] = {}
    for one in trials:
        gain = _gain(one) if one.contradiction <= bound else 0.0
        of_pictures.setdefault(one.picture, []).append(1e3 * gain)
    means = np.array([np.mean(gains) for gains in of_pictures.values()])
    return f"{means.mean():.1f} ± {means.std() / np.sqrt(len(means)):.1f}"


def _errors(trials: Sequence[Trial], bound: float) -> list[str]:
    """Window before and after, near the edge before and after; unchanged where not taken."""
    windows = [
        (one.before, one.after if one.contradiction <= bound else one.before) for one in trials
    ]
    bands = [
        (one.band_before, one.band_after if one.contradiction <= bound else one.band_before)
        for one in trials
        if one.band_before is not None
    ]
    return [
        f"{1e3 * float(np.mean([pair[at] for pair in pairs])):.1f}" if pairs else "-"
        for pairs in (windows, bands)
        for at in (0, 1)
    ]


def _gain(one: Trial) -> float:
    """By how much the error near the edge falls; 0 where there is no edge."""
    return (one.band_before or 0.0) - (one.band_after or 0.0)


def _percent(trials: Sequence[Trial], holds: Callable[[Trial], bool]) -> str:
    return f"{100 * sum(map(holds, trials)) / len(trials):.0f}" if trials else "-"


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", action="append", help="NAME[:ENGINE[:PRECISION]], repeatable")
    parser.add_argument("--composites", type=positive, default=_COMPOSITES, metavar="N")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="composites' material")
    parser.add_argument("--weights", type=Path, default=DEFAULT_FOLDER, help="checkpoints' folder")
    parser.add_argument("--output", type=Path, metavar="STEM", help="report, without suffix")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    run_command(main)
