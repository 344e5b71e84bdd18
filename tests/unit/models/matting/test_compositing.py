"""A cutout is straight RGBA without hidden colours, and composites like the textbook says."""

from __future__ import annotations

import numpy as np
import pytest

from models.matting.compositing import composite, cutout


@pytest.fixture
def source() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, (150, 70, 3), dtype=np.uint8)


@pytest.fixture
def alpha() -> np.ndarray:
    values = np.random.default_rng(1).integers(0, 256, (150, 70), dtype=np.uint8)
    values[:40] = 0
    values[100:] = 255
    return values


def test_colours_under_zero_alpha_are_zero_and_others_untouched(
    source: np.ndarray, alpha: np.ndarray
) -> None:
    made = cutout(source, alpha)
    assert made[alpha == 0].max() == 0
    assert np.array_equal(made[alpha > 0][:, :3], source[alpha > 0])
    assert np.array_equal(made[..., 3], alpha)


def test_the_source_is_not_written_to(source: np.ndarray, alpha: np.ndarray) -> None:
    before = source.copy()
    cutout(source, alpha)
    assert np.array_equal(source, before)


def test_sizes_must_agree(source: np.ndarray) -> None:
    with pytest.raises(ValueError, match="differ"):
        cutout(source, np.zeros((3, 3), np.uint8))


@pytest.mark.parametrize("one_colour", [False, True])
def test_a_composite_is_the_weighted_mean(
    source: np.ndarray, alpha: np.ndarray, one_colour: bool
) -> None:
    background = np.array([12, 240, 99], np.uint8) if one_colour else source[::-1].copy()
    share = alpha[..., None] / 255.0
    visible = np.where(alpha[..., None] > 0, source, 0)
    expected = share * visible + (1 - share) * background
    made = composite(cutout(source, alpha), background)
    assert np.abs(made - expected).max() <= 0.51
    assert np.array_equal(made[alpha == 255], source[alpha == 255])
