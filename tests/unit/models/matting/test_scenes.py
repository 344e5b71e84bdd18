"""Scenes: the same each time, the same at any size, without bands, and none like another."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest

from models.matting.scenes import SCENES, draw_scene
from service.removal.options import RemovalOptions


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_is_the_same_each_time_and_at_any_size(name: str) -> None:
    small, large = draw_scene(SCENES[name], 150, 200), draw_scene(SCENES[name], 1200, 1600)
    assert large.shape == (1200, 1600, 3)
    assert large.dtype == np.uint8
    assert np.array_equal(large, draw_scene(SCENES[name], 1200, 1600))
    reduced = cv2.resize(large, (200, 150), interpolation=cv2.INTER_AREA)
    assert np.abs(reduced.astype(int) - small).mean() < 1.0


@pytest.mark.parametrize("size", [(64, 64), (1, 1), (1, 700), (1281, 77), (3000, 65)])
def test_no_size_is_too_odd(size: tuple[int, int]) -> None:
    for scene in SCENES.values():
        assert draw_scene(scene, *size).shape == (*size, 3)


def test_a_gradient_has_no_bands() -> None:
    drawn = draw_scene(SCENES["gradient-mist"], 4000, 64).astype(float)[..., 1]
    means = cv2.blur(drawn, (64, 16))[16:-16, 32]
    assert np.abs(np.diff(means)).max() < 0.25  # without noise it would be whole levels or nothing
    assert len(np.unique(np.round(means, 1))) > 200


def test_a_plain_scene_is_one_colour() -> None:
    for name in ("white", "light-gray", "charcoal"):
        assert len(np.unique(draw_scene(SCENES[name], 300, 300).reshape(-1, 3), axis=0)) == 1


def test_no_two_look_alike() -> None:
    drawn = {name: draw_scene(scene, 60, 80).astype(int) for name, scene in SCENES.items()}
    for one in drawn:
        for other in drawn:
            if one != other:
                assert np.abs(drawn[one] - drawn[other]).mean() > 2, (one, other)


def test_every_id_can_be_chosen() -> None:
    for name, scene in SCENES.items():
        assert RemovalOptions(background_id=name).made == "composite"
        assert re.fullmatch(r"[A-Z][A-Za-z ]+", scene.name)
    assert len({scene.name for scene in SCENES.values()}) == len(SCENES)
