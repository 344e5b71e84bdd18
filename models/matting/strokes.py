"""Strokes that keep or remove: a hand's hints, carried to the edges that the picture shows.

A stroke says of a few pixels what they are. Which others are of the same piece is asked of their
colours: GrabCut, once, on a reduced picture near the stroke. What that finds becomes a matte again
by the refinement every matte gets. Nobody knows *objects* here: where two things have the same
colours, a stroke may run from one into the other, and a stroke of the other kind takes it back.

Source:
    Rother, Kolmogorov and Blake, "GrabCut" (2004). Keeping what hangs together with the stroke, and
    changing in its direction only, are our own additions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from models.arrays import FloatArray, Mask, U8Array
from models.matting.preprocess import halve_towards
from models.matting.refine import refine_alpha
from models.spec import Refinement

#: Longest side of the reduced picture, in cells.
_SIDE = 256
#: How far around a stroke labels may change, as a share of the longer side.
_REACH = 0.16
#: How much around that GrabCut learns the colours of, in cells.
_CONTEXT = 64
#: How far around a change the new matte counts, in cells: as far as its refinement sees.
_MARGIN = 5
_SEEN = 3 * _MARGIN
#: The labels have hard edges between cells; this finds the soft ones.
_REFINEMENT = Refinement(radius=2.0, epsilon=3e-4, low=0.2, high=0.8, max_side=640)
#: GrabCut's colour models begin with random samples.
_SEED = 7
_SUBPIXEL_BITS = 4

Kind = Literal["keep", "remove"]


@dataclass(frozen=True)
class Stroke:
    """One stroke.

    Attributes:
        kind: Whether what lies under it is of the subject.
        points: Its line, ``(x, y)`` in shares of width and height; may lie beyond the picture.
        radius: Half its width, as a share of the picture's longer side.
    """

    kind: Kind
    points: tuple[tuple[float, float], ...]
    radius: float


@dataclass(frozen=True)
class Sketch:
    """What strokes have changed so far, on the reduced picture: a few hundred kilobytes.

    Attributes:
        colours: The picture ``[h, w, 3]``.
        alpha: The matte as it is now ``[h, w]``, 0..255.
        touched: Whether the matte has changed there ``[h, w]``.
    """

    colours: U8Array
    alpha: U8Array
    touched: Mask


def start_sketch(alpha_u8: U8Array, source: U8Array) -> Sketch:
    """Reduce a picture and its matte, for strokes.

    Args:
        alpha_u8: Matte ``[H, W]``, 0..255.
        source: Colours ``[H, W, 3]``.
    """
    height, width = alpha_u8.shape
    scale = min(1.0, _SIDE / max(height, width))
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    halved = halve_towards(source, rows, columns)
    colours = cv2.resize(halved, (columns, rows), interpolation=cv2.INTER_AREA)
    alpha = cv2.resize(alpha_u8, (columns, rows), interpolation=cv2.INTER_AREA)
    return Sketch(
        np.asarray(colours, np.uint8), np.asarray(alpha, np.uint8), np.zeros((rows, columns), bool)
    )


def draw_stroke(sketch: Sketch, stroke: Stroke) -> Sketch:
    """Add a stroke; the same strokes in the same order always give the same.

    Returns:
        Another sketch; the given one stays as it is, to undo to.
    """
    painted = _paint(stroke, *sketch.alpha.shape)
    if not painted.any():
        return sketch
    inside = np.asarray(sketch.alpha >= 128, np.bool_)
    wanted = inside if stroke.kind == "keep" else np.invert(inside)
    reach = max(1, round(_REACH * max(painted.shape)))
    seen = _around(painted, 1, reach + _CONTEXT), _around(painted, 0, reach + _CONTEXT)
    found = _grow(sketch.colours[seen].copy(), wanted[seen], painted[seen], reach, stroke.kind)
    alpha = sketch.alpha.copy()
    alpha[seen][found] = 255 if stroke.kind == "keep" else 0
    changed = np.asarray(alpha != sketch.alpha, np.bool_)
    return replace(sketch, alpha=alpha, touched=sketch.touched | changed)


def apply_sketch(alpha_u8: U8Array, source: U8Array, sketch: Sketch) -> U8Array:
    """Bring what strokes have changed into a matte; elsewhere it stays exactly as it is.

    Args:
        alpha_u8: Matte ``[H, W]``, 0..255, as it is without strokes.
        source: Colours ``[H, W, 3]``.
        sketch: Of the same picture, at this or another size.

    Returns:
        Matte ``[H, W]``, 0..255.
    """
    applied = alpha_u8.copy()
    if not sketch.touched.any():
        return applied
    cells = _around(sketch.touched, 1, _SEEN), _around(sketch.touched, 0, _SEEN)
    rows, columns = (
        _scaled(part, n_cells, n_pixels)
        for part, n_cells, n_pixels in zip(cells, sketch.alpha.shape, alpha_u8.shape, strict=True)
    )
    here = applied[rows, columns]
    drawn = refine_alpha(sketch.alpha[cells].copy(), source[rows, columns], _REFINEMENT)
    share = _share(sketch.touched[cells], *drawn.shape)
    applied[rows, columns] = cv2.blendLinear(drawn, here, share, 1 - share)
    return applied


def apply_strokes(alpha_u8: U8Array, source: U8Array, strokes: Iterable[Stroke]) -> U8Array:
    """Change a matte by strokes.

    Args:
        alpha_u8: Matte ``[H, W]``, 0..255.
        source: Colours ``[H, W, 3]``.
        strokes: In the order they were drawn.

    Returns:
        Matte ``[H, W]``, 0..255.
    """
    sketch = start_sketch(alpha_u8, source)
    for stroke in strokes:
        sketch = draw_stroke(sketch, stroke)
    return apply_sketch(alpha_u8, source, sketch)


def _paint(stroke: Stroke, height: int, width: int) -> Mask:
    """The cells under a stroke; at least one wide."""
    unit = 1 << _SUBPIXEL_BITS
    scale = np.array([width, height]) * unit
    line = np.rint(np.asarray(stroke.points, np.float64) * scale - unit / 2).astype(np.int32)
    canvas = np.zeros((height, width), np.uint8)
    across = max(1, round(2 * stroke.radius * max(height, width)))
    cv2.polylines(canvas, [line], False, 1, across, cv2.LINE_8, _SUBPIXEL_BITS)
    if len(line) == 1:
        radius = round(across * unit / 2)
        cv2.circle(canvas, tuple(map(int, line[0])), radius, 1, -1, cv2.LINE_8, _SUBPIXEL_BITS)
    return np.asarray(canvas > 0, np.bool_)


def _grow(colours: U8Array, wanted: Mask, painted: Mask, reach: int, kind: Kind) -> Mask:
    """The cells that a stroke brings to its side: those under it, and their like around it.

    Args:
        colours: ``[h, w, 3]``.
        wanted: Cells that are on the stroke's side already.
        painted: Cells under the stroke.
        reach: How far around the stroke, in cells.
        kind: Of the stroke.
    """
    distance = cv2.distanceTransform((~painted).astype(np.uint8), cv2.DIST_L2, 3)
    near = np.asarray(distance <= reach, np.bool_)
    ours, others = (cv2.GC_FGD, cv2.GC_BGD) if kind == "keep" else (cv2.GC_BGD, cv2.GC_FGD)
    labels = np.where(wanted, ours, others).astype(np.uint8)
    labels[near] += 2  # GC_PR_BGD and GC_PR_FGD: probably
    labels[painted] = ours
    if ((labels & 1) == 0).all() or (labels & 1).all():
        return painted
    cv2.setRNGSeed(_SEED)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(colours, labels, (0, 0, 1, 1), *models, 1, cv2.GC_INIT_WITH_MASK)
    alike = ((labels & 1) == (ours & 1)) & near & ~wanted | painted
    _, pieces = cv2.connectedComponents(alike.astype(np.uint8), connectivity=4)
    touching = np.unique(pieces[painted])
    return np.asarray(np.isin(pieces, touching) & alike, np.bool_)


def _around(chosen: Mask, axis: int, margin: int) -> slice:
    """Rows or columns with a chosen cell, and so many around them."""
    found = np.flatnonzero(chosen.any(axis=axis))
    return slice(max(0, int(found[0]) - margin), int(found[-1]) + 1 + margin)


def _scaled(cells: slice, n_cells: int, n_pixels: int) -> slice:
    stop = min(cells.stop, n_cells)
    return slice(round(cells.start * n_pixels / n_cells), round(stop * n_pixels / n_cells))


def _share(touched: Mask, height: int, width: int) -> FloatArray:
    """How far the new matte counts ``[height, width]``, 0..1: all near a change, then less."""
    distance = cv2.distanceTransform((~touched).astype(np.uint8), cv2.DIST_L2, 3)
    share = np.clip(2 - distance / _MARGIN, 0, 1).astype(np.float32)
    resized = cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.float32)
