"""Alpha matte -> the same with its edge moved outwards, inwards, or made softer."""

from __future__ import annotations

import cv2
import numpy as np

from models.arrays import U8Array
from models.matting.near_edge import near_edge, within

#: The largest disc used at once; larger ones are made of several, round to 2 % either way.
_DISC = 5
#: From this radius on, feathering works at half the size, from twice it at a quarter, and so on.
_REDUCE_FROM = 16.0


def shift_edge(alpha_u8: U8Array, pixels: float) -> U8Array:
    """Move the subject's edge, whatever its softness.

    A soft edge is moved as it is: grey dilation by a disc, between two whole radii by their mean.
    Nothing moves at the border of the picture, where the subject may go on. A certain region
    farther from the edge than the shift and 2 % stays exactly as it is.

    Args:
        alpha_u8: Matte ``[H, W]``, 0..255.
        pixels: Outwards; negative inwards. The time grows with it.

    Returns:
        Matte ``[H, W]``, 0..255.
    """
    if pixels < 0:
        return np.invert(_grow(np.invert(alpha_u8), -pixels))
    return _grow(alpha_u8, pixels)


def feather(alpha_u8: U8Array, radius: float) -> U8Array:
    """Soften the edge by a Gaussian that is cut off at three radii.

    What has no other value within three radii stays exactly as it is.

    Args:
        alpha_u8: Matte ``[H, W]``, 0..255.
        radius: Standard deviation of the Gaussian, in pixels; 0 for no change. The longer side of
            the picture is the most that is used.

    Returns:
        Matte ``[H, W]``, 0..255.
    """
    radius = min(radius, max(alpha_u8.shape))
    reach = int(3 * radius)
    if reach == 0:
        return alpha_u8.copy()
    if radius >= _REDUCE_FROM:
        return _feather_reduced(alpha_u8, radius)
    feathered = alpha_u8.copy()
    for block, outer in near_edge(alpha_u8, reach):
        feathered[block] = _blur(alpha_u8[outer], radius, reach)[within(block, outer)]
    return feathered


def _grow(alpha_u8: U8Array, pixels: float) -> U8Array:
    whole = int(pixels)
    part = pixels - whole
    grown = alpha_u8.copy()
    if pixels == 0:
        return grown
    for block, outer in near_edge(alpha_u8, whole + 1):
        seen, rest = alpha_u8[outer], whole
        while rest >= _DISC:
            seen, rest = _dilate(seen, _DISC), rest - _DISC
        near = _dilate(seen, rest)
        if part:
            far = _dilate(seen, rest + 1)
            near = np.asarray(cv2.addWeighted(near, 1 - part, far, part, 0), np.uint8)
        grown[block] = near[within(block, outer)]
    return grown


def _dilate(alpha_u8: U8Array, radius: int) -> U8Array:
    if radius == 0:
        return alpha_u8
    if radius == 1:  # between the cross, which is too small, and the square
        cross = cv2.dilate(alpha_u8, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
        square = cv2.dilate(alpha_u8, np.ones((3, 3), np.uint8))
        return np.asarray(cv2.addWeighted(cross, 0.5, square, 0.5, 0), np.uint8)
    squares = np.arange(-radius, radius + 1) ** 2
    disc = (squares[:, None] + squares <= radius**2 + 1).astype(np.uint8)
    return np.asarray(cv2.dilate(alpha_u8, disc), np.uint8)


def _blur(alpha_u8: U8Array, sigma: float, reach: int) -> U8Array:
    """Blur in floating point: OpenCV's 8-bit Gaussian has weights of 8 bits only."""
    kernel = cv2.getGaussianKernel(2 * reach + 1, sigma, cv2.CV_32F)
    blurred = cv2.sepFilter2D(alpha_u8, -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.uint8)


def _feather_reduced(alpha_u8: U8Array, radius: float) -> U8Array:
    """Feather at a size at which the radius is 8 to 16 cells, within a few levels of the same."""
    height, width = alpha_u8.shape
    step = 2
    while radius / step >= _REDUCE_FROM:
        step *= 2
    rows, columns = -(-height // step), -(-width // step)
    below, beside = rows * step - height, columns * step - width
    padded = cv2.copyMakeBorder(alpha_u8, 0, below, 0, beside, cv2.BORDER_REPLICATE)
    coarse = np.asarray(cv2.resize(padded, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    # Averaging and interpolating reach one cell each, beyond the Gaussian.
    blurred = _blur(coarse, radius / step, int(3 * radius / step) - 2)
    size = (columns * step, rows * step)
    full = np.asarray(cv2.resize(blurred, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return np.ascontiguousarray(full[:height, :width])
