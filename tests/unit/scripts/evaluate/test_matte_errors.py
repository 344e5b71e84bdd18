"""The matting literature's errors, against arrays small enough to compute by hand."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.evaluate import matte_errors


def matte(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.uint8)


# |51 - 0| + |255 - 204| + |0 - 0| + |255 - 0| = 51 + 51 + 0 + 255 = 357 levels = 1.4 of opacity.
PREDICTED = matte([51, 255], [0, 255])
TRUE = matte([0, 204], [0, 0])


def test_sad_adds_up_opacity() -> None:
    assert matte_errors.sum_of_absolute_differences(PREDICTED, TRUE) == pytest.approx(1.4)


def test_mse_averages_squares() -> None:
    # (0.2^2 + 0.2^2 + 0 + 1^2) / 4 = 1.08 / 4 = 0.27
    assert matte_errors.mean_squared_error(PREDICTED, TRUE) == pytest.approx(0.27)


def test_only_the_region_counts() -> None:
    left = np.array([[True, False], [True, False]])
    assert matte_errors.sum_of_absolute_differences(PREDICTED, TRUE, left) == pytest.approx(0.2)
    # (0.2^2 + 0) / 2 = 0.02
    assert matte_errors.mean_squared_error(PREDICTED, TRUE, left) == pytest.approx(0.02)
    nowhere = np.zeros((2, 2), np.bool_)
    assert matte_errors.mean_squared_error(PREDICTED, TRUE, nowhere) == 0.0


def test_a_lone_pixel_has_a_gradient_error_of_two() -> None:
    # The filters' squares add up to 1, and a lone pixel draws a filter into the picture: 1 across
    # and 1 down. The filters reach 4 pixels, so in 21 x 21 nothing is cut off.
    spot = np.zeros((21, 21), np.uint8)
    spot[10, 10] = 255
    assert matte_errors.gradient_error(spot, np.zeros_like(spot)) == pytest.approx(2.0, rel=1e-5)
    half = (spot // 2).astype(np.uint8)  # 127 / 255, squared
    expected = 2.0 * (127 / 255) ** 2
    assert matte_errors.gradient_error(half, np.zeros_like(spot)) == pytest.approx(expected)


def test_a_brighter_matte_has_no_gradient_error() -> None:
    plain = np.full((12, 12), 40, np.uint8)
    assert matte_errors.gradient_error(plain, plain + 100) == pytest.approx(0.0, abs=1e-9)


def test_a_blurred_edge_has_a_gradient_error() -> None:
    sharp, soft = np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint8)
    sharp[:, 10:], soft[:, 10:], soft[:, 8:12] = 255, 255, (51, 102, 153, 204)
    assert matte_errors.gradient_error(soft, sharp) > 1.0


def test_a_hole_costs_what_it_lacks_in_connectedness() -> None:
    # Both mattes share [1, 1, .5, 1]. Up to .5 the row is one piece; above, the largest is the
    # first two pixels, connected up to 1. So the levels are [1, 1, .5, .5], and what lies beyond
    # them is [0, 0, 0, .5] in the prediction, [0, 0, .5, .5] in the truth. Connectedness is
    # [1, 1, 1, .5] and [1, 1, .5, .5]: the error is .5.
    predicted, true = matte([255, 255, 128, 255]), matte([255, 255, 255, 255])
    assert matte_errors.connectivity_error(predicted, true) == pytest.approx(0.5)


def test_an_island_costs_all_of_itself() -> None:
    # The two share the first two pixels. The island hangs on nothing: its level is 0, its
    # connectedness 1 - 1 = 0; in the truth it is 1 - 0 = 1.
    predicted, true = matte([255, 255, 0, 255]), matte([255, 255, 0, 0])
    assert matte_errors.connectivity_error(predicted, true) == pytest.approx(1.0)
    first_three = np.array([[True, True, True, False]])
    assert matte_errors.connectivity_error(predicted, true, first_three) == 0.0


def test_a_little_detachment_is_forgiven() -> None:
    # 240 / 255 = .94 is connected up to .9; the .04 beyond that, and the truth's .1, are below .15.
    assert matte_errors.connectivity_error(matte([255, 240]), matte([255, 255])) == 0.0


def test_corners_do_not_connect() -> None:
    # The right pixels touch the left piece only at a corner, or not at all.
    predicted = matte([255, 255, 0], [0, 0, 255])
    true = matte([255, 255, 0], [0, 0, 0])
    assert matte_errors.connectivity_error(predicted, true) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "error",
    [
        matte_errors.sum_of_absolute_differences,
        matte_errors.mean_squared_error,
        matte_errors.gradient_error,
        matte_errors.connectivity_error,
    ],
)
def test_the_truth_has_no_error_even_where_it_is_empty(error: object) -> None:
    ramp = np.tile(np.arange(0, 250, 10, dtype=np.uint8), (25, 1))
    assert callable(error)
    assert error(ramp, ramp) == 0.0
    assert error(ramp * 0, ramp * 0) == 0.0
