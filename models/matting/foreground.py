"""Source image + alpha matte -> the subject's own colours, without the old background's fringe.

A half-transparent pixel shows a mixture. Certain colours on either side are spread into the soft
edge on a reduced grid, and corrected by what their mixture leaves unexplained of each pixel.

Source:
    Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021, for the correction; spreading
    by certainty is ours: it is nearer to the truth than the blurs there
    (`tests/unit/scripts/evaluate/test_official_vectors.py`).
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from models.arrays import U8Array
from models.matting.grid import enlarge, make_grid, reduce_to_grid, soft_blocks
from models.matting.spread import spread

#: Longest side of the reduced grid, in pixels.
_MAX_SIDE = 320


def estimate_foreground(
    source: U8Array, alpha_u8: U8Array, reach: float = 0, *, overwrite: bool = False
) -> U8Array:
    """Estimate the true colours of the subject where its edge is soft.

    Opaque pixels keep the source's colours exactly; so does what has no certain colours near.

    Args:
        source: Colours ``[H, W, 3]``.
        alpha_u8: Matte ``[H, W]``, 0..255.
        reach: How far the edge will be moved or softened afterwards, in pixels.
        overwrite: Whether ``source`` is needed no more and may become the foreground, if it can be
            written to. Fresh memory for a copy of 12 MP takes nearly as long as the colours.

    Returns:
        Foreground ``[H, W, 3]``. Colours under alpha 0, farther out than that, mean nothing.
    """
    height, width = alpha_u8.shape
    grid = make_grid(height, width, _MAX_SIDE)
    coarse = reduce_to_grid(alpha_u8, grid)
    layers = _layers(reduce_to_grid(source, grid), coarse)
    foreground = source if overwrite and source.flags.writeable else source.copy()
    for cells in soft_blocks(coarse, grid, math.ceil(reach / min(grid.step_y, grid.step_x))):
        pixels = grid.pixels(cells, height, width)
        size = source[pixels].shape[:2]
        near, far = (np.asarray(enlarge(layer, cells, grid, *size), np.uint8) for layer in layers)
        foreground[pixels] = _explain(source[pixels], alpha_u8[pixels], near, far)
    return foreground


def _explain(
    pixels: U8Array, alpha_u8: U8Array, foreground: U8Array, background: U8Array
) -> U8Array:
    """Correct a spread foreground by what it leaves unexplained of each pixel.

    ``F + alpha * (I - (alpha * F + (1 - alpha) * B))``: all of the rest where the subject is
    opaque, so that its colours stay exactly, and none where it vanishes.

    Args:
        pixels: Source ``I`` ``[h, w, 3]``.
        alpha_u8: Matte ``[h, w]``, 0..255.
        foreground: Spread colours of the subject ``F`` ``[h, w, 3]``.
        background: Spread colours of what is behind it ``B`` ``[h, w, 3]``.

    Returns:
        Foreground ``[h, w, 3]``.
    """
    # In 16 bits, twice as many to a register as floats, and never converted on the way.
    alpha = cv2.merge([alpha_u8] * 3).astype(np.int16)
    near, far = foreground.astype(np.int16), background.astype(np.int16)
    mixture = cv2.multiply(near - far, alpha, scale=1 / 255)
    mixture += far
    rest = np.subtract(pixels, mixture, out=mixture)
    own = cv2.multiply(rest, alpha, scale=1 / 255)
    own += near
    at_least_0 = cv2.threshold(own, 0, 0, cv2.THRESH_TOZERO)[1]
    return np.asarray(cv2.convertScaleAbs(at_least_0), dtype=np.uint8)


def _layers(colours: U8Array, alpha_u8: U8Array) -> tuple[U8Array, U8Array]:
    """Colours of subject and background, each spread over the whole grid ``[h, w, 3]``."""
    alpha = alpha_u8.astype(np.float32) / 255.0
    return spread(colours, alpha), spread(colours, 1.0 - alpha)
