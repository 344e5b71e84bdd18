"""A second look at a part of a picture is blended in and judged as the page does it."""

from __future__ import annotations

import numpy as np
import pytest

from models.arrays import U8Array
from scripts.evaluate.cases import Case
from scripts.look_again.trials import PLACES, SHARES, contradiction, patch_in, try_out


def _flat(height: int, width: int, level: int) -> U8Array:
    return np.full((height, width), level, np.uint8)


def test_borders_within_the_picture_are_blended_as_in_the_page() -> None:
    # The same figures as in web/page/tests/retouch.test.ts.
    mixed = patch_in(_flat(80, 100, 40), _flat(50, 60, 200), (slice(10, 60), slice(10, 70)))
    ramp = [60, 100, 140, 180, 200, 200]
    assert mixed[25, :6].tolist() == ramp
    assert mixed[25, ::-1][:6].tolist() == ramp
    assert mixed[:6, 30].tolist() == ramp
    assert mixed[::-1, 30][:6].tolist() == ramp


@pytest.mark.parametrize(
    ("top", "left", "expected"), [(0, 0, [200, 60, 200, 60]), (30, 40, [60, 200, 60, 200])]
)
def test_the_pictures_own_border_is_not_blended(top: int, left: int, expected: list[int]) -> None:
    window = (slice(top, top + 50), slice(left, left + 60))
    mixed = patch_in(_flat(80, 100, 40), _flat(50, 60, 200), window)
    assert [mixed[25, 0], mixed[25, -1], mixed[0, 30], mixed[-1, 30]] == expected


def test_only_what_was_certain_is_contradicted() -> None:
    before = np.array([[0, 8, 9, 128], [246, 247, 255, 255]], np.uint8)
    again = np.array([[0, 8, 255, 255], [0, 247, 255, 0]], np.uint8)
    assert contradiction(before, again) == pytest.approx(1 / 5)
    assert contradiction(_flat(2, 2, 100), _flat(2, 2, 0)) == 0


def test_a_second_look_that_is_right_puts_its_window_right() -> None:
    truth = _flat(120, 160, 0)
    truth[30:90, 40:120] = 255
    truth[30:90, 118:122] = 128
    source = np.repeat(truth[..., None], 3, axis=2)
    case = Case("square", source, truth, np.ones(truth.shape, np.bool_))

    def seen(picture: U8Array) -> U8Array:
        matte = picture[..., 0].copy()
        if picture.shape[:2] == truth.shape:
            matte[60:70, 118:126] = 200
        return matte

    trials = list(try_out(case, 1, seen))
    assert [(one.share, one.place) for one in trials] == [(s, p) for s in SHARES for p in PLACES]
    for one in trials:
        assert one.after <= one.before
        if one.place == "error":
            assert one.after < one.before / 2
            assert one.band_before is not None
            assert one.band_after is not None
            assert one.band_after < one.band_before / 2
