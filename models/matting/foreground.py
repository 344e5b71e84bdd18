"""Source image + alpha matte -> the subject's own colours, without the old background's fringe.

A half-transparent pixel shows a mixture. Certain colours on either side are spread into the soft
edge on a reduced grid; they say what to add so that the mixture explains the pixel.
"""

from __future__ import annotations

import cv2
import numpy as np

from models.matting.arrays import FloatArray, UInt8Array
from models.matting.grid import enlarge, make_grid, reduce_to_grid, soft_blocks

#: Longest side of the reduced grid, in pixels.
_MAX_SIDE = 320
#: Half sides of the windows colours are spread by, widest first, in cells.
_REACHES = (6, 1)
#: With less certainty than this in a window, colour comes from the wider one, then the source.
_FLOOR = 1e-2


def estimate_foreground(source: UInt8Array, alpha_u8: UInt8Array) -> UInt8Array:
    """Estimate the true colours of the subject where its edge is soft.

    Opaque pixels keep the source's colours exactly; so does what has no certain colours near.

    Args:
        source: Colours ``[H, W, 3]``.
        alpha_u8: Matte ``[H, W]``, 0..255.

    Returns:
        Foreground ``[H, W, 3]``. Colours under alpha 0 mean nothing.
    """
    height, width = alpha_u8.shape
    grid = make_grid(height, width, _MAX_SIDE)
    coarse = reduce_to_grid(alpha_u8, grid)
    filling = _filling(reduce_to_grid(source, grid), coarse)
    foreground = source.copy()
    for cells in soft_blocks(coarse, grid):
        pixels = grid.pixels(cells, height, width)
        block = source[pixels].copy()  # blendLinear writes into it
        here = np.asarray(enlarge(filling, cells, grid, *block.shape[:2]), np.uint8)
        alpha = alpha_u8[pixels].astype(np.float32) / 255.0
        cv2.blendLinear(block, here, alpha, 1.0 - alpha, dst=block)
        foreground[pixels] = block
    return foreground


def _filling(colours: UInt8Array, alpha_u8: UInt8Array) -> UInt8Array:
    """What to mix in as alpha falls: ``F + alpha * (F - B)`` on the grid.

    With ``I`` the pixel, ``alpha * I + (1 - alpha) * filling`` is one step from the foreground
    spread here, ``F``, towards the colour for which ``alpha * F + (1 - alpha) * B`` is ``I``: all
    of the step where the subject is opaque, none where it vanishes.
    """
    image = cv2.cvtColor(colours, cv2.COLOR_RGB2RGBA).astype(np.float32)
    alpha = alpha_u8.astype(np.float32) / 255.0
    foreground = _spread(image, alpha)
    background = _spread(image, 1.0 - alpha)
    filling = foreground + cv2.merge([alpha] * 4) * (foreground - background)
    rounded = cv2.addWeighted(filling, 1.0, filling, 0.0, 0.0, dtype=cv2.CV_8U)
    return np.asarray(cv2.cvtColor(rounded, cv2.COLOR_RGBA2RGB), dtype=np.uint8)


def _spread(image: FloatArray, opacity: FloatArray) -> FloatArray:
    """Carry certain colours into uncertain cells, from as near as there are any.

    Args:
        image: Colours and a constant 255 ``[h, w, 4]``; the fourth channel counts the weights.
        opacity: Share of the wanted layer in each cell ``[h, w]``, 0..1.

    Returns:
        Colours of that layer ``[h, w, 4]``.
    """
    certainty = np.square(np.square(np.square(opacity)))  # opacity^8: mixtures hardly count
    weighted = image * cv2.merge([certainty] * 4)
    spread = image
    for reach in _REACHES:
        window = (2 * reach + 1, 2 * reach + 1)
        near = cv2.blur(weighted, window, borderType=cv2.BORDER_REPLICATE)
        total = near + _FLOOR * spread
        weight = cv2.extractChannel(total, 3)
        quotient = cv2.divide(total, cv2.merge([weight] * 4), scale=255.0)
        spread = np.asarray(quotient, dtype=np.float32)
    return spread
