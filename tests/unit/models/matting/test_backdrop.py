"""A blurred background has nothing of the subject in it; a picture fits any canvas."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.matting.backdrop import blur_backdrop, contain, cover, fill_hidden
from tests.support.mattes import HOSTILE, colours, disc

GREY, RED = (120, 125, 130), (255, 0, 0)
SIGMAS = (0.0, 0.4, 2.0, 2.9, 3.0, 9.0, 60.0, 1e9)


def scene(soft: float = 4, side: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """A red disc before grey, mixed at its edge."""
    matte = disc(side, side, side / 4, soft)
    share = matte[..., None] / 255.0
    mixed = share * np.array(RED) + (1 - share) * np.array(GREY)
    return np.rint(mixed).astype(np.uint8), matte


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("name", HOSTILE)
def test_any_picture_can_be_blurred_and_is_not_written_to(name: str, sigma: float) -> None:
    matte = HOSTILE[name]
    picture = colours(*matte.shape)
    given = picture.copy(), matte.copy()
    made = blur_backdrop(picture, matte, sigma)
    assert made.shape == picture.shape
    assert made.dtype == np.uint8
    assert made.flags.c_contiguous
    assert not np.shares_memory(made, picture)
    assert np.array_equal(picture, given[0])
    assert np.array_equal(matte, given[1])


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize(("soft", "levels"), [(1, 3), (4, 3), (20, 8)])
def test_nothing_of_the_subject_bleeds_into_the_background(
    sigma: float, soft: float, levels: int
) -> None:
    made = blur_backdrop(*scene(soft), sigma)
    assert np.abs(made.astype(int) - GREY).max() <= levels


@pytest.mark.parametrize("sigma", SIGMAS)
def test_a_matte_that_is_a_little_too_small_lets_hardly_anything_through(sigma: float) -> None:
    picture, matte = scene(soft=2)
    smaller = cv2.erode(matte, np.ones((3, 3), np.uint8))
    assert np.abs(blur_backdrop(picture, smaller, sigma).astype(int) - GREY).max() <= 12


@pytest.mark.parametrize(("sigma", "levels"), [(1.0, 1), (2.9, 1), (3.0, 3), (7.0, 2), (30.0, 2)])
def test_without_a_subject_it_is_a_gaussian_blur(sigma: float, levels: int) -> None:
    picture = cv2.resize(colours(40, 50), (400, 320), interpolation=cv2.INTER_CUBIC)
    made = blur_backdrop(picture, np.zeros((320, 400), np.uint8), sigma)
    exact = cv2.GaussianBlur(
        picture.astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_REFLECT
    )
    assert np.abs(made - exact).max() <= levels + 0.5


def test_a_picture_that_is_all_subject_is_blurred_as_it_is() -> None:
    picture = cv2.resize(colours(40, 50), (400, 320), interpolation=cv2.INTER_CUBIC)
    full, none = (
        blur_backdrop(picture, np.full((320, 400), level, np.uint8), 10.0) for level in (255, 0)
    )
    assert np.abs(full.astype(int) - none).max() <= 12


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (40, 30), (333, 251)])
@pytest.mark.parametrize("canvas", [(1, 1), (1, 80), (90, 70), (512, 300)])
def test_any_picture_covers_and_fits_any_canvas(
    shape: tuple[int, int], canvas: tuple[int, int]
) -> None:
    picture = colours(*shape)
    before = picture.copy()
    for made in (cover(picture, *canvas), contain(picture, *canvas, (9, 8, 7))):
        assert made.shape == (*canvas, 3)
        assert made.dtype == np.uint8
        assert made.flags.c_contiguous
    assert np.array_equal(picture, before)


def test_a_picture_of_the_canvas_size_stays_exactly() -> None:
    picture = colours(90, 70)
    assert np.array_equal(cover(picture, 90, 70), picture)
    assert np.array_equal(contain(picture, 90, 70, RED), picture)


def test_covering_keeps_the_middle_and_the_aspect() -> None:
    picture = np.zeros((100, 300, 3), np.uint8)
    picture[:, 100:200] = 255
    assert (cover(picture, 50, 50) == 255).all()
    assert (cover(picture.transpose(1, 0, 2).copy(), 50, 50) == 255).all()


def test_containing_shows_all_of_it_between_bars_of_the_ground() -> None:
    made = contain(np.full((100, 200, 3), 200, np.uint8), 80, 80, (1, 2, 3))
    assert (made[20:60] == 200).all()
    assert (made[:20] == (1, 2, 3)).all()
    assert (made[60:] == (1, 2, 3)).all()


@pytest.mark.parametrize("resize", [cover, lambda *some: contain(*some, GREY)])
def test_fine_stripes_make_no_moire(resize: object) -> None:
    stripes = np.zeros((900, 900, 3), np.uint8)
    stripes[:, ::2] = 255
    assert resize(stripes, 310, 310).std() < 26


def test_what_is_hidden_is_filled_with_the_colours_beside_it_and_nothing_else() -> None:
    rgba = np.zeros((200, 200, 4), np.uint8)
    rgba[..., :3] = (0, 255, 0)  # hidden, and nobody's business
    rgba[:, :100] = (200, 100, 50, 255)
    filled = fill_hidden(rgba)
    assert np.array_equal(filled[:, :100], rgba[:, :100, :3])
    assert np.abs(filled[:, 100:110].astype(int) - (200, 100, 50)).max() < 12
    rgba[:, 100:, :3] = (0, 0, 255)
    assert np.array_equal(fill_hidden(rgba)[:, :150], filled[:, :150])
