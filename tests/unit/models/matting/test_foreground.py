"""The estimated foreground loses the old background's fringe and changes nothing certain."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.matting.edges import shift_edge
from models.matting.foreground import estimate_foreground

GREEN, SKIN = np.array([20.0, 220.0, 30.0]), np.array([210.0, 150.0, 120.0])


@pytest.fixture
def alpha() -> np.ndarray:
    disc = np.zeros((400, 500), np.uint8)
    cv2.circle(disc, (250, 200), 120, 255, -1)
    return cv2.GaussianBlur(disc, (0, 0), 4.0)


@pytest.fixture
def source(alpha: np.ndarray) -> np.ndarray:
    share = alpha[..., None] / 255.0
    return np.round(share * SKIN + (1 - share) * GREEN).astype(np.uint8)


def test_a_read_only_source_is_left_alone(source: np.ndarray, alpha: np.ndarray) -> None:
    wide = np.tile(alpha, (1, 2))  # soft blocks over the full width are views of the source
    doubled = np.tile(source, (1, 2, 1))
    before = doubled.copy()
    estimate_foreground(doubled, wide)
    assert np.array_equal(doubled, before)
    doubled.flags.writeable = False
    estimate_foreground(doubled, wide)


@pytest.mark.parametrize("writeable", [True, False])
def test_a_source_that_is_needed_no_more_becomes_the_same_colours(
    source: np.ndarray, alpha: np.ndarray, writeable: bool
) -> None:
    expected = estimate_foreground(source, alpha)
    source.flags.writeable = writeable
    made = estimate_foreground(source, alpha, overwrite=True)
    assert np.array_equal(made, expected)
    assert (made is source) == writeable


def test_the_green_fringe_goes(source: np.ndarray, alpha: np.ndarray) -> None:
    soft = (alpha > 20) & (alpha < 235)
    before = np.abs(source[soft] - SKIN).mean()
    after = np.abs(estimate_foreground(source, alpha)[soft] - SKIN).mean()
    assert after < 0.35 * before


def test_opaque_pixels_keep_their_colour(source: np.ndarray, alpha: np.ndarray) -> None:
    noisy = np.random.default_rng(0).integers(0, 256, source.shape, dtype=np.uint8)
    made = estimate_foreground(noisy, alpha)
    assert np.array_equal(made[alpha == 255], noisy[alpha == 255])


def test_a_matte_without_anything_certain_keeps_the_source(source: np.ndarray) -> None:
    flat = np.full((400, 500, 3), (90, 40, 200), np.uint8)
    half = np.full((400, 500), 100, np.uint8)
    assert np.abs(estimate_foreground(flat, half).astype(int) - flat).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5000), (64, 7680), (7, 3), (643, 965)])
def test_any_size_works_and_is_finite(height: int, width: int) -> None:
    rng = np.random.default_rng(3)
    colours = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    matte = rng.integers(0, 256, (height, width), dtype=np.uint8)
    with np.errstate(invalid="raise", divide="raise"):
        assert estimate_foreground(colours, matte).shape == colours.shape


def test_an_edge_that_is_moved_far_out_finds_the_subjects_colours_there() -> None:
    source = np.full((400, 400, 3), SKIN, np.uint8)
    alpha = np.zeros((400, 400), np.uint8)
    alpha[150:250, 150:250] = 255
    source[alpha == 0] = (20, 90, 200)
    reached = np.asarray(shift_edge(alpha, 70.0) > 0, np.bool_)
    near = estimate_foreground(source, alpha)[reached].astype(int)
    far = estimate_foreground(source, alpha, reach=70)[reached].astype(int)
    assert np.abs(near - SKIN).max() > 60  # the old background's, with a seam
    assert np.abs(far - SKIN).max() < 30
