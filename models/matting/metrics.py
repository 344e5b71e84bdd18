"""Predicted and true mattes, cutouts and composites -> error figures, all 0..1.

The band is where people look: the pixels within a few pixels of the true edge. An error over the
whole picture mostly says how much of it is plain background.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from models.matting.arrays import Mask, UInt8Array
from models.matting.compositing import composite


def edge_band(alpha_u8: UInt8Array, distance_px: float = 8.0) -> Mask:
    """Find the pixels near the line where the true matte crosses one half.

    Args:
        alpha_u8: True matte ``[H, W]``, 0..255.
        distance_px: Largest distance to that line, in pixels.

    Returns:
        Mask ``[H, W]``; empty when the matte has no edge.
    """
    mask = (alpha_u8 >= 128).astype(np.uint8)
    if mask.min() == mask.max():
        return np.zeros(mask.shape, dtype=np.bool_)
    inside = cv2.distanceTransform(mask, cv2.DIST_L2, 5)  # to the nearest background pixel
    outside = cv2.distanceTransform(1 - mask, cv2.DIST_L2, 5)
    return np.asarray((inside + outside) <= distance_px, dtype=np.bool_)


def alpha_error(
    alpha_u8: UInt8Array, true_alpha_u8: UInt8Array, region: Mask | None = None
) -> float:
    """Average how far a matte is from the truth.

    Args:
        alpha_u8: Matte ``[H, W]``, 0..255.
        true_alpha_u8: True matte ``[H, W]``, 0..255.
        region: Mask ``[H, W]`` of the pixels that count; all of them when absent.

    Returns:
        Mean absolute error, 0..1; 0 for an empty region.
    """
    return _mean(cv2.absdiff(alpha_u8, true_alpha_u8), region)


def composite_error(
    cutout: UInt8Array,
    true_cutout: UInt8Array,
    backgrounds: Iterable[UInt8Array],
    region: Mask | None = None,
) -> float:
    """Average how wrong a cutout looks over new backgrounds.

    Args:
        cutout: Straight RGBA ``[H, W, 4]``.
        true_cutout: True foreground and true matte, straight RGBA ``[H, W, 4]``.
        backgrounds: Each ``[H, W, 3]`` or one colour ``[3]``.
        region: Mask ``[H, W]`` of the pixels that count; all of them when absent.

    Returns:
        Mean absolute error over pixels, channels and backgrounds, 0..1.
    """
    errors = [
        _mean(cv2.absdiff(composite(cutout, one), composite(true_cutout, one)), region)
        for one in backgrounds
    ]
    return float(np.mean(errors)) if errors else 0.0


def intersection_over_union(alpha_u8: UInt8Array, true_alpha_u8: UInt8Array) -> float:
    """Compare the two masks at one half opacity.

    Args:
        alpha_u8: Matte ``[H, W]``, 0..255.
        true_alpha_u8: True matte ``[H, W]``, 0..255.

    Returns:
        Shared pixels over pixels in either, 0..1; 1 when both are empty.
    """
    mask, true_mask = alpha_u8 >= 128, true_alpha_u8 >= 128
    either = int(np.count_nonzero(mask | true_mask))
    return int(np.count_nonzero(mask & true_mask)) / either if either else 1.0


def _mean(
    difference: npt.NDArray[np.integer[Any] | np.floating[Any]], region: Mask | None
) -> float:
    chosen = difference if region is None else difference[region]
    return float(np.mean(chosen)) / 255.0 if chosen.size else 0.0
