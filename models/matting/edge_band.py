"""Where people look: the pixels near a subject's edge, and how wrong a matte is there.

An error over the whole picture mostly says how much of it is plain background.
"""

from __future__ import annotations

import cv2
import numpy as np

from models.arrays import Mask, U8Array

#: Opacity from which a pixel belongs to the subject.
MASK_THRESHOLD = 128


def edge_band(alpha_u8: U8Array, distance_px: float = 8.0) -> Mask:
    """Find the pixels near the line where the true matte crosses one half.

    Args:
        alpha_u8: True matte ``[H, W]``, 0..255.
        distance_px: Largest distance to that line, in pixels.

    Returns:
        Mask ``[H, W]``; empty when the matte has no edge.
    """
    mask = (alpha_u8 >= MASK_THRESHOLD).astype(np.uint8)
    if mask.min() == mask.max():
        return np.zeros(mask.shape, dtype=np.bool_)
    inside = cv2.distanceTransform(mask, cv2.DIST_L2, 5)  # to the nearest background pixel
    outside = cv2.distanceTransform(1 - mask, cv2.DIST_L2, 5)
    return np.asarray((inside + outside) <= distance_px, dtype=np.bool_)


def alpha_error(alpha_u8: U8Array, true_alpha_u8: U8Array, region: Mask | None = None) -> float:
    """Average how far a matte is from the truth.

    Args:
        alpha_u8: Matte ``[H, W]``, 0..255.
        true_alpha_u8: True matte ``[H, W]``, 0..255.
        region: Mask ``[H, W]`` of the pixels that count, or None for all of them.

    Returns:
        Mean absolute error, 0..1; 0 for an empty region.
    """
    difference = cv2.absdiff(alpha_u8, true_alpha_u8)
    counted = difference if region is None else difference[region]
    return float(np.mean(counted)) / 255.0 if counted.size else 0.0
