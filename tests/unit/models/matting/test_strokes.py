"""Strokes put right what was wrong, leave everything else, and always give the same."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.matting.strokes import (
    Stroke,
    apply_sketch,
    apply_strokes,
    draw_stroke,
    start_sketch,
)

KEEP = Stroke("keep", ((0.42, 0.5), (0.58, 0.5)), 0.012)
REMOVE = Stroke("remove", ((0.1, 0.15), (0.2, 0.15)), 0.012)


def make_scene(height: int = 700, width: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """A textured disc before a textured ground: colours, and exact alpha."""
    rng = np.random.default_rng(3)
    alpha = np.zeros((height, width), np.uint8)
    cv2.circle(alpha, (width // 2, height // 2), height // 3, 255, -1, cv2.LINE_AA)
    share = alpha[..., None] / 255.0
    coarse = rng.normal(0, 14, (height // 20, width // 20, 3))
    texture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    source = share * (190, 120, 60) + (1 - share) * (70, 110, 130) + texture
    source += rng.normal(0, 3, source.shape)
    return np.clip(source, 0, 255).astype(np.uint8), alpha


def with_a_hole(truth: np.ndarray) -> np.ndarray:
    """The matte with a piece of the subject missing, its edge among it."""
    wrong = truth.copy()
    height, width = truth.shape
    cv2.ellipse(wrong, (width // 2, height // 2), (width // 8, height // 10), 20, 0, 360, 0, -1)
    return wrong


def with_a_rest(truth: np.ndarray) -> np.ndarray:
    """The matte with a piece of the background kept."""
    wrong = truth.copy()
    height, width = truth.shape
    centre = (round(0.15 * width), round(0.15 * height))
    cv2.ellipse(wrong, centre, (width // 10, height // 12), 0, 0, 360, 255, -1)
    return wrong


def error(alpha: np.ndarray, truth: np.ndarray, where: np.ndarray) -> float:
    return float(np.abs(alpha.astype(int) - truth)[where].mean()) / 255


@pytest.mark.parametrize(("spoil", "stroke"), [(with_a_hole, KEEP), (with_a_rest, REMOVE)])
@pytest.mark.parametrize("size", [(700, 1000), (1024, 640), (200, 300)])
def test_one_stroke_puts_a_piece_right_and_harms_nothing_else(
    spoil: object, stroke: Stroke, size: tuple[int, int]
) -> None:
    source, truth = make_scene(*size)
    wrong = spoil(truth)  # type: ignore[operator]
    where = wrong != truth
    alpha = apply_strokes(wrong, source, [stroke])
    assert error(wrong, truth, where) > 0.75
    assert error(alpha, truth, where) <= 0.05
    assert error(alpha, truth, ~where) <= 0.003


def test_the_edge_a_stroke_finds_is_the_pictures_not_the_brushs() -> None:
    source, truth = make_scene()
    nothing = np.zeros_like(truth)
    half = truth.copy()
    half[:, 600:] = 0
    alpha = apply_strokes(half, source, [Stroke("keep", ((0.62, 0.4), (0.62, 0.6)), 0.01)])
    beside = np.zeros_like(truth, bool)
    beside[250:450, 600:760] = True
    assert error(nothing, truth, beside) > 0.5
    assert error(alpha, truth, beside) < 0.05


def test_the_same_strokes_give_the_same_bytes_and_undo_gives_those_before() -> None:
    source, truth = make_scene()
    wrong = with_a_hole(with_a_rest(truth))
    first = apply_strokes(wrong, source, [KEEP, REMOVE])
    np.random.default_rng().normal(size=10)
    cv2.setRNGSeed(99)
    assert np.array_equal(first, apply_strokes(wrong, source, [KEEP, REMOVE]))
    one = draw_stroke(start_sketch(wrong, source), KEEP)
    kept = one.alpha.copy()
    draw_stroke(one, REMOVE)
    assert np.array_equal(one.alpha, kept)  # a sketch is never changed, so it can be undone to
    undone = apply_sketch(wrong, source, one)
    assert np.array_equal(undone, apply_strokes(wrong, source, [KEEP]))
    assert np.array_equal(apply_strokes(wrong, source, []), wrong)


@pytest.mark.parametrize(
    "points",
    [((-1.0, -1.0), (-0.5, -0.2)), ((0.5, -1.0), (0.5, 2.0)), ((0.0, 0.0),), ((1.0, 1.0),)],
)
@pytest.mark.parametrize("radius", [0.0001, 0.01, 0.5])
def test_strokes_beyond_the_picture_and_of_any_width_are_harmless(
    points: tuple[tuple[float, float], ...], radius: float
) -> None:
    source, truth = make_scene(90, 120)
    alpha = apply_strokes(truth, source, [Stroke("keep", points, radius)])
    assert alpha.shape == truth.shape
    assert alpha[truth == 255].min() > 200  # a stroke that keeps takes nothing away


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (2000, 3), (64, 64), (33, 47)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_any_size_and_any_matte_will_do(size: tuple[int, int], level: int) -> None:
    source = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    matte = np.full(size, level, np.uint8)
    for stroke in (KEEP, REMOVE):
        assert apply_strokes(matte, source, [stroke]).shape == size


def test_a_picture_of_one_colour_takes_what_was_painted() -> None:
    source, matte = np.full((300, 400, 3), 90, np.uint8), np.zeros((300, 400), np.uint8)
    alpha = apply_strokes(matte, source, [Stroke("keep", ((0.5, 0.5),), 0.05)])
    assert alpha[150, 200] == 255
    assert alpha[:, :50].max() == 0


def test_what_is_far_from_a_stroke_stays_exactly_as_it_is() -> None:
    source, truth = make_scene()
    alpha = apply_strokes(with_a_rest(truth), source, [REMOVE])
    assert np.array_equal(alpha[350:], truth[350:])
