"""A cutout is straight RGBA without hidden colours, and composites like the textbook says."""

from __future__ import annotations

import numpy as np
import pytest

from models.matting.compositing import Cutout, composite, underlay
from tests.support.mattes import HOSTILE, colours, noise


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
    made = Cutout(source, alpha)[:]
    assert made[alpha == 0].max() == 0
    assert np.array_equal(made[alpha > 0][:, :3], source[alpha > 0])
    assert np.array_equal(made[..., 3], alpha)


def test_the_source_is_not_written_to(source: np.ndarray, alpha: np.ndarray) -> None:
    before = source.copy()
    Cutout(source, alpha)[:]
    assert np.array_equal(source, before)


def test_sizes_must_agree(source: np.ndarray) -> None:
    with pytest.raises(ValueError, match="differ"):
        Cutout(source, np.zeros((3, 3), np.uint8))


@pytest.mark.parametrize("one_colour", [False, True])
def test_a_composite_is_the_weighted_mean(
    source: np.ndarray, alpha: np.ndarray, one_colour: bool
) -> None:
    background = np.array([12, 240, 99], np.uint8) if one_colour else source[::-1].copy()
    share = alpha[..., None] / 255.0
    visible = np.where(alpha[..., None] > 0, source, 0)
    expected = share * visible + (1 - share) * background
    made = composite(Cutout(source, alpha), background)
    assert np.abs(made - expected).max() <= 0.51
    assert np.array_equal(made[alpha == 255], source[alpha == 255])


@pytest.mark.parametrize("name", HOSTILE)
def test_a_layer_can_be_put_beneath_any_picture(name: str) -> None:
    alpha = HOSTILE[name]
    picture, layer = colours(*alpha.shape), noise(*alpha.shape, seed=5)
    given = picture.copy(), alpha.copy(), layer.copy()
    made, together = underlay(picture, alpha, (7, 8, 9), layer)
    assert made.shape == picture.shape
    assert together.shape == alpha.shape
    assert made.dtype == together.dtype == np.uint8
    assert made.flags.c_contiguous
    assert together.flags.c_contiguous
    for now, before in zip((picture, alpha, layer), given, strict=True):
        assert np.array_equal(now, before)


def test_the_layer_shows_where_the_picture_lets_it_through(
    source: np.ndarray, alpha: np.ndarray
) -> None:
    opacity = noise(150, 70, seed=3)
    made, together = underlay(source, alpha, (10, 200, 90), opacity)
    ground = np.full(source.shape, 77, np.uint8)
    share, layer = (one[..., None] / 255.0 for one in (alpha, opacity))
    behind = layer * np.array([10, 200, 90]) + (1 - layer) * ground
    expected = share * source + (1 - share) * behind
    seen = composite(np.dstack([made, together]), ground)
    assert np.abs(seen - expected).max() <= 1.5


def test_nothing_changes_where_the_layer_is_empty_or_the_picture_opaque(
    source: np.ndarray, alpha: np.ndarray
) -> None:
    opacity = noise(150, 70, seed=3)
    opacity[:, 30:] = 0
    made, together = underlay(source, alpha, (10, 200, 90), opacity)
    same = (opacity == 0) | (alpha == 255)
    assert np.array_equal(made[same], source[same])
    assert np.array_equal(together[same], alpha[same])


def test_what_is_hidden_does_not_colour_the_layer() -> None:
    made, together = underlay(
        colours(80, 90), np.zeros((80, 90), np.uint8), (1, 2, 3), np.full((80, 90), 60, np.uint8)
    )
    assert (made == (1, 2, 3)).all()
    assert (together == 60).all()
