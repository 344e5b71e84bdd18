"""A sticker's border is even, as wide as asked, and leaves no gap at the subject."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from models.matting.compositing import underlay
from models.matting.outline import outline
from tests.support.mattes import HOSTILE, disc, noise


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("width", [0.0, 0.3, 4.0, 33.3])
def test_any_matte_can_be_outlined_and_is_not_written_to(name: str, width: float) -> None:
    matte = HOSTILE[name]
    before = matte.copy()
    made = outline(matte, width)
    assert made.shape == matte.shape
    assert made.dtype == np.uint8
    assert made.flags.c_contiguous
    assert np.array_equal(matte, before)
    if width == 0 or not matte.any():
        assert not made.any()


@pytest.mark.parametrize("width", [2, 3.5, 8, 20])
@pytest.mark.parametrize("soft", [1, 6])
def test_a_band_is_as_wide_as_asked_on_every_side(width: float, soft: float) -> None:
    made = outline(disc(160, 160, 40, soft), width)
    y, x = np.mgrid[:160, :160]
    angle, away = np.arctan2(y - 79.5, x - 79.5), np.hypot(y - 79.5, x - 79.5)
    for start in np.linspace(-2.9, 2.5, 9):
        wedge = (angle >= start) & (angle < start + np.pi / 8)
        radius = np.sqrt(made[wedge].astype(float).sum() / 255 * 16 / np.pi)
        assert radius == pytest.approx(40 + width, abs=0.5 + 0.03 * width)
    assert (made[away < 40 + width - 2.5 - 0.03 * width] == 255).all()
    assert not made[away > 40 + width + 3 + 0.03 * width].any()


def test_its_own_border_is_anti_aliased() -> None:
    made = outline(disc(), 6)
    assert len(np.unique(made)) > 20


@pytest.mark.parametrize("soft", [1, 4, 10])
def test_subject_over_outline_has_no_gap(soft: float) -> None:
    matte = disc(soft=soft)
    _, together = underlay(
        np.zeros((120, 120, 3), np.uint8), matte, (255, 255, 255), outline(matte, 8)
    )
    y, x = np.mgrid[:120, :120]
    assert (together[np.hypot(y - 59.5, x - 59.5) < 35] == 255).all()


def test_a_wider_outline_covers_a_narrower_one() -> None:
    made = [outline(noise(80, 60) & disc(80, 60, 12), width) for width in np.arange(0, 20, 0.5)]
    assert all((wide >= narrow).all() for narrow, wide in itertools.pairwise(made))


@pytest.mark.parametrize("flip", [np.flipud, np.fliplr, np.transpose])
def test_a_mirrored_matte_gives_the_mirrored_outline(flip: object) -> None:
    matte = disc(140, 90, 20) & noise(140, 90)
    assert np.array_equal(outline(np.ascontiguousarray(flip(matte)), 9), flip(outline(matte, 9)))
