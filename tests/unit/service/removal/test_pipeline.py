"""The steps before and after the matte, without a server, an event loop or a network."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from service.imaging.guard import ImageLimits, inspect
from service.removal.options import RemovalOptions
from service.removal.pipeline import FINISH, PREPARE, Removal, run
from service.removal.threads import StageClock
from tests.support.matting import INPUT_SIZE, SPEC


def _prepared(data: bytes, clock: StageClock, **options: Any) -> Removal:
    header = inspect(data, ImageLimits())
    removal = Removal(data, header, RemovalOptions(**options), SPEC)
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
    removal = _prepared(portrait_png, StageClock(10), smoothing=False)
    matte, clock = removal.model_input[..., 1], StageClock(10)
    removal.alpha = matte
    run(FINISH, removal, clock)
    plain = removal.file.data
    assert "smooth" not in clock.stages_ms
    removal.options, removal.alpha = RemovalOptions(smoothing=True), matte
    run(FINISH, removal, clock)
    assert removal.file.data != plain
