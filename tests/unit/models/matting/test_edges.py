"""An edge moves as far as asked and keeps its softness; a feathered one is a Gaussian's."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from models.matting.edges import feather, shift_edge
from tests.support.mattes import HOSTILE, disc, noise

SHIFTS = (-40.0, -7.5, -1.0, -0.25, 0.0, 0.25, 1.0, 3.0, 7.0, 8.5, 40.0)
RADII = (0.0, 0.2, 0.5, 2.0, 7.3, 15.9, 16.0, 50.0, 1e9)
FLIPS = (np.flipud, np.fliplr, np.transpose)


def radius_of(matte: np.ndarray) -> float:
    """Radius of a disc, from its area."""
    return float(np.sqrt(matte.astype(float).sum() / 255 / np.pi))


def far_from_an_edge(matte: np.ndarray, distance: float) -> np.ndarray:
    """Pixels that have no other value within a distance."""
    span = int(distance)
    squares = np.arange(-span, span + 1) ** 2
    window = (squares[:, None] + squares <= distance**2).astype(np.uint8)
    return cv2.dilate(matte, window) == cv2.erode(matte, window)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("pixels", SHIFTS)
def test_any_matte_can_be_shifted_and_is_not_written_to(name: str, pixels: float) -> None:
    matte = HOSTILE[name]
    before = matte.copy()
    made = shift_edge(matte, pixels)
    assert made.shape == matte.shape
    assert made.dtype == np.uint8
    assert made.flags.c_contiguous
    assert not np.shares_memory(made, matte)
    assert np.array_equal(matte, before)
    assert (made >= matte).all() if pixels >= 0 else (made <= matte).all()


@pytest.mark.parametrize("pixels", [-12, -3.5, -1, -0.5, 0.5, 1, 2.25, 6, 10.5, 25])
def test_a_disc_grows_and_shrinks_by_what_was_asked(pixels: float) -> None:
    made = shift_edge(disc(), pixels)
    assert radius_of(made) == pytest.approx(30 + pixels, abs=0.2 + 0.01 * abs(pixels))


@pytest.mark.parametrize("pixels", [3.0, 7.0, 10.0, 25.0])
def test_a_disc_stays_round(pixels: float) -> None:
    made = shift_edge(disc(), pixels)
    y, x = np.mgrid[:120, :120]
    away = np.hypot(y - 59.5, x - 59.5)
    assert (made[away < 30 + pixels - 0.9 - 0.02 * pixels] == 255).all()
    assert (made[away > 30 + pixels + 0.9 + 0.02 * pixels] == 0).all()


@pytest.mark.parametrize("pixels", [-9, -2, 0.5, 3, 11.5])
def test_a_soft_edge_keeps_its_softness(pixels: float) -> None:
    before, after = disc(soft=20)[60].astype(int), shift_edge(disc(soft=20), pixels)[60].astype(int)
    steepest = [int(np.abs(np.diff(row)).max()) for row in (before, after)]
    assert abs(steepest[0] - steepest[1]) <= 1


def test_half_a_pixel_is_half_covered() -> None:
    step = np.zeros((9, 40), np.uint8)
    step[:, 20:] = 255
    assert shift_edge(step, 2.5)[4, 16:19].tolist() == [0, 128, 255]
    assert shift_edge(step, -2.5)[4, 21:24].tolist() == [0, 127, 255]


@pytest.mark.parametrize("matte", [disc(), noise(90, 70), disc(90, 150, 20, 25)])
def test_a_larger_shift_never_shrinks(matte: np.ndarray) -> None:
    made = [shift_edge(matte, pixels) for pixels in np.arange(-17, 17, 0.5)]
    for smaller, larger in itertools.pairwise(made):
        assert (larger >= smaller).all()


@pytest.mark.parametrize("pixels", [2.0, 9.5, 30.0])
def test_shrinking_the_subject_is_growing_what_is_around_it(pixels: float) -> None:
    matte = noise(80, 90)
    assert np.array_equal(shift_edge(matte, -pixels), ~shift_edge(~matte, pixels))


def test_a_subject_that_the_frame_cuts_is_not_taken_off_the_frame() -> None:
    matte = np.zeros((60, 60), np.uint8)
    matte[30:] = 255
    assert (shift_edge(matte, -10)[40:] == 255).all()


@pytest.mark.parametrize("pixels", [-20.0, -3.5, 1.5, 20.0])
def test_what_is_farther_than_the_shift_stays(pixels: float) -> None:
    matte = disc(400, 400, 100)
    far = far_from_an_edge(matte, 1.03 * abs(pixels) + 1)
    assert far.any()
    assert np.array_equal(shift_edge(matte, pixels)[far], matte[far])


@pytest.mark.parametrize("flip", FLIPS)
@pytest.mark.parametrize("pixels", [-8.25, 1.0, 15.5])
def test_a_mirrored_matte_gives_the_mirrored_result(flip: object, pixels: float) -> None:
    matte = noise(150, 90)
    made = shift_edge(np.ascontiguousarray(flip(matte)), pixels)
    assert np.array_equal(made, flip(shift_edge(matte, pixels)))


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("radius", RADII)
def test_any_matte_can_be_feathered_and_is_not_written_to(name: str, radius: float) -> None:
    matte = HOSTILE[name]
    before = matte.copy()
    made = feather(matte, radius)
    assert made.shape == matte.shape
    assert made.dtype == np.uint8
    assert made.flags.c_contiguous
    assert not np.shares_memory(made, matte)
    assert np.array_equal(matte, before)
    if matte.min() == matte.max() or radius == 0:
        assert np.array_equal(made, matte)


@pytest.mark.parametrize("radius", [0.5, 2.0, 7.3, 15.0, 16.0, 24.0, 40.0])
def test_what_is_farther_than_three_radii_stays_bit_for_bit(radius: float) -> None:
    matte = disc(501, 403, 140)
    matte[250, 200] = 254
    far = far_from_an_edge(matte, 3 * radius)
    assert far.any()
    assert np.array_equal(feather(matte, radius)[far], matte[far])


@pytest.mark.parametrize(("radius", "levels"), [(0.7, 1), (3, 1), (12, 1), (20, 3), (60, 3)])
def test_a_feathered_edge_is_a_gaussians(radius: float, levels: int) -> None:
    matte = disc(601, 603, 150)
    reach = int(4 * radius) + 1
    kernel = cv2.getGaussianKernel(2 * reach + 1, radius, cv2.CV_64F)
    padded = cv2.copyMakeBorder(matte.astype(float), *[reach] * 4, cv2.BORDER_REPLICATE)
    exact = cv2.sepFilter2D(padded, cv2.CV_64F, kernel, kernel)[reach:-reach, reach:-reach]
    assert np.abs(feather(matte, radius) - exact).max() <= levels + 0.5


@pytest.mark.parametrize("radius", [1.0, 15.9, 16.0, 40.0])
def test_strips_and_blocks_do_not_show(radius: float) -> None:
    made = feather(disc(900, 900, 300, soft=3), radius)[450].astype(int)
    assert (np.diff(made[450:]) <= 0).all()


@pytest.mark.parametrize("flip", FLIPS)
@pytest.mark.parametrize(("radius", "levels"), [(0.9, 0), (8.0, 0), (15.9, 0), (33.0, 3)])
def test_a_mirrored_matte_is_feathered_alike(flip: object, radius: float, levels: int) -> None:
    matte = disc(149, 203, 50)
    made = feather(np.ascontiguousarray(flip(matte)), radius).astype(int)
    assert np.abs(made - flip(feather(matte, radius))).max() <= levels
