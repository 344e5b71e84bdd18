"""A matte is scored where its truth is known, and only on what that truth can answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scripts.evaluate.cases import Case
from scripts.evaluate.scores import SOFT_MEASURES, mean, score, score_cutout

EDGE_MEASURES = ("edge_precision", "edge_recall", "mae_edge")


def make_case(known: np.ndarray | None = None) -> Case:
    """A subject that fills the right half."""
    alpha = np.zeros((60, 120), np.uint8)
    alpha[:, 60:] = 255
    everywhere = np.ones(alpha.shape, np.bool_)
    colours = np.dstack([alpha] * 3)
    return Case("half", colours, alpha, everywhere if known is None else known)


def test_where_the_truth_is_not_known_is_no_edge() -> None:
    case = make_case()
    wrong = case.alpha_u8.copy()
    wrong[:, :40] = 255  # one edge too many, at column 39
    hole = case.known.copy()
    hole[20:40, 10:30] = False  # inside what is wrong, away from its edge
    whole, holed = score(wrong, case), score(wrong, make_case(hole))
    assert whole["edge_precision"] == 0.5
    assert whole["grad"] > 0
    for key in ("edge_precision", "edge_recall", "grad"):
        assert holed[key] == pytest.approx(whole[key])


def test_a_picture_whose_edge_is_not_known_has_no_edge_measures() -> None:
    known = make_case().known.copy()
    known[:, 40:80] = False
    scores = score(make_case().alpha_u8, make_case(known))
    assert not set(EDGE_MEASURES) & set(scores)
    assert scores["iou"] == 1


def test_a_mean_is_over_the_pictures_that_have_the_measure() -> None:
    known = make_case().known.copy()
    known[:, 40:80] = False
    blank = make_case().alpha_u8 * 0
    rows = [score(one.alpha_u8, one) for one in (make_case(), make_case(known))]
    assert mean(rows, "edge_recall") == 1
    rows.append(score(blank, make_case()))
    assert mean(rows, "edge_recall") == 0.5
    assert mean(rows, "iou") == pytest.approx(2 / 3)


def test_a_cutout_is_held_against_the_true_one_where_its_colours_are_known() -> None:
    case = make_case()
    red = np.full(case.source.shape, (255, 0, 0), np.uint8)
    white = np.full(3, 255, np.uint8)
    known = replace(case, foreground=red, backgrounds=(white,))
    right, grey = np.dstack([red, case.alpha_u8]), np.dstack([case.source, case.alpha_u8])
    assert score_cutout(right, known)["composite_edge"] == 0
    # The subject's half of the band is white where it should be red: two channels of three.
    assert score_cutout(grey, known)["composite_edge"] == pytest.approx(1 / 3, abs=0.05)
    assert "composite_edge" not in score_cutout(right, case)


def test_a_picture_with_soft_edges_counts_twice() -> None:
    case = make_case()
    cutout = np.dstack([case.source, case.alpha_u8])
    soft = {measure.key for measure in SOFT_MEASURES}
    assert not soft & set(score_cutout(cutout, case))
    scores = score_cutout(cutout, replace(case, soft=True))
    assert scores["iou_soft"] == scores["iou"] == 1
    assert soft - set(scores) == {"composite_edge_soft"}  # nobody knows the colours
