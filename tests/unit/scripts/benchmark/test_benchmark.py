"""The benchmark of engines, on a graph of a few operators: rows, turns, failures, pages."""

from __future__ import annotations

import json
from argparse import Namespace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from models.artifacts import ModelFiles
from models.spec import Precision
from scripts.benchmark import __main__ as benchmark
from scripts.benchmark.__main__ import Match, make_batch
from scripts.benchmark.files import Subject
from scripts.benchmark.report import Group, Report, Row
from scripts.benchmark.rows import Contender
from scripts.measuring.errors import Error, error_of
from scripts.measuring.machine import describe_machine
from scripts.measuring.processes import REPOSITORY
from tests.support.fake_machine import registered_tiny
from tests.support.graphs import SIZE, write_graph

PHOTOS = REPOSITORY / "examples" / "photos"
OPENED = {"runtime": "r 1", "device": "cpu", "precision": "f32"}
OPENED |= {"open_s": 1.0, "open_peak_mb": 2.0, "idle_mb": 3.0}


def make_match(folder: Path, files: ModelFiles) -> Match:
    subject = Subject(
        name="tiny",
        height=SIZE,
        width=SIZE,
        precisions=(Precision.F32,),
        files=files,
        graphs={},
        caveat="a test",
    )
    options = Namespace(turns=3, threads=1, device="auto")
    return Match(subject, make_batch(2, SIZE, SIZE, PHOTOS), options, folder)


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Group:
    folder = tmp_path_factory.mktemp("benchmark")
    match = make_match(folder, ModelFiles(write_graph(folder)))
    labels = ("onnxruntime", "fake", "onnxruntime:bf16", "onnxruntime:decomposed")
    return match.play([Contender.parse(label) for label in labels], deadline=float("inf"))


def row_of(group: Group, label: str) -> Row:
    return next(row for row in group.rows if row.label == label)


def test_every_row_had_its_turns_in_a_process_of_its_own(group: Group) -> None:
    for label in ("onnxruntime", "fake"):
        row = row_of(group, label)
        assert row.failure is None
        assert len(row.times_ms) == len(row.cpu_ms) == 3
        assert row.peak_mb > 20
    assert row_of(group, "fake").opened["precision"] == "f32"


def test_errors_are_told_from_the_reference(group: Group) -> None:
    own, other = row_of(group, "onnxruntime").error, row_of(group, "fake").error
    assert own is not None
    assert other is not None
    assert own.max == 0
    assert other.max > 50  # it gives the green channel
    assert group.spread["std"] > 20


def test_a_row_that_is_refused_says_why_and_the_others_go_on(group: Group) -> None:
    assert "f32" in (row_of(group, "onnxruntime:bf16").failure or "")
    assert "one form" in (row_of(group, "onnxruntime:decomposed").failure or "")


def test_the_page_and_the_file_hold_every_row(group: Group, tmp_path: Path) -> None:
    report = Report("2026-11-24", "a command", describe_machine(), [group])
    report.write(tmp_path / "engines")
    page = (tmp_path / "engines.md").read_text()
    written = json.loads((tmp_path / "engines.json").read_text())
    assert [row["label"] for row in written["groups"][0]["rows"]] == [r.label for r in group.rows]
    assert all(f"| {row.label} |" in page for row in group.rows)
    assert "a command" in page


def test_the_page_says_of_every_row_what_ran_it_and_where(group: Group) -> None:
    line = next(line for line in group.as_markdown() if line.startswith("| onnxruntime |"))
    assert f"| onnxruntime {version('onnxruntime')} | cpu | f32 |" in line


def test_rows_are_timed_also_where_the_reference_cannot_be_had(tmp_path: Path) -> None:
    no_checkpoint = tmp_path / "weights.safetensors"
    no_checkpoint.write_bytes(b"nothing")
    match = make_match(tmp_path, ModelFiles(write_graph(tmp_path), checkpoint=no_checkpoint))
    group = match.play([Contender.parse("onnxruntime")], deadline=float("inf"))
    assert len(group.rows[0].times_ms) == 3
    assert group.failure is not None
    assert group.failure in "\n".join(group.as_markdown())
    assert "| - | - |" in list(group.as_markdown())[-1]


def test_ratios_compare_times_of_the_same_turn() -> None:
    first, second = Row("a", times_ms=[10.0, 40.0, 20.0]), Row("b", times_ms=[30.0, 40.0, 20.0])
    for row in (first, second):
        row.opened, row.cpu_ms = OPENED, row.times_ms
    group = Group("m", "", SIZE, SIZE, 1, "a", rows=[first, second])
    (line,) = (line for line in group.as_markdown() if line.startswith("| b |"))
    assert "| 1.00 |" in line  # that of their medians is 1.50


@pytest.mark.parametrize(
    ("label", "precision", "form", "variant"),
    [
        ("openvino", None, None, None),
        ("onnxruntime:decomposed", None, "decomposed", None),
        ("openvino:stock:bf16", "bf16", None, "stock"),
        ("pytorch:f32:contiguous", "f32", None, "contiguous"),
    ],
)
def test_a_row_is_read_from_words_in_any_order(
    label: str, precision: str | None, form: str | None, variant: str | None
) -> None:
    row = Contender.parse(label)
    assert (row.engine, row.precision, row.form, row.variant) == (
        label.split(":")[0],
        precision,
        form,
        variant,
    )


@pytest.mark.parametrize("label", ["tensorflow", "openvino:fast", "onnxruntime:stock"])
def test_a_word_that_means_nothing_is_refused_with_those_that_do(label: str) -> None:
    with pytest.raises(ValueError, match=r"openvino|decomposed"):
        Contender.parse(label)


def test_batches_of_photographs_have_no_two_pictures_alike() -> None:
    batch = make_batch(7, 32, 64, PHOTOS)
    assert batch.shape == (7, 32, 64, 3)
    assert len({item.tobytes() for item in batch}) == 7


def test_an_error_is_also_a_share_of_what_there_is_to_err_in() -> None:
    reference = np.array([[[0, 200]]], np.uint8)
    assert error_of(np.array([[[1, 200]]], np.uint8), reference) == Error(1.0, 0.5, 0.005)


# A seeded network is exported first, which takes most of a minute.
@pytest.mark.parametrize("known", ["tiny", pytest.param("seeded:tiny", marks=pytest.mark.full)])
def test_a_model_nobody_knows_is_refused_and_the_next_is_measured(
    known: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models = ["--model", "u3net", known, "--size", "64", "--turns", "2"]
    rest = ["--engines", "onnxruntime", "--minutes", "2", "--out", str(tmp_path / "engines")]
    with registered_tiny(tmp_path, monkeypatch):
        assert benchmark.main([*models, *rest]) == 1
    assert "benchmark: u3net" in capsys.readouterr().err
    groups = json.loads((tmp_path / "engines.json").read_text())["groups"]
    assert [group["model"] for group in groups] == [known]
    assert len(groups[0]["rows"][0]["times_ms"]) == 2
