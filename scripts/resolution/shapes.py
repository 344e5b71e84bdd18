"""True mattes drawn at the size of a photograph: hair, hard and soft outlines, wires, holes."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from models.arrays import FloatArray, U8Array

#: Draws a matte of a height and width.
Shape = Callable[[int, int, np.random.Generator], U8Array]

_BITS = 4  # OpenCV takes fractions of a pixel as so many bits
_STRANDS = 700
_SPOKES = 36
_HOLES = 260


def blob(height: int, width: int, rng: np.random.Generator) -> U8Array:
    """A subject with bays and corners, its edge as sharp as a pixel."""
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    waves = 0.15 * np.sin(3 * angle + rng.uniform(0, 6)) + 0.07 * np.sin(11 * angle)
    radius = 0.3 * min(height, width) * (1 + waves + 0.05 * np.sign(np.sin(7 * angle)))
    points = np.stack(
        [width / 2 + radius * np.cos(angle), height / 2 + radius * np.sin(angle)], axis=1
    )
    matte = np.zeros((height, width), np.uint8)
    cv2.fillPoly(matte, [_fixed(points)], 255, cv2.LINE_AA, _BITS)
    return matte


def hair(height: int, width: int, rng: np.random.Generator) -> U8Array:
    """A head with strands of one to three pixels."""
    side, x, y = min(height, width), width / 2, 0.55 * height
    matte = np.zeros((height, width), np.uint8)
    axes = (int(0.25 * side), int(0.3 * side))
    cv2.ellipse(matte, (int(x), int(y)), axes, 0, 0, 360, 255, -1, cv2.LINE_AA)
    for _ in range(_STRANDS):
        at = rng.uniform(0, 2 * np.pi)
        root = (x + 0.24 * side * np.cos(at), y + 0.29 * side * np.sin(at))
        length, bend = rng.uniform(0.03, 0.16) * side, rng.uniform(-1.5, 1.5)
        way = at + rng.uniform(-0.6, 0.6) + bend * np.linspace(0, 1, 40)
        steps = np.stack([np.cos(way), np.sin(way)], axis=1) * length / 40
        _line(matte, np.add(root, np.cumsum(steps, axis=0)), int(rng.integers(1, 4)))
    return matte


def wheel(height: int, width: int, rng: np.random.Generator) -> U8Array:
    """Thin structures: a rim and spokes of two, four and seven pixels."""
    side, centre = min(height, width), np.array([width / 2, height / 2])
    matte = np.zeros((height, width), np.uint8)
    middle = (width // 2, height // 2)
    cv2.circle(matte, middle, int(0.36 * side), 255, 9, cv2.LINE_AA)
    cv2.circle(matte, middle, int(0.06 * side), 255, -1, cv2.LINE_AA)
    turn = rng.uniform(0, 1)
    for spoke in range(_SPOKES):
        at = 2 * np.pi * spoke / _SPOKES + turn
        end = centre + 0.36 * side * np.array([np.cos(at), np.sin(at)])
        _line(matte, np.stack([centre, end]), (2, 4, 7)[spoke % 3])
    return matte


def holes(height: int, width: int, rng: np.random.Generator) -> U8Array:
    """A subject with holes of three to forty pixels."""
    matte = blob(height, width, rng)
    for _ in range(_HOLES):
        x, y = rng.uniform(0.2, 0.8) * width, rng.uniform(0.2, 0.8) * height
        centre, axes = _fixed([x, y]), _fixed([rng.uniform(3, 40), rng.uniform(3, 20)])
        turn = rng.uniform(0, 180)
        cv2.ellipse(matte, tuple(centre), tuple(axes), turn, 0, 360, 0, -1, cv2.LINE_AA, _BITS)
    return matte


def soft(height: int, width: int, rng: np.random.Generator) -> U8Array:
    """A subject that is out of focus, from hardly at the left to far at the right."""
    sharp = blob(height, width, rng)
    sigmas = np.geomspace(width / 2500, width / 160, 8)
    at, total = np.linspace(0.2, 0.8, 8) * width, np.zeros((height, width), np.float32)
    for number, sigma in enumerate(sigmas):
        share = np.interp(np.arange(width), at, np.eye(8)[number]).astype(np.float32)
        total += share * cv2.GaussianBlur(sharp, (0, 0), sigma)
    return np.asarray(np.rint(total), np.uint8)


def _fixed(points: npt.ArrayLike) -> npt.NDArray[np.int32]:
    return np.asarray(np.round(np.asarray(points, np.float64) * 2**_BITS), np.int32)


def _line(matte: U8Array, points: FloatArray, thickness: int) -> None:
    cv2.polylines(matte, [_fixed(points)], False, 255, thickness, cv2.LINE_AA, _BITS)
