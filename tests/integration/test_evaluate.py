"""An evaluation from pictures to reports, with and without pysodmetrics' environment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.artifacts import ModelFiles
from models.engine import EngineConfig
from models.engines.fake import FakeEngine
from models.spec import InputSpec
from scripts.evaluate import sod
from scripts.evaluate.__main__ import draw, evaluate, main
from scripts.evaluate.cases import Case, CaseSet, folder_cases
from scripts.evaluate.contenders import OpenModel, PlainCutouts
from scripts.measuring.machine import describe_machine
from scripts.measuring.report import Run
from tests.support.graphs import make_spec
from tests.support.pictures import make_portrait

HEIGHT, WIDTH = 96, 128
RUN = Run("2026-11-27", "the command", describe_machine())


class BlindEngine(FakeEngine):
    """Sees no subject anywhere."""

    def predict(self, batch: np.ndarray) -> np.ndarray:
        return np.zeros_like(super().predict(batch))


@pytest.fixture
def cases(tmp_path: Path) -> CaseSet:
    """Two bright discs on black, one of them with a truth that leaves out its right half."""
    for folder in ("images", "truth"):
        (tmp_path / folder).mkdir()
    disc = make_portrait(HEIGHT, WIDTH)
    halved = disc[..., 1].copy()
    halved[:, WIDTH // 2 :] = 0
    for name, alpha in (("whole", disc[..., 1]), ("half", halved)):
        Image.fromarray(disc).save(tmp_path / "images" / f"{name}.png")
        Image.fromarray(alpha).save(tmp_path / "truth" / f"{name}.png")
    return folder_cases(tmp_path / "images", tmp_path / "truth")


def make_contender(name: str, engine: type[FakeEngine]) -> OpenModel:
    size = InputSpec(HEIGHT, WIDTH, (0.5,) * 3, (0.5,) * 3)
    spec = make_spec(name=name, input=size)
    opened = engine(ModelFiles(Path("none")), EngineConfig(HEIGHT, WIDTH))
    return OpenModel(spec, opened)


@pytest.fixture
def seeing() -> OpenModel:
    return make_contender("seeing", FakeEngine)


@pytest.fixture
def blind() -> OpenModel:
    return make_contender("blind", BlindEngine)


def test_two_models_are_measured_and_everything_is_written(
    cases: CaseSet, seeing: OpenModel, blind: OpenModel, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    evaluation = evaluate([seeing, blind], cases, output, RUN, None)
    draw(evaluation, cases, output, 1)

    report = json.loads((output / "evaluation.json").read_text())
    good, bad = report["means"]["seeing fake f32"], report["means"]["blind fake f32"]
    # The whole disc is right, and half of what either has of the other: (1 + 0.5) / 2.
    assert good["iou"] == pytest.approx(0.75, abs=0.02)
    assert good["false_positives"] > 0
    assert (bad["iou"], bad["f1"], bad["edge_recall"], bad["false_positives"]) == (0, 0, 0, 0)
    assert "hce" not in good
    assert report["command"] == "the command"
    assert report["machine"]["cores"] >= 1

    text = (output / "evaluation.md").read_text()
    assert "| IoU, %" in text
    assert "`the command`" in text
    assert sorted(path.name for path in output.rglob("*.png")) == [
        "1-whole.png",  # the blind model misses more of it
        *("half.png", "half.png", "scores.png", "whole.png", "whole.png"),
    ]


def test_a_model_alone_has_no_one_to_beat(
    cases: CaseSet, seeing: OpenModel, tmp_path: Path
) -> None:
    evaluation = evaluate([seeing], cases, tmp_path, RUN, None)
    draw(evaluation, cases, tmp_path, 2)
    assert all(line.count("|") == 4 for line in evaluation.body())
    assert len(list((tmp_path / "worst").glob("*.png"))) == 2


def test_of_three_the_first_is_held_against_the_last(
    cases: CaseSet, seeing: OpenModel, blind: OpenModel, tmp_path: Path
) -> None:
    evaluation = evaluate([seeing, PlainCutouts(seeing), blind], cases, tmp_path, RUN, None)
    draw(evaluation, cases, tmp_path, 1)
    head, _, *rows = evaluation.body()
    assert [cell.strip() for cell in head.split("|")][3:6] == [seeing.label, "plain", blind.label]
    first, last = evaluation.means()[seeing.label], evaluation.means()[blind.label]
    (mae,) = [row for row in rows if row.startswith("| MAE  ")]
    assert [cell.strip() for cell in mae.split("|")][6:8] == [
        f"{first['mae'] / last['mae']:.3f}",
        "1, 1",  # a blind one errs about as much on the half disc
    ]


def test_a_model_is_not_measured_against_itself(
    cases: CaseSet, seeing: OpenModel, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="against itself"):
        evaluate([seeing, seeing], cases, tmp_path, RUN, None)


def test_a_picture_that_knows_no_edge_is_left_out_of_the_edges(
    cases: CaseSet, seeing: OpenModel, blind: OpenModel, tmp_path: Path
) -> None:
    def load(name: str) -> Case:
        case = cases.load(name)
        case.known[:, 4:] = name == "half"  # the first columns hold nothing but background
        return case

    some = CaseSet("some", cases.names, load)
    evaluation = evaluate([seeing, blind], some, tmp_path, RUN, None)
    rows = {line.split("|")[1].strip(): line for line in evaluation.body()}
    assert "1, 0" in rows["edge recall, % (1 of 2 pictures)"]
    assert "MAE" in rows
    draw(evaluation, some, tmp_path, 1)
    assert "edge_recall" not in evaluation.scores[seeing.label]["whole"]


def test_our_own_measures_outlive_a_failure_of_pysodmetrics(
    cases: CaseSet, seeing: OpenModel, tmp_path: Path
) -> None:
    broken = tmp_path / "python"
    broken.symlink_to("/bin/false")
    with pytest.raises(RuntimeError, match=r"pysodmetrics.*--no-sod"):
        evaluate([seeing], cases, tmp_path, RUN, broken)
    report = json.loads((tmp_path / "evaluation.json").read_text())
    assert report["means"][seeing.label]["iou"] > 0.5


@pytest.fixture
def sod_python(tmp_path: Path) -> Path:
    """Python of pysodmetrics' environment, made here unless there is one."""
    try:
        return sod.ENVIRONMENT.make()
    except RuntimeError as failure:
        asked = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "pysodmetrics"]
        if subprocess.run(asked, cwd=tmp_path, check=False).returncode == 0:
            raise
        pytest.skip(f"the package index cannot be reached: {failure}")


@pytest.mark.index
@pytest.mark.slow
def test_pysodmetrics_agrees_where_we_measure_the_same(
    cases: CaseSet, seeing: OpenModel, sod_python: Path, tmp_path: Path
) -> None:
    evaluation = evaluate([seeing], cases, tmp_path, RUN, sod_python)
    (named,) = evaluation.scores.values()
    assert evaluation.sod_versions["pysodmetrics"]
    for name, scores in named.items():
        # Theirs binarises the truth, and the discs' truths (0 and 255) are binary.
        assert scores["sod_mae"] == pytest.approx(scores["mae"], abs=1e-9)
        assert 0 < scores["s_measure"] <= 1
        assert (scores["hce"] > 0) == (name == "half")


def test_a_model_nobody_knows_ends_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--model", "nothing", "--no-sod", "--output", str(tmp_path)]) == 2
    assert "nothing" in capsys.readouterr().err


def test_images_without_truth_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--images", "somewhere"])
    assert "belong together" in capsys.readouterr().err
