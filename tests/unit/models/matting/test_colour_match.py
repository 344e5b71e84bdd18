"""Matching moves the subject's mean colour towards the background's, a little and evenly."""

from __future__ import annotations

import numpy as np
import pytest

from models.matting.colour_match import RECOMMENDED_STRENGTH, match_colours, to_oklab
from tests.support.mattes import HOSTILE, colours, disc

DARK, BLUE = (60, 50, 45), (90, 120, 170)


def plain(colour: tuple[int, int, int], height: int = 120, width: int = 120) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def textured(colour: tuple[int, int, int]) -> np.ndarray:
    around = np.random.default_rng(0).normal(colour, 12, (120, 120, 3))
    return np.clip(np.rint(around), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("strength", [0.0, RECOMMENDED_STRENGTH, 1.0])
@pytest.mark.parametrize("name", HOSTILE)
def test_any_matte_will_do_and_nothing_is_written_to(name: str, strength: float) -> None:
    matte = HOSTILE[name]
    subject, background = colours(*matte.shape), colours(*matte.shape, seed=2)
    given = subject.copy(), matte.copy(), background.copy()
    made = match_colours(subject, matte, background, strength)
    assert made.shape == subject.shape
    assert made.dtype == np.uint8
    assert made.flags.c_contiguous
    assert not np.shares_memory(made, subject)
    for now, before in zip((subject, matte, background), given, strict=True):
        assert np.array_equal(now, before)
    if strength == 0 or not (matte >= 250).any():
        assert np.array_equal(made, subject)


def test_white_grey_and_red_are_where_ottosson_says() -> None:
    made = to_oklab(np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0]], np.uint8))
    expected = [[1, 0, 0], [0, 0, 0], [0.62796, 0.22486, 0.12585]]
    assert np.abs(made - expected).max() < 1e-4


@pytest.mark.parametrize("strength", [0.1, 0.35])
def test_the_mean_moves_by_the_share_asked_for(strength: float) -> None:
    subject, background = textured((140, 110, 90)), plain((120, 120, 125))
    before, after = (
        to_oklab(one[disc() == 255]).mean(axis=0)
        for one in (subject, match_colours(subject, disc(), background, strength))
    )
    wanted = before + strength * (to_oklab(background[0, 0]) - before)
    assert after == pytest.approx(wanted, abs=2e-3)


def test_every_colour_moves_alike() -> None:
    subject = textured((130, 110, 100))
    made = match_colours(subject, disc(), plain(BLUE), 0.35)
    moved = (to_oklab(made) - to_oklab(subject))[disc() == 255]
    assert np.abs(moved - np.median(moved, axis=0)).max() < 0.004  # a level of sRGB


def test_it_is_the_plain_formula_within_a_level() -> None:
    subject, background = colours(120, 120), plain(DARK)
    made = match_colours(subject, np.full((120, 120), 255, np.uint8), background, 0.2)
    before = to_oklab(subject).reshape(-1, 3).astype(np.float64)
    move = 0.2 * (to_oklab(background[0, 0]) - before.mean(axis=0))
    cones = (before + move) @ np.linalg.inv(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    ).T
    linear = np.clip(
        cones**3
        @ np.array(
            [
                [4.0767416621, -3.3077115913, 0.2309699292],
                [-1.2684380046, 2.6097574011, -0.3413193965],
                [-0.0041960863, -0.7034186147, 1.7076147010],
            ]
        ).T,
        0,
        1,
    )
    level = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(made.reshape(-1, 3) - 255 * level).max() <= 1


def test_no_colour_moves_farther_than_the_limit() -> None:
    subject = textured((128, 128, 128))
    moved = to_oklab(match_colours(subject, disc(), plain((0, 0, 255)), 1.0)) - to_oklab(subject)
    mean = moved[disc() == 255].mean(axis=0)
    assert abs(mean[0]) < 0.082
    assert np.hypot(mean[1], mean[2]) < 0.082


def test_hidden_and_soft_colours_have_no_say() -> None:
    subject, matte = textured((140, 110, 90)), disc(soft=12)
    other = subject.copy()
    other[matte < 250] = colours(120, 120)[matte < 250]
    made, again = (match_colours(one, matte, plain(BLUE), 0.35) for one in (subject, other))
    assert np.array_equal(made[matte >= 250], again[matte >= 250])


def test_the_background_around_the_subject_counts_most() -> None:
    near = plain(DARK, 400, 400)
    near[:, 300:] = 255
    matte = np.zeros((400, 400), np.uint8)
    matte[150:250, 50:150] = 255
    made, plainly = (
        match_colours(plain((128, 128, 128), 400, 400), matte, one, 0.1)[200, 100].astype(int)
        for one in (near, plain(DARK, 400, 400))
    )
    assert np.abs(made - plainly).max() <= 1


def test_a_matched_subject_is_matched_again_by_nothing() -> None:
    subject = plain(BLUE)
    assert np.abs(match_colours(subject, disc(), plain(BLUE), 1.0).astype(int) - subject).max() <= 1


@pytest.mark.parametrize("flip", [np.flipud, np.fliplr])
def test_a_mirrored_picture_is_matched_alike(flip: object) -> None:
    matte = disc()
    whole = textured((140, 110, 90)), matte, textured(BLUE)
    mirrored = match_colours(*(np.ascontiguousarray(flip(one)) for one in whole), 0.35)
    assert np.abs(flip(match_colours(*whole, 0.35)).astype(int) - mirrored)[matte > 0].max() <= 1
