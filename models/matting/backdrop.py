"""Background pictures: the source itself out of focus, or another one brought to the canvas."""

from __future__ import annotations

import cv2
import numpy as np

from models.arrays import FloatArray, U8Array
from models.matting.grid import enlarge, make_grid, reduce_to_grid
from models.matting.preprocess import fit
from models.matting.spread import spread

#: Longest side of the grid on which the place of the subject is filled, in cells.
_MAX_SIDE = 320
#: A blur of at least this many cells looks the same at full size.
_CELLS_PER_SIGMA = 1.5
#: A grid has at least this many cells along the longer side, however wide the blur.
_MIN_SIDE = 96
#: Half side of the window the subject is widened by, in cells: its edge has its colours.
_EDGE = 1
#: Where the subject has so little opacity that it hardly counts, its edge's colours are let go.
_SHARE = np.rint(255 * (1 - (1 - np.arange(256) / 255) ** 16)).astype(np.uint8)
#: Blur of what fills transparent parts, in pixels.
_FILL_SIGMA = 8.0
#: Rows at full size that are filled at once.
_STRIP_ROWS = 64


def blur_backdrop(pixels: U8Array, alpha_u8: U8Array, sigma: float) -> U8Array:
    """Blur what is behind the subject, without the subject's colours in it.

    Where the subject is, the background around it is spread first, so that there is no halo and
    nothing of the subject behind its soft edge. A picture that is all subject is blurred as it is.

    Args:
        pixels: Source image ``[H, W, 3]``.
        alpha_u8: Matte ``[H, W]``, 0..255.
        sigma: Standard deviation of the blur, in pixels; with 0 the subject is only taken out.

    Returns:
        Background ``[H, W, 3]``.
    """
    height, width = alpha_u8.shape
    sigma = min(sigma, max(height, width))
    step = 1
    while min(sigma / _CELLS_PER_SIGMA, max(height, width) / _MIN_SIDE) >= 2 * step:
        step *= 2
    grid = make_grid(height, width, -(-max(height, width) // step))
    filled = _fill(reduce_to_grid(pixels, grid), reduce_to_grid(alpha_u8, grid))
    blurred = cv2.sepFilter2D(
        filled,
        -1,
        _kernel(sigma, grid.step_x),
        _kernel(sigma, grid.step_y),
        borderType=cv2.BORDER_REFLECT,
    )
    whole = (slice(0, grid.height), slice(0, grid.width))
    return np.asarray(enlarge(np.asarray(blurred, np.uint8), whole, grid, height, width), np.uint8)


def cover(picture: U8Array, height: int, width: int) -> U8Array:
    """Fill a canvas with a picture; what is too long is cut off evenly on both sides.

    Args:
        picture: Colours ``[H, W, 3]``.
        height: Rows of the canvas.
        width: Columns of the canvas.

    Returns:
        Colours ``[height, width, 3]``.
    """
    rows, columns = picture.shape[:2]
    share = min(rows / height, columns / width)
    kept_rows = min(rows, max(1, round(height * share)))
    kept_columns = min(columns, max(1, round(width * share)))
    top, left = (rows - kept_rows) // 2, (columns - kept_columns) // 2
    return fit(picture[top : top + kept_rows, left : left + kept_columns], height, width)


def contain(picture: U8Array, height: int, width: int, ground: tuple[int, int, int]) -> U8Array:
    """Show all of a picture in the middle of a canvas, on a ground of one colour.

    Args:
        picture: Colours ``[H, W, 3]``.
        height: Rows of the canvas.
        width: Columns of the canvas.
        ground: Red, green, blue of what the picture does not reach.

    Returns:
        Colours ``[height, width, 3]``.
    """
    scale = min(height / picture.shape[0], width / picture.shape[1])
    rows, columns = (max(1, round(side * scale)) for side in picture.shape[:2])
    rows, columns = min(rows, height), min(columns, width)
    canvas = np.full((height, width, 3), ground, np.uint8)
    top, left = (height - rows) // 2, (width - columns) // 2
    canvas[top : top + rows, left : left + columns] = fit(picture, rows, columns)
    return canvas


def _kernel(sigma: float, step: int) -> FloatArray:
    """Weights of the blur, in cells; to average and interpolate blurs by half a cell already."""
    cells = np.sqrt(max(0.0, (sigma / step) ** 2 - (0.25 if step > 1 else 0.0)))
    kernel = cv2.getGaussianKernel(2 * int(3 * cells) + 1, max(cells, 1e-3), cv2.CV_32F)
    return np.asarray(kernel, np.float32)


def _fill(pixels: U8Array, alpha_u8: U8Array) -> U8Array:
    """Put the background around the subject in its place: ``[h, w, 3]``."""
    height, width = alpha_u8.shape
    widened = cv2.dilate(alpha_u8, np.ones((2 * _EDGE + 1,) * 2, np.uint8))
    grid = make_grid(height, width, _MAX_SIDE)
    opacity = reduce_to_grid(np.asarray(widened, np.uint8), grid).astype(np.float32) / 255.0
    far = spread(reduce_to_grid(pixels, grid), 1.0 - opacity)
    whole = (slice(0, grid.height), slice(0, grid.width))
    filled = np.asarray(enlarge(far, whole, grid, height, width), np.uint8)
    for top in range(0, height, _STRIP_ROWS):
        strip = slice(top, top + _STRIP_ROWS)
        subject = np.asarray(cv2.LUT(widened[strip], _SHARE), np.float32) / 255.0
        cv2.blendLinear(filled[strip], pixels[strip], subject, 1.0 - subject, dst=filled[strip])
    return filled


def fill_hidden(rgba: U8Array) -> U8Array:
    """Carry a cutout's colours into what is fully transparent, so that no edge is left there.

    For formats without transparency, such as the JPEG beside a mask: black next to the subject
    would ring into its edge.

    Args:
        rgba: Cutout ``[H, W, 4]``, straight; its colours under alpha 0 are not used.

    Returns:
        Colours ``[H, W, 3]``; the cutout's own where it is not fully transparent.
    """
    colours, alpha_u8 = cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), cv2.extractChannel(rgba, 3)
    hidden = np.equal(alpha_u8, 0)
    shown = np.asarray(cv2.copyTo(colours, np.logical_not(hidden).view(np.uint8)), np.uint8)
    around = blur_backdrop(shown, 255 - np.asarray(alpha_u8, np.uint8), _FILL_SIGMA)
    return np.asarray(cv2.copyTo(around, hidden.view(np.uint8), shown), np.uint8)
