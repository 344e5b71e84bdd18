"""What judges the effects knows the truth, and its report says what was found."""

from __future__ import annotations

import numpy as np
import pytest

from models.matting.compositing import composite
from scripts.evaluate.composites import Composite
from scripts.looks.__main__ import Looks
from scripts.looks.cost import Cost, calls
from scripts.looks.judge import Judgement
from scripts.looks.trials import LIGHTS, compose_scene, mix, photographs, relight
from scripts.measuring.machine import describe_machine
from tests.support.mattes import colours, disc


def test_a_scene_is_the_mixture_of_its_layers() -> None:
    behind = np.full((120, 120, 3), 100, np.uint8)
    made = Composite("one", False, behind, colours(120, 120), disc(soft=9), (behind[0, 0], behind))
    scene = compose_scene(made)
    assert np.array_equal(scene.background, behind)
    exact = mix(scene.foreground, scene.alpha, scene.background)
    rgba = np.dstack([scene.foreground, scene.alpha])
    assert np.abs(composite(rgba, behind) - exact).max() <= 0.51
    assert 0.5 < np.abs(scene.source - exact).mean() < 2  # the noise


def test_light_changes_colours_as_a_camera_would() -> None:
    grey = np.full((2, 2, 3), 100, np.uint8)
    assert np.array_equal(relight(grey, 0.0, 0.0), grey)
    lit = [relight(grey, *light)[0, 0].astype(int) for light in LIGHTS]
    assert len({tuple(one) for one in lit}) == len(LIGHTS)
    brighter, darker, warm, cool = lit[:4]
    assert (brighter > 120).all()
    assert (darker < 85).all()
    assert warm[0] > 100 > warm[2]
    assert cool[0] < 100 < cool[2]


def test_every_photograph_has_its_matte() -> None:
    for _, picture, alpha in photographs():
        assert picture.shape[:2] == alpha.shape
        assert (alpha >= 250).any()


@pytest.mark.parametrize("size", [(61, 83), (120, 90)])
def test_every_call_that_is_timed_runs(size: tuple[int, int]) -> None:
    for call in calls(*size).values():
        call()


def test_the_report_shows_every_judgement_and_cost() -> None:
    judgement = Judgement("feather", "levels", "radius 1", 11.04, 8.208, 5, 8)
    report = Looks(
        "2026-11-27",
        "python -m scripts.looks",
        describe_machine(),
        8,
        [judgement],
        [Cost("outline 20 px", 11.63, 36.04, 2.0, 12.3)],
    )
    page = report.as_markdown()
    assert "| feather | levels | radius 1 | 11 | 8.21 | 5 of 8 |" in page
    assert "| outline 20 px | 11.6 | 36.0 | 2.0 | 12 |" in page
