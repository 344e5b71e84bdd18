"""Smoothing keeps what is certain; an existing alpha channel is respected."""

from __future__ import annotations

import numpy as np
import pytest

from models.matting.postprocess import combine_alpha, smooth_alpha


def make_step(height: int = 200, width: int = 60) -> np.ndarray:
    alpha = np.zeros((height, width), np.uint8)
    alpha[:, width // 2 :] = 255
    return alpha


@pytest.mark.parametrize("level", [0, 7, 128, 255])
def test_a_constant_matte_is_left_alone(level: int) -> None:
    alpha = np.full((130, 9), level, np.uint8)
    assert np.array_equal(smooth_alpha(alpha), alpha)


def test_a_hard_edge_becomes_soft_but_reaches_one_pixel_only() -> None:
    row = smooth_alpha(make_step())[100].astype(int)
    assert 0 < row[29] < row[30] < 255
    assert row[:29].max() == 0
    assert row[31:].min() == 255


def test_strips_do_not_show() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 50), dtype=np.uint8)
    assert np.array_equal(smooth_alpha(noise)[40:200], smooth_alpha(noise[20:230])[20:180])


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (9, 1), (65, 3)])
def test_tiny_mattes_are_smoothed_without_complaint(height: int, width: int) -> None:
    assert smooth_alpha(np.zeros((height, width), np.uint8)).shape == (height, width)


def test_a_matte_is_nowhere_above_the_existing_alpha_and_an_edge_not_thinned_twice() -> None:
    ours = np.array([[255, 255, 128, 0, 200]], np.uint8)
    existing = np.array([[255, 0, 128, 255, 100]], np.uint8)
    assert combine_alpha(ours, existing).tolist() == [[255, 0, 128, 0, 100]]


def make_cutout_alpha() -> np.ndarray:
    alpha = np.zeros((60, 80), np.uint8)
    alpha[10:50, 10:70] = 255
    return alpha


def test_a_cutout_in_which_nothing_is_found_stays_as_it_is() -> None:
    existing = make_cutout_alpha()
    assert np.array_equal(combine_alpha(np.zeros((60, 80), np.uint8), existing), existing)


def test_a_cutout_in_which_something_is_found_keeps_only_that() -> None:
    ours = np.zeros((60, 80), np.uint8)
    ours[20:40, 20:40] = 255
    assert np.array_equal(combine_alpha(ours, make_cutout_alpha()), ours)


def test_a_picture_that_reaches_its_border_stays_empty_where_nothing_is_found() -> None:
    existing = make_cutout_alpha()
    existing[:, :40] = 255
    assert not combine_alpha(np.zeros((60, 80), np.uint8), existing).any()


def test_nothing_seen_is_nothing_kept() -> None:
    hidden = np.zeros((60, 80), np.uint8)
    assert not combine_alpha(np.full((60, 80), 255, np.uint8), hidden).any()


def test_mattes_of_different_size_are_refused() -> None:
    with pytest.raises(ValueError, match="differ"):
        combine_alpha(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))
