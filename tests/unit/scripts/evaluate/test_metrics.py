"""The error figures mean what their names say."""

from __future__ import annotations

import numpy as np
import pytest

from models.matting.edge_band import alpha_error, edge_band
from scripts.evaluate import metrics


@pytest.fixture
def half() -> np.ndarray:
    alpha = np.zeros((40, 100), np.uint8)
    alpha[:, 50:] = 255
    return alpha


def test_the_band_reaches_the_given_distance_on_both_sides(half: np.ndarray) -> None:
    columns = np.flatnonzero(edge_band(half, 8.0)[20])
    assert (columns.min(), columns.max()) == (42, 57)


def test_a_matte_without_an_edge_has_no_band() -> None:
    band = edge_band(np.zeros((9, 9), np.uint8))
    assert not band.any()
    assert alpha_error(np.ones((9, 9), np.uint8), np.zeros((9, 9), np.uint8), band) == 0.0


def test_the_truth_has_no_error(half: np.ndarray) -> None:
    rgba = np.dstack([np.full((40, 100, 3), 99, np.uint8), half])
    assert alpha_error(half, half) == 0.0
    assert metrics.composite_error(rgba, rgba, [np.array([1, 2, 3], np.uint8)]) == 0.0
    assert metrics.compare_masks(half, half).iou == 1.0


def test_errors_run_from_zero_to_one(half: np.ndarray) -> None:
    inverse = 255 - half
    assert alpha_error(inverse, half) == 1.0
    assert metrics.compare_masks(inverse, half).iou == 0.0


def test_only_the_region_counts(half: np.ndarray) -> None:
    wrong = half.copy()
    wrong[:, :10] = 255
    left = np.zeros(half.shape, np.bool_)
    left[:, :20] = True
    assert alpha_error(wrong, half, left) == pytest.approx(0.5)


# Rows of four: two of the subject found, one lost; one of the background taken, four left out.
PREDICTED = np.array([[255, 200, 0, 128], [0, 0, 127, 0]], np.uint8)
TRUE = np.array([[255, 255, 255, 0], [0, 0, 0, 0]], np.uint8)


def test_masks_are_compared_at_one_half() -> None:
    found = metrics.compare_masks(PREDICTED, TRUE)
    counts = (
        found.true_positives,
        found.false_positives,
        found.false_negatives,
        found.true_negatives,
    )
    assert counts == (2, 1, 1, 4)
    assert found.iou == pytest.approx(2 / 4)
    assert found.f1 == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert found.false_positive_rate == pytest.approx(1 / 5)  # of five background pixels


def test_masks_are_compared_in_the_region_only() -> None:
    first_row = np.array([[True] * 4, [False] * 4])
    found = metrics.compare_masks(PREDICTED, TRUE, first_row)
    assert found.false_positive_rate == 1.0  # the row's one background pixel
    assert found.iou == pytest.approx(2 / 4)


def test_nothing_to_find_and_nothing_found_is_right() -> None:
    empty = np.zeros((3, 3), np.uint8)
    found = metrics.compare_masks(empty, empty)
    assert (found.iou, found.f1, found.false_positive_rate) == (1.0, 1.0, 0.0)
    assert metrics.compare_masks(empty + 255, empty + 255).false_positive_rate == 0.0


def test_a_truth_without_an_edge_says_nothing_about_edges(half: np.ndarray) -> None:
    for flat in (half * 0, half * 0 + 255):  # the end of the picture is no edge
        assert metrics.edge_precision(half, flat, 5.0) is None
        assert metrics.edge_recall(half, flat, 5.0) is None
    left = np.zeros(half.shape, np.bool_)
    left[:, :20] = True
    assert metrics.edge_precision(half, half, 5.0, left) is None


def test_an_edge_is_right_within_the_tolerance(half: np.ndarray) -> None:
    shifted = np.zeros_like(half)
    shifted[:, 53:] = 255  # its edge is column 53, the true one column 50
    assert metrics.edge_precision(shifted, half, 3.0) == 1.0
    assert metrics.edge_precision(shifted, half, 2.9) == 0.0


def test_a_false_edge_costs_precision_and_a_missed_one_recall(half: np.ndarray) -> None:
    bar = half.copy()
    bar[:, 10:20] = 255  # two more edges of 40 pixels each: 40 of 120 are right
    assert metrics.edge_precision(bar, half, 1.0) == pytest.approx(1 / 3)
    assert metrics.edge_recall(bar, half, 1.0) == 1.0
    assert metrics.edge_recall(half, bar, 1.0) == pytest.approx(1 / 3)


def test_edges_outside_the_region_do_not_count(half: np.ndarray) -> None:
    bar = half.copy()
    bar[:, 10:20] = 255
    right = np.zeros(half.shape, np.bool_)
    right[:, 30:] = True
    assert metrics.edge_precision(bar, half, 1.0, right) == 1.0


def test_a_mask_without_an_edge_is_wrong_where_there_is_one(half: np.ndarray) -> None:
    assert metrics.edge_precision(half * 0, half, 5.0) == 0.0
    assert metrics.edge_recall(half * 0, half, 5.0) == 0.0


def test_the_tolerance_grows_with_the_picture() -> None:
    assert metrics.edge_tolerance(300, 400) == pytest.approx(0.0075 * 500)
