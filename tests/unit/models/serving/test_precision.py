"""The rule by which a faster precision may serve, and the pictures it is judged on."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.matting.edge_band import edge_band
from models.serving.composites import make_composite
from models.serving.precision import (
    Comparison,
    judge,
    keep_verdict,
    read_verdict,
    verdict_file,
)
from models.spec import Precision

GOOD = Comparison(tried=12, pictures=12, error=0.08, increase=0.01, speedup=1.6, took_s=20.0)


@pytest.mark.parametrize(
    ("changed", "precision", "reason"),
    [
        ({}, Precision.BF16, "bf16 keeps the edges: error at the edges .1.0% beside float32's"),
        ({"increase": 0.03, "speedup": 1.15}, Precision.BF16, "bf16 keeps the edges"),
        ({"increase": -0.2}, Precision.BF16, "bf16 keeps the edges"),
        ({"increase": 0.031}, Precision.F32, "bf16 costs too much: error at the edges .3.1%"),
        ({"speedup": 1.14}, Precision.F32, "bf16 gains too little: .* 1.14 times as fast"),
        ({"pictures": 6}, Precision.BF16, "6 pictures"),
        ({"pictures": 5}, Precision.F32, "bf16 is not judged: float32 is right on 5 of 12"),
        ({"pictures": 0, "error": 0.0, "increase": 0.0}, Precision.F32, "bf16 is not judged"),
    ],
)
def test_the_rule(changed: dict[str, float], precision: Precision, reason: str) -> None:
    verdict = judge(Precision.BF16, replace(GOOD, **changed))  # type: ignore[arg-type]
    assert verdict.precision is precision
    assert re.search(reason, verdict.reason)


def test_a_verdict_is_kept_for_one_model_and_damage_is_no_verdict(tmp_path: Path) -> None:
    file = verdict_file(tmp_path / "precision", "a" * 64)
    assert file == verdict_file(tmp_path / "precision", "a" * 64)
    assert file != verdict_file(tmp_path / "precision", "b" * 64)
    assert read_verdict(file) is None
    keep_verdict(file, verdict := judge(Precision.BF16, GOOD))
    assert read_verdict(file) == verdict
    whole = file.read_text()
    for damaged in ("", "[]", "{}", whole[:-40], whole.replace("bf16", "q4"), whole + "}"):
        file.write_text(damaged)
        assert read_verdict(file) is None


def test_the_pictures_are_always_the_same_and_their_mattes_are_true() -> None:
    made, again = make_composite(3), make_composite(3)
    np.testing.assert_array_equal(made.picture, again.picture)
    np.testing.assert_array_equal(made.alpha_u8, again.alpha_u8)
    assert made.picture.shape == (1024, 1024, 3)
    assert 0.05 < (made.alpha_u8 > 127).mean() < 0.6
    assert 1_000 < edge_band(made.alpha_u8).sum() < 200_000
    other = make_composite(4)
    hidden = (made.alpha_u8 > 0) | (other.alpha_u8 > 0)
    assert np.abs(made.picture.astype(int) - other.picture)[~hidden].mean() > 10
