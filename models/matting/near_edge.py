"""Alpha matte -> the rectangles in which there is an edge; the rest need not be touched."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from models.arrays import Mask, U8Array
from models.matting.grid import Block

_BLOCK_PX = 64
_NEIGHBOURS = np.ones((3, 3), np.uint8)


def near_edge(alpha_u8: U8Array, reach: int) -> Iterator[tuple[Block, Block]]:
    """Find every pixel that has a different one within reach, in rectangles that do not overlap.

    Args:
        alpha_u8: Matte ``[H, W]``.
        reach: How far a pixel sees up, down, left and right, in pixels.

    Yields:
        A rectangle, and the same with all that its pixels see. What lies in no rectangle sees
        pixels of its own value only.
    """
    height, width = alpha_u8.shape
    side = max(_BLOCK_PX, reach)
    for top, left, right in _runs(_active(alpha_u8, side), side):
        bottom, right = min(top + side, height), min(right, width)
        outer = (
            slice(max(0, top - reach), min(height, bottom + reach)),
            slice(max(0, left - reach), min(width, right + reach)),
        )
        yield (slice(top, bottom), slice(left, right)), outer


def within(block: Block, outer: Block) -> Block:
    """Say where a rectangle lies in the larger one around it."""
    rows, columns = (
        slice(part.start - whole.start, part.stop - whole.start)
        for part, whole in zip(block, outer, strict=True)
    )
    return rows, columns


def _active(alpha_u8: U8Array, side: int) -> Mask:
    """Whether a block or one of its eight neighbours differs: one value per block."""
    height, width = alpha_u8.shape
    lefts = np.arange(0, width, side)
    strips = [alpha_u8[top : top + side] for top in range(0, height, side)]
    highest = np.stack([np.maximum.reduceat(strip.max(axis=0), lefts) for strip in strips])
    lowest = np.stack([np.minimum.reduceat(strip.min(axis=0), lefts) for strip in strips])
    active: Mask = cv2.dilate(highest, _NEIGHBOURS) != cv2.erode(lowest, _NEIGHBOURS)
    return active


def _runs(active: Mask, side: int) -> Iterator[tuple[int, int, int]]:
    """Neighbouring blocks of a row as one: top, left and right in pixels."""
    for number, row in enumerate(active):
        changes = np.flatnonzero(np.diff(row.astype(np.int8), prepend=0, append=0)) * side
        for left, right in zip(changes[::2], changes[1::2], strict=True):
            yield number * side, int(left), int(right)
