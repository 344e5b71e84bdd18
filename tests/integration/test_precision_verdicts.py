"""What a model's own weights lead to: which precision serves, at this start and at the next."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.artifacts import ModelFiles, sha256_of
from models.engine import EngineConfig, open_engine
from models.errors import EngineIncompatible
from models.export.graphs import export
from models.serving import trial
from models.serving.options import EngineOptions
from models.serving.precision import Comparison, judge, keep_verdict, read_verdict, verdict_file
from models.serving.served import ServedEngines
from models.spec import Precision
from models.store.registered import RegisteredModel
from scripts.judge_precision import judge_model
from tests.support.graphs import SIZE, make_spec, write_checkpoint

BATCH = np.full((1, SIZE, SIZE, 3), 200, np.uint8)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> RegisteredModel:
    """A network that takes bright for foreground: of a photograph it knows nothing."""
    folder = tmp_path_factory.mktemp("model")
    spec = make_spec()
    export(write_checkpoint(folder), spec, folder)
    model = RegisteredModel("tiny:1", ModelFiles.within(folder), spec)
    config = EngineConfig(SIZE, SIZE, precision=Precision.BF16, max_batch=1)
    try:
        open_engine("openvino", model.files, config).close()
    except EngineIncompatible:
        pytest.skip("this CPU has no bf16")
    return model


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineOptions:
    monkeypatch.setattr(trial, "_AFTER_START_S", 0.0)
    return EngineOptions(
        engine="openvino",
        device="cpu",
        precision=None,
        use_tensorrt=None,
        build_engine="never",
        batch_size=None,
        pin_memory=False,
        cudnn_benchmark=False,
        cache_dir=tmp_path / "cache",
    )


def kept_at(options: EngineOptions, model: RegisteredModel) -> Path:
    return verdict_file(options.cache_dir / "precision", sha256_of(model.files.graph))


def test_the_first_start_tries_and_the_next_one_knows(
    model: RegisteredModel, options: EngineOptions
) -> None:
    first = ServedEngines(options, model)
    assert first.describe().precision_reason == ""
    first.try_faster_precision(lambda: True)
    assert first.describe().precision_reason == "bf16 is to be tried"
    give_up = time.monotonic() + 60
    while not kept_at(options, model).exists():
        assert time.monotonic() < give_up
        time.sleep(0.05)
    first.close()
    reason = first.describe().precision_reason
    assert reason.startswith("bf16 is not judged: float32 is right on 0 of ")
    second = ServedEngines(options, model)
    second.try_faster_precision(lambda: pytest.fail("it is known"))
    assert second.describe().precision_reason == reason
    assert second.predict(BATCH).engine.precision is Precision.F32
    second.close()


def test_a_precision_that_may_serve_does_from_the_next_start_on(
    model: RegisteredModel, options: EngineOptions
) -> None:
    good = judge(Precision.BF16, Comparison(12, 12, 0.08, 0.01, 1.6, 20.0))
    keep_verdict(kept_at(options, model), good)
    engines = ServedEngines(options, model)
    assert engines.describe().precision_reason == good.reason
    assert engines.predict(BATCH).engine.precision is Precision.BF16
    engines.close()


def test_what_was_asked_for_or_measured_before_is_not_tried(
    model: RegisteredModel, options: EngineOptions
) -> None:
    keep_verdict(
        kept_at(options, model), judge(Precision.BF16, Comparison(12, 12, 0.08, 0.01, 1.6, 20.0))
    )
    measured = replace(model.spec, precisions={Precision.BF16: 0.06, Precision.F32: 0.0})
    for asked, spec, reason in (
        (Precision.F32, model.spec, "asked for by BIREFNET_PRECISION=f32"),
        (None, measured, "the catalogue's figures: bf16 +6.0% of error at the edges (limit +3%)"),
    ):
        engines = ServedEngines(replace(options, precision=asked), replace(model, spec=spec))
        engines.try_faster_precision(lambda: pytest.fail("there is nothing to try"))
        assert engines.describe().precision_reason == reason
        assert engines.predict(BATCH).engine.precision is Precision.F32
        engines.close()


def test_a_stop_in_the_middle_leaves_nothing(
    model: RegisteredModel, options: EngineOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = ServedEngines(options, model)
    engines.try_faster_precision(lambda: True)
    engines.close()
    assert read_verdict(kept_at(options, model)) is None
    assert not (options.cache_dir / "precision").exists()


def test_by_hand(model: RegisteredModel) -> None:
    verdict = judge_model(model)
    assert (verdict.precision, verdict.comparison.pictures) == (Precision.F32, 0)


@pytest.mark.full
@pytest.mark.weights
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("u2net", "bf16; bf16 keeps the edges"),
        ("u2netp", "f32; bf16 costs too much"),
        ("modnet", "bf16; bf16 keeps the edges"),
    ],
)
def test_the_light_models_are_judged_as_the_catalogue_was_measured(
    model: RegisteredModel, name: str, said: str, tmp_path: Path, root: Path
) -> None:
    environment = {**os.environ, "BENTOML_HOME": str(tmp_path), "BENTOML_DO_NOT_TRACK": "True"}
    for script in (
        ("register_model", "--output-dir", str(root / "data/models")),
        ("judge_precision",),
    ):
        ran = subprocess.run(
            [sys.executable, "-m", f"scripts.{script[0]}", "--model", name, *script[1:]],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
    assert f": {said}: " in ran.stdout
