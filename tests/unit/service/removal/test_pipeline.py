"""The steps before and after the matte, without a server, an event loop or a network."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from service.imaging.guard import ImageLimits, inspect
from service.removal.options import RemovalOptions
from service.removal.pipeline import FINISH, PREPARE, Removal, run
from service.removal.threads import StageClock
from tests.support.matting import INPUT_SIZE, SPEC
from tests.support.pictures import make_portrait, save


def _prepared(data: bytes, clock: StageClock, *, keeps: bool = False, **options: Any) -> Removal:
    header = inspect(data, ImageLimits())
    removal = Removal(data, header, RemovalOptions(**options), SPEC, keeps_source=keeps)
    run(PREPARE, removal, clock)
    return removal


def test_two_lists_of_functions_make_a_cutout(portrait_png: bytes) -> None:
    clock = StageClock(10)
    removal = _prepared(portrait_png, clock)
    assert removal.model_input.shape == (INPUT_SIZE, INPUT_SIZE, 3)
    removal.alpha = removal.model_input[..., 1]
    run(FINISH, removal, clock)
    decoded = cv2.imdecode(np.frombuffer(removal.file.data, np.uint8), cv2.IMREAD_UNCHANGED)
    height, width = removal.source.pixels.shape[:2]
    assert decoded.shape == (height, width, 4)
    assert list(clock.stages_ms) == [
        *("decode", "fit", "refine", "smooth", "foreground", "compose", "encode")
    ]


def test_the_second_half_runs_again_with_other_options(portrait_png: bytes) -> None:
    removal = _prepared(portrait_png, StageClock(10), keeps=True, smoothing=False)
    matte, clock = removal.model_input[..., 1], StageClock(10)
    removal.alpha = matte
    run(FINISH, removal, clock)
    plain = removal.file.data
    assert "smooth" not in clock.stages_ms
    removal.options, removal.alpha = RemovalOptions(smoothing=True), matte
    run(FINISH, removal, clock)
    assert removal.file.data != plain
    removal.options, removal.alpha = RemovalOptions(smoothing=False), matte
    run(FINISH, removal, clock)
    assert removal.file.data == plain


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bg_blur": 3},
        {"bg_color": "red"},
        {"output": "parts"},
        {"output": "mask", "size": "300x300"},
        {"shift_edge": 2, "feather": 3},
        {"crop": "true", "shadow": "drop", "outline": 2},
    ],
    ids=str,
)
def test_a_source_that_is_written_into_changes_no_answer(options: dict[str, Any]) -> None:
    photo = save(Image.fromarray(make_portrait(600, 800)), "JPEG", quality=90)
    y, x = np.mgrid[0:INPUT_SIZE, 0:INPUT_SIZE] - INPUT_SIZE / 2
    files = []
    for keeps in (True, False):
        removal = _prepared(photo, StageClock(10), keeps=keeps, **options)
        removal.alpha = np.clip((20 - np.hypot(y, x)) * 40, 0, 255).astype(np.uint8)
        run(FINISH, removal, StageClock(10))
        files.append(removal.file.data)
    assert files[0] == files[1]
