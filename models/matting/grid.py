"""Source image or matte -> a reduced grid of cells, and back to blocks of source pixels.

What varies slowly is computed on the grid; only blocks with a soft edge return to full resolution.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from models.arrays import FloatArray, U8Array

#: Side of the blocks that are worked on or skipped, in pixels of the source image.
_BLOCK_PX = 64


#: Rows and columns of a rectangle.
Block = tuple[slice, slice]


@dataclass(frozen=True)
class Grid:
    """The reduced grid: whole blocks of source pixels. A remainder repeats the last cell.

    Attributes:
        height: Rows.
        width: Columns.
        step_y: Source rows per cell.
        step_x: Source columns per cell.
    """

    height: int
    width: int
    step_y: int
    step_x: int

    def pixels(self, block: Block, height: int, width: int) -> Block:
        """Turn a block of cells into source pixels, the remainder of the picture included.

        Args:
            block: Rows and columns, in cells.
            height: Rows of the source image.
            width: Columns of the source image.

        Returns:
            Rows and columns, in source pixels.
        """
        rows, columns = block
        bottom = height if rows.stop == self.height else rows.stop * self.step_y
        right = width if columns.stop == self.width else columns.stop * self.step_x
        return slice(rows.start * self.step_y, bottom), slice(columns.start * self.step_x, right)


def make_grid(height: int, width: int, max_side: int) -> Grid:
    """Choose cells of a power of two, for which OpenCV averages fastest.

    Args:
        height: Rows of the source image.
        width: Columns of the source image.
        max_side: Most cells along the longer side.

    Returns:
        The grid; square cells unless the picture is thinner than one cell.
    """
    step = 1
    while max(height, width) > step * max_side:
        step *= 2
    rows, columns = max(1, height // step), max(1, width // step)
    return Grid(rows, columns, min(step, height), min(step, width))


def reduce_to_grid(image: U8Array, grid: Grid) -> U8Array:
    """Average an image over the cells.

    Args:
        image: Colours ``[H, W, 3]`` or a matte ``[H, W]``.
        grid: Grid made for ``H`` and ``W``.

    Returns:
        The same, ``[grid.height, grid.width]``.
    """
    reduced = image[: grid.height * grid.step_y, : grid.width * grid.step_x]
    while grid.step_y == grid.step_x and reduced.shape[0] >= 2 * grid.height:
        half = (reduced.shape[1] // 2, reduced.shape[0] // 2)
        reduced = np.asarray(cv2.resize(reduced, half, interpolation=cv2.INTER_AREA), np.uint8)
    size = (grid.width, grid.height)
    return np.asarray(cv2.resize(reduced, size, interpolation=cv2.INTER_AREA), np.uint8)


def soft_blocks(coarse: U8Array, grid: Grid, reach: int = 0) -> Iterator[Block]:
    """Find runs of neighbouring blocks where alpha is not 0 or 255 throughout.

    Args:
        coarse: Matte on the grid ``[grid.height, grid.width]``, 0..255.
        grid: The grid.
        reach: How far from there blocks count as well, in cells.

    Yields:
        Rows and columns, in cells.
    """
    near = np.ones((2 * reach + 5,) * 2, np.uint8)
    soft = (cv2.dilate(coarse, near) > 0) & (cv2.erode(coarse, near) < 255)
    rows = max(1, _BLOCK_PX // grid.step_y)
    columns = max(1, _BLOCK_PX // grid.step_x)
    starts = np.arange(0, grid.width, columns)
    for top in range(0, grid.height, rows):
        bottom = min(top + rows, grid.height)
        active = np.add.reduceat(soft[top:bottom].any(axis=0), starts) > 0
        changes = np.flatnonzero(np.diff(active.astype(np.int8), prepend=0, append=0)) * columns
        for left, right in zip(changes[::2], changes[1::2], strict=True):
            yield slice(top, bottom), slice(int(left), min(int(right), grid.width))


def enlarge(
    values: U8Array | FloatArray, block: Block, grid: Grid, height: int, width: int
) -> U8Array | FloatArray:
    """Interpolate some cells to source pixels, without a seam to the neighbouring blocks.

    Args:
        values: What is known per cell, ``[grid.height, grid.width]`` or with channels.
        block: Rows and columns, in cells.
        grid: The grid.
        height: Rows wanted, in source pixels; beyond the last whole cell it is repeated.
        width: Columns wanted, in source pixels.

    Returns:
        Values ``[height, width]``, same type and channels.
    """
    rows, columns = block
    top, left = max(rows.start - 1, 0), max(columns.start - 1, 0)
    part = values[top : rows.stop + 1, left : columns.stop + 1]
    size = (part.shape[1] * grid.step_x, part.shape[0] * grid.step_y)
    y, x = (rows.start - top) * grid.step_y, (columns.start - left) * grid.step_x
    full = cv2.resize(part, size, interpolation=cv2.INTER_LINEAR)
    cut = full[y : y + height, x : x + width]
    below, beside = height - cut.shape[0], width - cut.shape[1]
    if below or beside:  # the remainder of the picture, less than one cell
        cut = cv2.copyMakeBorder(cut, 0, below, 0, beside, cv2.BORDER_REPLICATE)
    # Typed by hand: OpenCV keeps the type it is given, its stubs do not say so.
    return cast("U8Array | FloatArray", cut)
