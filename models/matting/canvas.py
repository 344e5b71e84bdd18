"""Where the subject is in a picture, and a picture put somewhere else on a canvas."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from models.arrays import U8Array
from models.matting.grid import Block
from models.matting.near_edge import within

_Counts = npt.NDArray[np.integer]

#: Below this a matte is faint enough not to be missed by anybody.
_VISIBLE = 16
#: A part of fewer than this share of the largest part's visible pixels is a speck.
_SPECK = 1 / 2000
#: So is, whatever else there is, a part of fewer than this share of the picture.
_SPECK_OF_PICTURE = 1 / 40_000
#: Longest side of the grid on which parts are told apart, in cells.
_MAX_SIDE = 512
#: Rows of cells that are counted at once.
_STRIP_CELLS = 8
#: Rows of a canvas that are filled at once.
_STRIP_ROWS = 64


class Box(NamedTuple):
    """A rectangle in pixels; it may lie partly outside what it is a rectangle of.

    Attributes:
        left: Columns left of it.
        top: Rows above it.
        width: Columns, at least 1.
        height: Rows, at least 1.
    """

    left: int
    top: int
    width: int
    height: int


def subject_box(alpha_u8: U8Array, threshold: int = _VISIBLE) -> Box | None:
    """Find the smallest box with all of the subject, but for specks of noise.

    Visible pixels less than about two cells of a grid of 512 apart are one part. A part is a speck
    if it has fewer than 1/2000 of the pixels of the largest part, or than 1/40,000 of the picture.

    Args:
        alpha_u8: Matte ``[H, W]``, 0..255.
        threshold: From this opacity on a pixel is visible.

    Returns:
        The box, or None where there is no subject.
    """
    height, width = alpha_u8.shape
    cell = -(-max(height, width) // _MAX_SIDE)
    counts = _count(alpha_u8, threshold, cell)
    labels, parts = _label(counts)
    pixels = np.bincount(labels.ravel(), weights=counts.ravel(), minlength=parts)
    pixels[0] = 0
    largest = pixels.max()
    kept = (pixels >= largest * _SPECK) & (pixels >= alpha_u8.size * _SPECK_OF_PICTURE)
    kept &= pixels > 0
    if not kept.any():
        return None
    cells = kept[labels].astype(np.uint8)
    box = cv2.boundingRect(cells)
    left, across = _edges(alpha_u8, cells, (box[0], box[2]), cell, threshold)
    top, down = _edges(alpha_u8.T, cells.T, (box[1], box[3]), cell, threshold)
    return Box(left, top, across, down)


def _edges(
    alpha_u8: U8Array, cells: U8Array, span: tuple[int, int], cell: int, threshold: int
) -> tuple[int, int]:
    """First column with a visible pixel in a chosen cell, and how many to the last of them.

    Only the outermost columns of cells, which the span names, are looked at.
    """
    seen = []
    for column in (span[0], span[0] + span[1] - 1):
        strip = alpha_u8[:, column * cell : (column + 1) * cell]
        chosen = np.repeat(cells[:, column], cell)[: len(strip)].astype(bool)
        visible = (strip[chosen] >= threshold).any(axis=0)
        seen.append(np.flatnonzero(visible) + column * cell)
    return int(seen[0][0]), int(seen[1][-1] - seen[0][0]) + 1


def place(
    colours: U8Array, alpha_u8: U8Array, box: Box, canvas: tuple[int, int]
) -> tuple[U8Array, U8Array]:
    """Resample a whole picture so that it fills a box on a transparent canvas.

    Colours count by their opacity, so that hidden ones leave no fringe; those under alpha 0
    become 0. Without a change of size every pixel stays exactly as it is. Shrinking averages over
    areas; enlarging interpolates linearly.

    Args:
        colours: ``[H, W, 3]``, straight.
        alpha_u8: Matte ``[H, W]``, 0..255.
        box: Where on the canvas; what lies outside is cut off.
        canvas: Height and width.

    Returns:
        Colours ``[height, width, 3]`` and matte ``[height, width]``.

    Raises:
        ValueError: If colours and matte differ in size. Our bug, never a user's.
    """
    if colours.shape[:2] != alpha_u8.shape:
        raise ValueError(f"colours {colours.shape[:2]} and alpha {alpha_u8.shape} differ")
    size = (min(box.height, alpha_u8.shape[0]), min(box.width, alpha_u8.shape[1]))
    if size != alpha_u8.shape:
        colours, alpha_u8 = _shrink(colours, alpha_u8, size)
    placed, opacity = np.zeros((*canvas, 3), np.uint8), np.zeros(canvas, np.uint8)
    rows = range(max(0, box.top), min(canvas[0], box.top + box.height))
    columns = range(max(0, box.left), min(canvas[1], box.left + box.width))
    for top in rows[::_STRIP_ROWS] if columns else ():
        strip = (slice(top, min(top + _STRIP_ROWS, rows.stop)), slice(columns.start, columns.stop))
        seen = within(strip, (slice(box.top, None), slice(box.left, None)))
        part, opacity[strip] = _look_up(colours, alpha_u8, box, seen)
        cv2.copyTo(part, opacity[strip], placed[strip])
    return placed, opacity


def _shrink(colours: U8Array, alpha_u8: U8Array, size: tuple[int, int]) -> tuple[U8Array, U8Array]:
    """Average over areas, channel by channel: 16 bits of one take less than 16 bits of all."""
    shrunk = np.empty((*size, 3), np.uint8)
    target = size[::-1]
    weight = cv2.resize(
        np.multiply(alpha_u8, 255, dtype=np.uint16), target, interpolation=cv2.INTER_AREA
    )
    for channel in range(3):
        plane = np.multiply(colours[..., channel], alpha_u8, dtype=np.uint16)
        plane = cv2.resize(plane, target, interpolation=cv2.INTER_AREA)
        shrunk[..., channel] = cv2.divide(plane, weight, scale=255, dtype=cv2.CV_8U)
    return shrunk, _opacity(weight)


def _look_up(colours: U8Array, alpha_u8: U8Array, box: Box, seen: Block) -> tuple[U8Array, U8Array]:
    """Interpolate what is seen of a picture that fills a box at least as large as itself."""
    if alpha_u8.shape == (box.height, box.width):
        return colours[seen], alpha_u8[seen]
    scales = (alpha_u8.shape[0] / box.height, alpha_u8.shape[1] / box.width)
    first = [(one.start + 0.5) * scale - 0.5 for one, scale in zip(seen, scales, strict=True)]
    last = [(one.stop - 0.5) * scale - 0.5 for one, scale in zip(seen, scales, strict=True)]
    top, left = (max(0, int(one) - 1) for one in first)
    near = (slice(top, int(last[0]) + 3), slice(left, int(last[1]) + 3))
    light = cv2.multiply(
        cv2.cvtColor(colours[near], cv2.COLOR_RGB2RGBA),
        cv2.merge([alpha_u8[near]] * 4),
        dtype=cv2.CV_16U,
    )
    enlarged = cv2.warpAffine(
        light,
        np.array([[scales[1], 0, first[1] - left], [0, scales[0], first[0] - top]]),
        (seen[1].stop - seen[1].start, seen[0].stop - seen[0].start),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    weight = cv2.extractChannel(enlarged, 3)
    straight = cv2.divide(enlarged, cv2.merge([weight] * 4), scale=255, dtype=cv2.CV_8U)
    return np.asarray(cv2.cvtColor(straight, cv2.COLOR_RGBA2RGB), np.uint8), _opacity(weight)


def _opacity(weight: npt.ArrayLike) -> U8Array:
    """Opacity times 255, as the fourth channel has it, to opacity."""
    return ((np.asarray(weight, np.uint16) + 127) // 255).astype(np.uint8)


def _count(alpha_u8: U8Array, threshold: int, cell: int) -> _Counts:
    """Visible pixels of each cell, strip by strip.

    The rounded mean of a cell of at most 15 x 15 pixels that are 0 or 255 tells their exact number.
    """
    height, width = alpha_u8.shape
    columns, rows = -(-width // cell), -(-height // cell)
    means = np.empty((rows, columns), np.float32)
    strip = np.zeros((cell * _STRIP_CELLS, columns * cell), np.uint8)
    for first in range(0, rows, _STRIP_CELLS):
        part = alpha_u8[first * cell : (first + _STRIP_CELLS) * cell]
        strip[len(part) :] = 0
        cv2.threshold(part, threshold - 1, 255, cv2.THRESH_BINARY, dst=strip[: len(part), :width])
        reduced = cv2.resize(strip, (columns, _STRIP_CELLS), interpolation=cv2.INTER_AREA)
        means[first : first + _STRIP_CELLS] = reduced[: rows - first]
    return np.rint(means * np.float32(cell * cell / 255)).astype(np.uint32)


def _label(counts: _Counts) -> tuple[_Counts, int]:
    """Number the parts, cells that touch by a corner included; 0 is nothing."""
    parts, labels = cv2.connectedComponents((counts > 0).astype(np.uint8), connectivity=8)
    return np.asarray(labels, np.int32), parts
