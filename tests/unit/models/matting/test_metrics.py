"""The error figures mean what their names say."""

from __future__ import annotations

import numpy as np
import pytest

from models.matting import metrics


@pytest.fixture
def half() -> np.ndarray:
    alpha = np.zeros((40, 100), np.uint8)
    alpha[:, 50:] = 255
    return alpha


def test_the_band_reaches_the_given_distance_on_both_sides(half: np.ndarray) -> None:
    columns = np.flatnonzero(metrics.edge_band(half, 8.0)[20])
    assert (columns.min(), columns.max()) == (42, 57)


def test_a_matte_without_an_edge_has_no_band() -> None:
    band = metrics.edge_band(np.zeros((9, 9), np.uint8))
    assert not band.any()
    assert metrics.alpha_error(np.ones((9, 9), np.uint8), np.zeros((9, 9), np.uint8), band) == 0.0


def test_the_truth_has_no_error(half: np.ndarray) -> None:
    rgba = np.dstack([np.full((40, 100, 3), 99, np.uint8), half])
    assert metrics.alpha_error(half, half) == 0.0
    assert metrics.composite_error(rgba, rgba, [np.array([1, 2, 3], np.uint8)]) == 0.0
    assert metrics.intersection_over_union(half, half) == 1.0


def test_errors_run_from_zero_to_one(half: np.ndarray) -> None:
    inverse = 255 - half
    assert metrics.alpha_error(inverse, half) == 1.0
    assert metrics.intersection_over_union(inverse, half) == 0.0


def test_only_the_region_counts(half: np.ndarray) -> None:
    wrong = half.copy()
    wrong[:, :10] = 255
    left = np.zeros(half.shape, np.bool_)
    left[:, :20] = True
    assert metrics.alpha_error(wrong, half, left) == pytest.approx(0.5)


def test_two_empty_mattes_agree() -> None:
    empty = np.zeros((3, 3), np.uint8)
    assert metrics.intersection_over_union(empty, empty) == 1.0
