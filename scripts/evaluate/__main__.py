"""How close a model's cutouts come to pictures with true mattes, alone or against another's.

    python -m scripts.evaluate --model u2net --images FOLDER --truth FOLDER
    python -m scripts.evaluate --model u2net --against u2netp --composites 24
    python -m scripts.evaluate --model u2net --against rembg

Prints a table and writes it, JSON, a chart, every matte and the worst pictures side by side.
docs/evaluation.md says what the measures mean.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from models.errors import BackgroundRemovalError
from scripts.command import run_command
from scripts.download_model import DEFAULT_FOLDER
from scripts.evaluate import sod
from scripts.evaluate.cases import (
    CaseSet,
    composite_cases,
    example_cases,
    folder_cases,
    read_matte,
    write_matte,
)
from scripts.evaluate.composites import DEFAULT_CACHE
from scripts.evaluate.contenders import Contender, PlainCutouts, open_model
from scripts.evaluate.pictures import draw_chart, draw_sheet
from scripts.evaluate.report import Evaluation
from scripts.evaluate.scores import Scores, score_cutout
from scripts.measuring.report import Run, begin_run
from scripts.rembg.cutouts import MODELS, RembgCutouts
from scripts.rembg.environment import ENVIRONMENT as REMBG

DEFAULT_OUTPUT = Path("build") / "evaluation"
#: What a model can be held against beside another one, and how many composites it then takes.
BASELINES = ("rembg", "plain")
_COMPOSITES = 48


def main(arguments: list[str] | None = None) -> int:
    """Parse, evaluate, print; 2 when it could not be done."""
    options = _parse(arguments)
    run = begin_run("scripts.evaluate", arguments)
    try:
        python = None if options.no_sod else sod.ENVIRONMENT.make()
        cases = _find_cases(options)
        with ExitStack() as opened:
            contenders = [opened.enter_context(closing(one)) for one in _contenders(options)]
            evaluation = evaluate(contenders, cases, options.output, run, python)
    except (BackgroundRemovalError, OSError, RuntimeError, ValueError) as fault:
        print(f"evaluate: {fault}", file=sys.stderr)
        return 2
    draw(evaluation, cases, options.output, options.worst)
    print("\n".join(evaluation.body()))
    print(f"written to {options.output}: the report, JSON, a chart, all mattes, the worst pictures")
    return 0


def evaluate(
    contenders: Sequence[Contender],
    cases: CaseSet,
    output: Path,
    run: Run,
    sod_python: Path | None,
) -> Evaluation:
    """Measure contenders on pictures and write what was measured.

    Args:
        contenders: One to three, all different.
        cases: The pictures.
        output: Folder for the reports and the mattes; created if absent.
        run: What the figures belong to.
        sod_python: Python that has pysodmetrics, or None to leave its measures out.

    Returns:
        What was measured.

    Raises:
        RuntimeError: If pysodmetrics fails; everything else is written before.
    """
    mattes = {one.label: _matte_folder(output, one.label) for one in contenders}
    if len(mattes) < len(contenders):
        raise ValueError(f"a model against itself: {contenders[0].label}")
    described = {one.label: one.describe() for one in contenders}
    scores = {one.label: _score_all(one, cases, _emptied(mattes[one.label])) for one in contenders}
    evaluation = Evaluation(*run, cases.description, described, scores, sod_versions={})
    evaluation.write(output / "evaluation")
    if sod_python:
        evaluation = _with_sod(evaluation, sod_python, cases, mattes)
        evaluation.write(output / "evaluation")
    return evaluation


def _with_sod(
    evaluation: Evaluation, python: Path, cases: CaseSet, mattes: Mapping[str, Path]
) -> Evaluation:
    """The same with pysodmetrics' measures."""
    try:
        versions = sod.ENVIRONMENT.versions(python)
        further = sod.score_all(python, cases, mattes)
    except RuntimeError as failure:
        raise RuntimeError(
            f"{failure}; the report lacks pysodmetrics' measures: --no-sod leaves them out"
        ) from failure
    scores = {
        who: {name: {**own, **further[who][name]} for name, own in named.items()}
        for who, named in evaluation.scores.items()
    }
    return replace(evaluation, scores=scores, sod_versions=versions)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    model = "NAME[:ENGINE[:PRECISION]], such as u2net:onnxruntime:f32 or u2net::int8"
    parser.add_argument("--model", default="u2net", help=model)
    parser.add_argument(
        "--against",
        help="a second model, in the same form; `rembg` with the same weights; or `plain`, the "
        "network's own matte; the last two on 48 composites unless other pictures are named",
    )
    parser.add_argument("--images", type=Path, help="folder of pictures")
    parser.add_argument("--truth", type=Path, help="folder of mattes or outlines, same names")
    parser.add_argument("--composites", type=int, metavar="N", help="pictures with exact alpha")
    parser.add_argument("--split", choices=("tune", "test"), default="test", help="of composites")
    parser.add_argument("--worst", type=int, default=3, metavar="N", help="pictures to show")
    parser.add_argument("--no-sod", action="store_true", help="without pysodmetrics")
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT, metavar="FOLDER")
    parser.add_argument("--rembg-python", type=Path, help="python that has rembg; else one is made")
    parser.add_argument("--weights", type=Path, default=DEFAULT_FOLDER, help="checkpoints' folder")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="composites' material")
    options = parser.parse_args(arguments)
    if (options.images is None) != (options.truth is None):
        parser.error("--images and --truth belong together")
    if options.images and options.composites:
        parser.error("either --images or --composites")
    if options.against == "rembg" and options.model.partition(":")[0] not in MODELS:
        parser.error(f"rembg runs {' and '.join(MODELS)} with our weights, not {options.model}")
    if options.against in BASELINES and not options.images:
        options.composites = options.composites or _COMPOSITES
    return options


def _find_cases(options: argparse.Namespace) -> CaseSet:
    if options.images:
        return folder_cases(options.images, options.truth)
    if options.composites:
        return composite_cases(options.cache, options.split, options.composites)
    return example_cases()


def _contenders(options: argparse.Namespace) -> Iterator[Contender]:
    """Open them one by one; whoever takes them closes them."""
    model = open_model(options.model, options.weights)
    yield model
    if options.against in BASELINES:
        yield PlainCutouts(model)
    elif options.against:
        yield open_model(options.against, options.weights)
    if options.against == "rembg":
        yield RembgCutouts(model.spec, options.weights, options.rembg_python or REMBG.make())


def _score_all(contender: Contender, cases: CaseSet, folder: Path) -> dict[str, Scores]:
    """Scores by name of the picture; keeps the mattes."""
    scores = {}
    for number, case in enumerate(cases, start=1):
        print(f"{contender.label}: {number} of {len(cases.names)}, {case.name}", file=sys.stderr)
        made = contender.cut_out(case.source)
        write_matte(folder, case.name, made[..., 3])
        scores[case.name] = score_cutout(made, case)
    return scores


def _matte_folder(output: Path, label: str) -> Path:
    return output / "mattes" / label.replace(" ", "-")


def _emptied(folder: Path) -> Path:
    """A folder that holds no picture of an earlier run."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    return folder


def draw(evaluation: Evaluation, cases: CaseSet, output: Path, count: int) -> None:
    """Write the chart and the pictures on which a contender is farthest from the truth."""
    draw_chart(evaluation.rows(), evaluation.measures()).save(output / "scores.png")
    worst = _emptied(output / "worst")
    errors = {
        name: max(named[name]["mae"] for named in evaluation.scores.values())
        for name in cases.names
    }
    for rank, name in enumerate(sorted(errors, key=errors.__getitem__, reverse=True)[:count], 1):
        mattes = {who: read_matte(_matte_folder(output, who), name) for who in evaluation.scores}
        draw_sheet(cases.load(name), mattes).save(worst / f"{rank}-{name}.png")


if __name__ == "__main__":
    run_command(main)
