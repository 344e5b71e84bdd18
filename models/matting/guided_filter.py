"""Colours and a coarse matte on one grid -> per pixel, alpha as a linear function of colour.

Source:
    He, Sun and Tang, "Guided image filtering" (2010), the form with a colour guide. The weights of
    the fit and solving it only where alpha varies are our own additions.
"""

from __future__ import annotations

from itertools import combinations_with_replacement

import cv2
import numpy as np

from models.arrays import FloatArray, Mask, U8Array

#: The pairs of colour channels of a symmetric 3 x 3 matrix, row by row.
_PAIRS = tuple(combinations_with_replacement(range(3), 2))
#: Weight of a pixel the network calls 0.5, against 1 for a certain one. Edges are where it guesses:
#: 0.3 lowers the error around them by 2 % against equal weights (0.1: the same).
_DOUBT = 0.3
#: Alpha that varies by less than this inside a window counts as constant there.
_CONSTANT = 1.5 / 255.0


def fit_planes(
    guide: U8Array, alpha: FloatArray, radius: tuple[int, int], epsilon: float
) -> FloatArray:
    """Fit ``alpha = red * r + green * g + blue * b + offset`` around every pixel.

    Where the matte is constant the planes are flat (0, 0, 0, alpha), which is also what a fit would
    give; only the rest is solved.

    Args:
        guide: Colours ``[h, w, 3]``, 0..255.
        alpha: Coarse matte ``[h, w]``, 0..1.
        radius: Half height and half width of the window, in pixels of the grid.
        epsilon: Ridge of the fit, in squared colour units (colours 0..1).

    Returns:
        Planes ``[4, h, w]``: red, green, blue (per unit of colour 0..1) and offset.
    """
    window = (2 * radius[1] + 1, 2 * radius[0] + 1)  # OpenCV: (width, height)
    planes = np.zeros((4, *alpha.shape), np.float32)
    planes[3] = alpha
    varies = _spread(alpha, window) > _CONSTANT
    if varies.any():
        colours = [np.asarray(one, np.float32) / 255.0 for one in cv2.split(guide)]
        weight = _DOUBT + (1.0 - _DOUBT) * np.square(2.0 * alpha - 1.0)
        planes[:, varies] = _solve(*_moments(colours, alpha, weight, window, varies), epsilon)
    for plane in planes:  # a pixel lies in many windows: take the average of their planes
        cv2.blur(plane, window, dst=plane, borderType=cv2.BORDER_REPLICATE)
    return planes


def _spread(alpha: FloatArray, window: tuple[int, int]) -> FloatArray:
    kernel = np.ones(window[::-1], np.uint8)
    highest, lowest = cv2.dilate(alpha, kernel), cv2.erode(alpha, kernel)
    return np.asarray(highest - lowest, dtype=np.float32)


def _moments(
    colours: list[FloatArray],
    alpha: FloatArray,
    weight: FloatArray,
    window: tuple[int, int],
    varies: Mask,
) -> tuple[list[FloatArray], FloatArray, list[FloatArray], list[FloatArray]]:
    """Weighted window statistics at the ``n`` chosen pixels.

    Returns:
        Mean colour (3 x ``[n]``), mean alpha ``[n]``, covariance of colour with alpha (3 x ``[n]``)
        and of colour with colour (6 x ``[n]``, the pairs of ``_PAIRS``).
    """

    def total(plane: FloatArray) -> FloatArray:
        summed = cv2.blur(plane, window, borderType=cv2.BORDER_REPLICATE)
        return np.asarray(summed[varies], dtype=np.float32)

    per_weight = 1.0 / total(weight)
    weighted = [weight * colour for colour in colours]
    mean = [total(one) * per_weight for one in weighted]
    mean_alpha = total(weight * alpha) * per_weight
    with_alpha = [
        total(one * alpha) * per_weight - average * mean_alpha
        for one, average in zip(weighted, mean, strict=True)
    ]
    between = [total(weighted[i] * colours[j]) * per_weight - mean[i] * mean[j] for i, j in _PAIRS]
    return mean, mean_alpha, with_alpha, between


def _solve(
    mean: list[FloatArray],
    mean_alpha: FloatArray,
    with_alpha: list[FloatArray],
    between: list[FloatArray],
    epsilon: float,
) -> FloatArray:
    """Solve the 3 x 3 ridge regressions in closed form: planes ``[4, n]``."""
    rr, rg, rb, gg, gb, bb = between
    # Rounding can leave a variance a little below 0; the ridge must stay a ridge.
    ridge = np.float32(epsilon)
    rr, gg, bb = (np.maximum(variance, np.float32(0.0)) + ridge for variance in (rr, gg, bb))
    adjugate = (
        (gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb),
        (gb * rb - rg * bb, rr * bb - rb * rb, rb * rg - rr * gb),
        (rg * gb - gg * rb, rb * rg - rr * gb, rr * gg - rg * rg),
    )
    first = adjugate[0]
    determinant = np.maximum(rr * first[0] + rg * first[1] + rb * first[2], 0.25 * epsilon**3)
    slopes = [
        sum(entry * covariance for entry, covariance in zip(row, with_alpha, strict=True))
        / determinant
        for row in adjugate
    ]
    drop = sum(slope * average for slope, average in zip(slopes, mean, strict=True))
    return np.stack([*slopes, mean_alpha - drop]).astype(np.float32)
