"""Mattes that are wrong in a known place, and the strokes that a hand would draw there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from models.arrays import Mask, U8Array
from models.matting.strokes import Stroke
from scripts.evaluate.cases import Case

#: Least cells of a fault, as a share of the picture: of less, nobody would draw a stroke.
_LEAST_SHARE = 0.004
_BRUSH = 0.012


@dataclass(frozen=True)
class Fault:
    """A matte that is wrong somewhere.

    Attributes:
        name: Of the picture, and what is wrong.
        source: Colours ``[H, W, 3]``.
        truth: Matte ``[H, W]``, 0..255.
        known: Mask ``[H, W]`` of the pixels whose truth is known.
        wrong_alpha: The matte that is wrong ``[H, W]``.
        strokes: What is drawn to put it right; empty where nobody has scripted any.
    """

    name: str
    source: U8Array
    truth: U8Array
    known: Mask
    wrong_alpha: U8Array
    strokes: tuple[Stroke, ...] = ()

    @property
    def wrong(self) -> Mask:
        """Where the matte was wrong ``[H, W]``."""
        off = cv2.absdiff(self.wrong_alpha, self.truth) > 25
        return np.asarray(off & self.known, np.bool_)


def make_faults(case: Case, number: int) -> Iterator[Fault]:
    """Take a piece of the subject away, and keep a piece of the background, one at a time."""
    for kind in ("missing", "kept"):
        rng = np.random.default_rng([number, kind == "kept"])
        for _ in range(50):
            ellipse = _random_ellipse(case.alpha_u8, kind, rng)
            fault = _spoil(case, kind, ellipse)
            if fault.wrong.mean() > _LEAST_SHARE:
                yield fault
                break


def read_faults(file: Path, cases: dict[str, Case]) -> Iterator[Fault]:
    """The scripted faults and strokes of a file; examples/strokes/README.md says how it is made.

    Args:
        file: The JSON file.
        cases: The pictures it speaks of, by name.
    """
    for one in json.loads(file.read_text())["faults"]:
        case = cases[one["picture"]]
        spoilt = _spoil(case, one["fault"], _ellipse(one["ellipse"], *case.alpha_u8.shape))
        yield Fault(**{**vars(spoilt), "strokes": tuple(map(stroke_of, one["strokes"]))})


def stroke_of(given: dict[str, Any]) -> Stroke:
    """A stroke of its JSON."""
    return Stroke(given["kind"], tuple((x, y) for x, y in given["points"]), given["radius"])


def next_stroke(alpha_u8: U8Array, fault: Fault) -> Stroke | None:
    """What a hand would draw next: along the middle of the largest piece that is wrong.

    Returns:
        The stroke; None where nothing that is worth one is wrong any more.
    """
    off = alpha_u8.astype(np.int16) - fault.truth
    best, kind = None, "keep"
    for name, sign in (("keep", -1), ("remove", 1)):
        piece = _largest_piece(((sign * off > 127) & fault.known).astype(np.uint8))
        if piece is not None and (best is None or piece.sum() > best.sum()):
            best, kind = piece, name
    return None if best is None else Stroke(kind, _middle_line(best), _BRUSH)  # type: ignore[arg-type]


def _random_ellipse(truth: U8Array, kind: str, rng: np.random.Generator) -> U8Array:
    """Somewhere across the subject's edge or inside, a sixth to a third of the subject wide."""
    height, width = truth.shape
    there = np.argwhere(truth > 250 if kind == "missing" else truth < 5)
    y, x = there[rng.integers(len(there))]
    side = max(height, width)
    axes = rng.uniform(0.05, 0.14, 2) * side
    drawn = np.zeros((height, width), np.uint8)
    angle = rng.uniform(0, 180)
    cv2.ellipse(drawn, ((float(x), float(y)), (2 * axes[0], 2 * axes[1]), angle), 255, -1)
    return drawn


def _ellipse(given: dict[str, Any], height: int, width: int) -> U8Array:
    """An ellipse in shares of the picture ``[H, W]``, 0 or 255."""
    x, y = given["centre"]
    side = max(height, width)
    across, down = (2 * axis * side for axis in given["half_axes"])
    drawn = np.zeros((height, width), np.uint8)
    cv2.ellipse(drawn, ((x * width, y * height), (across, down), given["degrees"]), 255, -1)
    return drawn


def _spoil(case: Case, kind: str, ellipse: U8Array) -> Fault:
    soft = cv2.GaussianBlur(ellipse, (0, 0), 1.5)
    if kind == "missing":
        alpha = np.minimum(case.alpha_u8, 255 - soft)
    else:
        alpha = np.maximum(case.alpha_u8, soft)
    known = np.asarray(case.known, np.bool_)
    return Fault(f"{case.name} {kind}", case.source, case.alpha_u8, known, alpha)


def _largest_piece(off: U8Array) -> Mask | None:
    n_pieces, pieces, stats, _ = cv2.connectedComponentsWithStats(off)
    if n_pieces < 2:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    if stats[largest, cv2.CC_STAT_AREA] < _LEAST_SHARE / 8 * off.size:
        return None
    return np.asarray(pieces == largest, np.bool_)


def _middle_line(piece: Mask) -> tuple[tuple[float, float], ...]:
    """From end to end of a piece through its middle, well inside it."""
    distance = cv2.distanceTransform(np.pad(piece, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    deep = np.argwhere(distance >= 0.5 * distance.max())[:, ::-1].astype(np.float64)
    centre = np.unravel_index(int(distance.argmax()), distance.shape)[::-1]
    _, _, axes = np.linalg.svd(deep - deep.mean(axis=0), full_matrices=False)
    along = (deep - deep.mean(axis=0)) @ axes[0]
    ends = (deep[along.argmin()], np.asarray(centre, np.float64), deep[along.argmax()])
    height, width = piece.shape
    return tuple((float(x + 0.5) / width, float(y + 0.5) / height) for x, y in ends)
