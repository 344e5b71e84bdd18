"""A shadow is soft, lies below the subject, scales with it, and is the same every time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from models.matting.shadow import SHADOWS, cast_shadow
from tests.support.mattes import HOSTILE, disc


def lone(height: int, width: int, top: int, left: int, side: int) -> np.ndarray:
    matte = np.zeros((height, width), np.uint8)
    matte[top : top + side, left : left + side] = 255
    return matte


def centre(shadow: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[: shadow.shape[0], : shadow.shape[1]]
    weight = shadow / shadow.sum()
    return np.array([(y * weight).sum(), (x * weight).sum()])


@pytest.mark.parametrize("kind", SHADOWS)
@pytest.mark.parametrize("name", HOSTILE)
def test_any_matte_casts_a_shadow_of_its_size(kind: str, name: str) -> None:
    matte = HOSTILE[name]
    before = matte.copy()
    made = cast_shadow(matte, kind, 0.6)
    assert made.shape == matte.shape
    assert made.dtype == np.uint8
    assert made.flags.c_contiguous
    assert made.max() <= round(0.6 * 255)
    assert np.array_equal(matte, before)
    assert np.array_equal(made, cast_shadow(matte, kind, 0.6))
    if not matte.any():
        assert not made.any()


@pytest.mark.parametrize("kind", SHADOWS)
def test_no_opacity_is_no_shadow(kind: str) -> None:
    assert not cast_shadow(disc(), kind, 0.0).any()


@pytest.mark.parametrize("kind", SHADOWS)
def test_more_opacity_is_nowhere_lighter(kind: str) -> None:
    made = [cast_shadow(disc(), kind, opacity) for opacity in np.linspace(0, 1, 9)]
    assert all((dark >= light).all() for light, dark in itertools.pairwise(made))


@pytest.mark.parametrize("kind", SHADOWS)
def test_a_shadow_is_seen_below_the_subject_and_soft(kind: str) -> None:
    matte = lone(400, 400, 100, 130, 140)
    made = cast_shadow(matte, kind, 0.8)
    below = made[240:, 200].astype(int)
    assert below[0] > 40
    assert (np.diff(below) <= 0).all()
    assert below[-1] == 0
    assert np.abs(np.diff(made.astype(int), axis=0)).max() < 60
    assert below.sum() > made[:100, 200].astype(int).sum()


@pytest.mark.parametrize("kind", SHADOWS)
def test_a_contact_shadow_lies_at_the_lowest_parts_alone(kind: str) -> None:
    made = cast_shadow(lone(400, 400, 100, 130, 140), kind, 0.8)
    at_the_shoulders = made[100:160, 110:130].max()
    assert at_the_shoulders == 0 if kind == "contact" else at_the_shoulders > 0


def test_each_foot_has_its_own_contact_shadow() -> None:
    matte = lone(400, 400, 60, 100, 200)
    matte[180:, 140:260] = 0  # two legs
    below = cast_shadow(matte, "contact", 0.8)[262].astype(int)
    assert below[120] > 1.5 * below[200]
    assert below[280] > 1.5 * below[200]


@pytest.mark.parametrize("kind", SHADOWS)
@pytest.mark.parametrize("scale", [2, 5])
def test_a_shadow_scales_with_the_picture(kind: str, scale: int) -> None:
    small = cast_shadow(disc(200, 160, 40), kind, 0.7)
    large = cast_shadow(disc(200 * scale, 160 * scale, 40 * scale), kind, 0.7)
    shrunk = large.reshape(200, scale, 160, scale).mean(axis=(1, 3))
    assert np.abs(shrunk - small).max() < 10
    assert np.abs(shrunk - small).mean() < 0.6


@pytest.mark.parametrize("kind", SHADOWS)
def test_a_small_subject_in_a_large_picture_has_a_smooth_small_shadow(kind: str) -> None:
    made = cast_shadow(lone(1500, 2000, 700, 900, 40), kind, 0.7)
    rows, columns = np.nonzero(made)
    assert rows.min() > 640
    assert rows.max() < 800
    assert columns.min() > 840
    assert columns.max() < 1000
    assert len(np.unique(made)) > 40


@pytest.mark.parametrize("kind", SHADOWS)
def test_a_mirrored_matte_casts_the_mirrored_shadow(kind: str) -> None:
    matte = lone(240, 320, 50, 60, 100)
    mirrored = cast_shadow(np.ascontiguousarray(matte[:, ::-1]), kind, 0.7)[:, ::-1].astype(int)
    assert np.abs(mirrored - cast_shadow(matte, kind, 0.7)).max() <= 1


def test_specks_of_noise_cast_no_contact_shadow() -> None:
    matte = lone(400, 400, 100, 130, 140)
    clean = cast_shadow(matte, "contact", 0.8)
    matte[390, 20] = 255
    assert np.array_equal(cast_shadow(matte, "contact", 0.8), clean)


def test_the_drop_shadow_is_the_subjects_shape_moved_down() -> None:
    matte = lone(400, 400, 100, 130, 140)
    moved = centre(cast_shadow(matte, "drop", 1.0)) - centre(matte)
    assert moved == pytest.approx([0.035 * 140, 0], abs=0.5)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no shadow is called 'long'"):
        cast_shadow(disc(), "long", 0.5)
