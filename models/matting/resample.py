"""A matte at the size of the model input -> the same at another size, without a look at colours."""

from __future__ import annotations

import cv2
import numpy as np

from models.arrays import FloatArray, U8Array
from models.matting.grid import Grid


def resample(alpha_u8: U8Array, height: int, width: int) -> U8Array:
    """Resize smoothly, shrinking (by area) before growing (cubic).

    Args:
        alpha_u8: Matte of any size.
        height: Rows wanted.
        width: Columns wanted.

    Returns:
        Matte ``[height, width]``.
    """
    inner = (min(width, alpha_u8.shape[1]), min(height, alpha_u8.shape[0]))
    alpha = cv2.resize(alpha_u8, inner, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(alpha, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def sample(alpha_u8: U8Array, grid: Grid, height: int, width: int) -> FloatArray:
    """Look a matte up at the centres of the cells.

    Args:
        alpha_u8: Matte of any size, 0..255.
        grid: Grid of the source image.
        height: Rows of the source image.
        width: Columns of the source image.

    Returns:
        Matte ``[grid.height, grid.width]``, 0..1.
    """
    inner = (min(grid.width, alpha_u8.shape[1]), min(grid.height, alpha_u8.shape[0]))
    alpha = cv2.resize(alpha_u8, inner, interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    scale_x = alpha.shape[1] * grid.step_x / width  # matte pixels per cell
    scale_y = alpha.shape[0] * grid.step_y / height
    to_matte = np.array(
        [[scale_x, 0.0, 0.5 * scale_x - 0.5], [0.0, scale_y, 0.5 * scale_y - 0.5]], np.float64
    )
    sampled = cv2.warpAffine(
        alpha,
        to_matte,
        (grid.width, grid.height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(sampled, dtype=np.float32)
