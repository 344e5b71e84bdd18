"""Pictures with true mattes -> how close a model comes to them, alone or against another.

    python -m scripts.evaluate --model u2net --images FOLDER --truth FOLDER
    python -m scripts.evaluate --model u2net --against u2netp --composites 24

Prints a table and writes it, JSON, a chart, every matte and the worst pictures side by side.
docs/evaluation.md says what the measures mean.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from models.errors import BackgroundRemovalError
from scripts.command import run_command
from scripts.download_model import DEFAULT_FOLDER
from scripts.evaluate import sod as evaluation_sod
from scripts.evaluate.cases import (
    CaseSet,
    composite_cases,
    example_cases,
    folder_cases,
    read_matte,
    write_matte,
)
from scripts.evaluate.composites import DEFAULT_CACHE
from scripts.evaluate.pictures import draw_chart, draw_sheet
from scripts.evaluate.report import Evaluation
from scripts.evaluate.scores import Scores, score
from scripts.measuring.machine import describe_machine
from scripts.measuring.open_model import OpenModel, open_model

DEFAULT_OUTPUT = Path("build") / "evaluation"


def main(arguments: list[str] | None = None) -> int:
    """Parse, evaluate, print; 2 when it could not be done."""
    options = _parse(arguments)
    command = shlex.join(["python", "-m", "scripts.evaluate", *(arguments or sys.argv[1:])])
    contenders: list[OpenModel] = []
    try:
        python = None if options.no_sod else evaluation_sod.make_environment()
        cases = _find_cases(options)
        for wanted in filter(None, (options.model, options.against)):
            contenders.append(_open(wanted, options.weights))
        evaluation = evaluate(contenders, cases, options.output, command, python)
    except (BackgroundRemovalError, OSError, RuntimeError, ValueError) as fault:
        print(f"evaluate: {fault}", file=sys.stderr)
        return 2
    finally:
        for one in contenders:
            one.engine.close()
    draw(evaluation, cases, options.output, options.worst)
    print("\n".join(evaluation.table()))
    print(f"written to {options.output}: the report, JSON, a chart, all mattes, the worst pictures")
    return 0


def evaluate(
    contenders: Sequence[OpenModel],
    cases: CaseSet,
    output: Path,
    command: str,
    sod_python: Path | None,
) -> Evaluation:
    """Measure models on pictures and write what was measured.

    Args:
        contenders: One or two open models, all different.
        cases: The pictures.
        output: Folder for the reports and the mattes; created if absent.
        command: What to say how the run can be repeated.
        sod_python: Python that has pysodmetrics, or None to leave its measures out.

    Returns:
        What was measured.

    Raises:
        RuntimeError: If pysodmetrics fails; everything else is written before.
    """
    mattes = {one.label: _matte_folder(output, one.label) for one in contenders}
    if len(mattes) < len(contenders):
        raise ValueError(f"a model against itself: {contenders[0].label}")
    evaluation = Evaluation(
        date=datetime.now(UTC).date().isoformat(),
        command=command,
        machine=describe_machine(),  # before the work, which is a load of its own
        pictures=cases.description,
        contenders={one.label: one.describe() for one in contenders},
        scores={
            one.label: _score_all(one, cases, _emptied(mattes[one.label])) for one in contenders
        },
        sod_versions={},
    )
    evaluation.write(output)
    if sod_python:
        evaluation = _with_sod(evaluation, sod_python, cases, mattes)
        evaluation.write(output)
    return evaluation


def _with_sod(
    evaluation: Evaluation, python: Path, cases: CaseSet, mattes: Mapping[str, Path]
) -> Evaluation:
    """The same with pysodmetrics' measures."""
    try:
        versions = evaluation_sod.versions(python)
        further = evaluation_sod.score_all(python, cases, mattes)
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
    model = "NAME[:ENGINE[:PRECISION]], such as u2net:onnxruntime:f32"
    parser.add_argument("--model", default="u2net", help=model)
    parser.add_argument("--against", help="a second model, in the same form")
    parser.add_argument("--images", type=Path, help="folder of pictures")
    parser.add_argument("--truth", type=Path, help="folder of mattes or outlines, same names")
    parser.add_argument("--composites", type=int, metavar="N", help="pictures with exact alpha")
    parser.add_argument("--split", choices=("tune", "test"), default="test", help="of composites")
    parser.add_argument("--worst", type=int, default=3, metavar="N", help="pictures to show")
    parser.add_argument("--no-sod", action="store_true", help="without pysodmetrics")
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT, metavar="FOLDER")
    parser.add_argument("--weights", type=Path, default=DEFAULT_FOLDER, help="checkpoints' folder")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="composites' material")
    options = parser.parse_args(arguments)
    if (options.images is None) != (options.truth is None):
        parser.error("--images and --truth belong together")
    if options.images and options.composites:
        parser.error("either --images or --composites")
    return options


def _find_cases(options: argparse.Namespace) -> CaseSet:
    if options.images:
        return folder_cases(options.images, options.truth)
    if options.composites:
        return composite_cases(options.cache, options.split, options.composites)
    return example_cases()


def _open(wanted: str, weights: Path) -> OpenModel:
    """Open what is written as ``NAME[:ENGINE[:PRECISION]]``."""
    name, _, how = wanted.partition(":")
    engine, _, precision = how.partition(":")
    return open_model(name, weights, engine or None, precision or None)


def _score_all(contender: OpenModel, cases: CaseSet, folder: Path) -> dict[str, Scores]:
    """Scores by name of the picture; keeps the mattes."""
    scores = {}
    for number, case in enumerate(cases, start=1):
        print(f"{contender.label}: {number} of {len(cases.names)}, {case.name}", file=sys.stderr)
        alpha = contender.matte(case.source)
        write_matte(folder, case.name, alpha)
        scores[case.name] = score(alpha, case)
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
    """Write the chart and the pictures on which either model is farthest from the truth."""
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
