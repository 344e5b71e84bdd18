"""Alpha matte -> the alpha matte that is sent: edge smoothing, and the source's own opacity."""

from __future__ import annotations

import cv2
import numpy as np

from models.arrays import U8Array

#: Strips stay in the cache, and those without an edge are skipped.
_STRIP_ROWS = 64
#: A picture with so much of its border transparent is a cutout already.
_TRANSPARENT_BORDER = 0.9
#: A matte that keeps less of a cutout than this has found nothing in it.
_FOUND_NOTHING = 0.1
_NEIGHBOURS = np.ones((3, 3), np.uint8)


def smooth_alpha(alpha_u8: U8Array) -> U8Array:
    """Take the stair-steps out of an edge: a 5x5 Gaussian, sigma 1, held within its neighbours.

    No pixel leaves the range its 3x3 neighbourhood had, so the edge cannot grow a halo wider than
    one pixel and certain regions, like any constant one, stay exactly as they are.

    Args:
        alpha_u8: Matte ``[H, W]``, 0..255.

    Returns:
        Smoothed matte ``[H, W]``, 0..255.
    """
    smoothed = alpha_u8.copy()
    for top in range(0, alpha_u8.shape[0], _STRIP_ROWS):
        start = max(0, top - 2)  # two rows of context for the 5x5 window
        strip = alpha_u8[start : top + _STRIP_ROWS + 2]
        if strip.min() == strip.max():
            continue
        blurred = cv2.GaussianBlur(strip, (5, 5), sigmaX=1.0, borderType=cv2.BORDER_REPLICATE)
        lowest, highest = cv2.erode(strip, _NEIGHBOURS), cv2.dilate(strip, _NEIGHBOURS)
        held = cv2.min(cv2.max(blurred, lowest), highest)
        smoothed[top : top + _STRIP_ROWS] = held[top - start : top - start + _STRIP_ROWS]
    return smoothed


def combine_alpha(alpha_u8: U8Array, existing_u8: U8Array) -> U8Array:
    """Hold our matte within the opacity the source image already had.

    Our matte is of the picture as it is seen, so an edge that is soft in the picture is as soft in
    the matte already: the lower of the two counts, not their product, which would thin it twice.

    Where nothing was found in a picture whose border is transparent, there is no background left to
    remove, and its own opacity is the answer.

    Args:
        alpha_u8: Our matte ``[H, W]``, 0..255.
        existing_u8: Alpha channel of the source image ``[H, W]``, 0..255.

    Returns:
        Matte ``[H, W]``, 0..255, nowhere above the existing one.

    Raises:
        ValueError: If the two differ in size. Our bug, never a user's.
    """
    if alpha_u8.shape != existing_u8.shape:
        raise ValueError(f"alpha {alpha_u8.shape} and existing alpha {existing_u8.shape} differ")
    held = np.asarray(cv2.min(alpha_u8, existing_u8), dtype=np.uint8)
    border = np.concatenate(
        [existing_u8[0], existing_u8[-1], existing_u8[:, 0], existing_u8[:, -1]]
    )
    is_cutout = (border == 0).mean() >= _TRANSPARENT_BORDER
    if is_cutout and float(held.mean()) < _FOUND_NOTHING * float(existing_u8.mean()):
        return existing_u8
    return held
