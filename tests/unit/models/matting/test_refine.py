"""``refine_alpha`` puts the edge where the colours change, and never invents a subject."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.matting.edge_band import alpha_error, edge_band
from models.matting.refine import refine_alpha
from models.spec import Refinement

REFINEMENT = Refinement(radius=3.0, epsilon=3e-4, low=0.25, high=0.75)
BOTH = pytest.mark.parametrize("refinement", [None, REFINEMENT])


def make_disc(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A red disc on blue-grey: source, true alpha, and what a small network would say of it."""
    true_alpha = np.zeros((height, width), np.uint8)
    cv2.circle(true_alpha, (width // 2, height // 2), height // 3, 255, -1, cv2.LINE_AA)
    share = true_alpha[..., None] / 255.0
    source = share * (200, 60, 40) + (1 - share) * (70, 90, 120)
    noise = np.random.default_rng(0).normal(0, 2, source.shape)
    coarse = cv2.resize(true_alpha, (320, 320), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(coarse, (0, 0), 2.0)
    return np.clip(source + noise, 0, 255).astype(np.uint8), true_alpha, blurred


def make_noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_refined_edge_is_far_closer_than_a_plain_one() -> None:
    source, true_alpha, coarse = make_disc(540, 960)
    band = edge_band(true_alpha)
    plain = alpha_error(refine_alpha(coarse, source, None), true_alpha, band)
    refined = alpha_error(refine_alpha(coarse, source, REFINEMENT), true_alpha, band)
    assert refined < 0.3 * plain


@BOTH
@pytest.mark.parametrize("level", [0, 255])
def test_a_constant_matte_stays_constant(refinement: Refinement | None, level: int) -> None:
    alpha = refine_alpha(np.full((320, 320), level, np.uint8), make_noise(301, 777), refinement)
    assert np.unique(alpha).tolist() == [level]


def test_a_faint_matte_is_not_stretched_into_a_subject() -> None:
    faint = np.random.default_rng(2).integers(0, 30, (320, 320), dtype=np.uint8)
    assert refine_alpha(faint, make_noise(480, 640), REFINEMENT).max() == 0
    assert refine_alpha(faint, make_noise(480, 640), None).max() < 50


@BOTH
@pytest.mark.parametrize(
    ("height", "width"),
    [(1, 1), (1, 7680), (7680, 1), (64, 7680), (5, 3000), (33, 47), (641, 1283), (320, 320)],
)
def test_any_size_gives_a_matte_of_that_size(
    refinement: Refinement | None, height: int, width: int
) -> None:
    coarse = np.tile(np.linspace(0, 255, 320).astype(np.uint8), (320, 1))
    alpha = refine_alpha(coarse, make_noise(height, width), refinement)
    assert alpha.shape == (height, width)
    assert alpha.dtype == np.uint8


def test_a_picture_of_one_colour_keeps_the_networks_edge() -> None:
    coarse = np.zeros((320, 320), np.uint8)
    coarse[:, 160:] = 255
    with np.errstate(all="raise"):  # nothing divided by zero, no NaN
        alpha = refine_alpha(coarse, np.full((400, 1000, 3), 77, np.uint8), REFINEMENT)
    assert alpha[:, :470].max() == 0
    assert alpha[:, 530:].min() == 255


def test_blocks_meet_without_a_seam() -> None:
    """Refining only blocks must equal refining everything: a diagonal ramp crosses many blocks."""
    coarse = np.clip(np.add.outer(np.arange(320), np.arange(320)) - 200, 0, 255).astype(np.uint8)
    alpha = refine_alpha(coarse, np.full((1200, 1600, 3), 90, np.uint8), REFINEMENT).astype(int)
    assert np.abs(np.diff(alpha, axis=0)).max() <= 4
    assert np.abs(np.diff(alpha, axis=1)).max() <= 4


def test_the_same_input_gives_the_same_matte() -> None:
    source, _, coarse = make_disc(431, 613)
    first = refine_alpha(coarse, source, REFINEMENT)
    assert np.array_equal(first, refine_alpha(coarse, source, REFINEMENT))


def test_the_remainder_beyond_the_last_cell_is_refined_too() -> None:
    source, true_alpha, coarse = make_disc(643, 1287)  # 3 pixels beyond the last cell
    source, true_alpha, coarse = source[:, :644], true_alpha[:, :644], coarse[:, :160]
    alpha = refine_alpha(cv2.resize(coarse, (320, 320)), np.ascontiguousarray(source), REFINEMENT)
    assert np.abs(alpha[:, -3:].astype(int) - true_alpha[:, -3:]).mean() < 6
