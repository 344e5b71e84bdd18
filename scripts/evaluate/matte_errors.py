"""The four errors of the matting literature: SAD, MSE, Grad, Conn.

As defined by Rhemann et al., "A perceptually motivated online benchmark for image matting"
(CVPR 2009), with alpha in 0..1. Papers print SAD, Grad and Conn divided by 1000, and MSE times
1000; nothing is scaled here. Their benchmark counts only the unknown band of a trimap; which pixels
count is the caller's choice here. Neither matte is stretched to fill the range beforehand.

Arguments are as in `metrics.py`: mattes ``[H, W]``, 0..255, and the region that counts.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from models.arrays import FloatArray, Mask, U8Array
from scripts.evaluate.metrics import chosen

#: Standard deviation of the derivative filters, in pixels.
GRADIENT_SIGMA = 1.4
#: Values of the Gaussian below this are left out of the filters, which gives 9 x 9 pixels.
_GRADIENT_CUTOFF = 0.01
#: Opacity is examined for connectedness in so many equal steps.
_CONNECTIVITY_STEPS = 10
#: A pixel this much more opaque than where it is connected is still taken for connected.
CONNECTIVITY_THRESHOLD = 0.15


def sum_of_absolute_differences(
    alpha_u8: U8Array, true_alpha_u8: U8Array, region: Mask | None = None
) -> float:
    """Add up how far a matte is from the truth (SAD).

    Returns:
        Sum over pixels of opacity 0..1: 1 is one pixel entirely wrong.
    """
    return float(np.sum(_distances(alpha_u8, true_alpha_u8, region)))


def mean_squared_error(
    alpha_u8: U8Array, true_alpha_u8: U8Array, region: Mask | None = None
) -> float:
    """Average the squared distance from the truth (MSE).

    Returns:
        Mean, 0..1; 0 for an empty region.
    """
    distances = _distances(alpha_u8, true_alpha_u8, region)
    return float(np.mean(distances**2)) if distances.size else 0.0


def gradient_error(alpha_u8: U8Array, true_alpha_u8: U8Array, region: Mask | None = None) -> float:
    """Compare how steep the mattes are (Grad): a blurred edge costs, a shifted one too.

    Returns:
        Sum over pixels of the squared difference between the lengths of the two gradients. A lone
        opaque pixel that should not be there costs 2, one for each direction.
    """
    difference = _steepness(alpha_u8) - _steepness(true_alpha_u8)
    return float(np.sum(chosen(difference, region) ** 2, dtype=np.float64))


def connectivity_error(
    alpha_u8: U8Array, true_alpha_u8: U8Array, region: Mask | None = None
) -> float:
    """Compare how firmly each pixel hangs on the subject (Conn): islands and holes cost.

    A pixel is connected up to the highest opacity at which it still belongs to the largest piece
    that both mattes have in common; what it has beyond that is detached.

    Returns:
        Sum over pixels of the difference between the two connectednesses, each 0..1.
    """
    connected_up_to = _connected_up_to(np.minimum(alpha_u8, true_alpha_u8))
    difference = np.abs(
        _connectedness(alpha_u8, connected_up_to) - _connectedness(true_alpha_u8, connected_up_to)
    )
    return float(np.sum(chosen(difference, region), dtype=np.float64))


def _distances(
    alpha_u8: U8Array, true_alpha_u8: U8Array, region: Mask | None
) -> npt.NDArray[np.float64]:
    """How far each pixel that counts is from the truth, 0..1."""
    difference = np.asarray(cv2.absdiff(alpha_u8, true_alpha_u8), dtype=np.float64) / 255.0
    return chosen(difference, region)


def _steepness(alpha_u8: U8Array) -> FloatArray:
    """Length of the gradient of each pixel ``[H, W]``, by filters of unit energy."""
    sigma = GRADIENT_SIGMA
    peak = 1.0 / (np.sqrt(2.0 * np.pi) * sigma)
    reach = int(np.ceil(sigma * np.sqrt(-2.0 * np.log(_GRADIENT_CUTOFF / peak))))
    offset = np.arange(-reach, reach + 1, dtype=np.float64)
    smooth = peak * np.exp(-(offset**2) / (2.0 * sigma**2))
    slope = -offset / sigma**2 * smooth
    smooth /= np.linalg.norm(smooth)  # the norm of a product of filters is the product of norms
    slope /= np.linalg.norm(slope)
    alpha = alpha_u8.astype(np.float64) / 255.0
    across = cv2.sepFilter2D(alpha, -1, slope, smooth, borderType=cv2.BORDER_REPLICATE)
    down = cv2.sepFilter2D(alpha, -1, smooth, slope, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.hypot(across, down), dtype=np.float32)


def _connected_up_to(shared_u8: U8Array) -> FloatArray:
    """Highest step of opacity at which each pixel is in the largest piece ``[H, W]``, 0..1."""
    level = np.zeros(shared_u8.shape, np.float32)
    held = np.ones(shared_u8.shape, np.bool_)
    for step in range(1, _CONNECTIVITY_STEPS + 1):
        opaque = shared_u8.astype(np.int32) * _CONNECTIVITY_STEPS >= 255 * step
        held &= _largest_piece(opaque)
        level[held] = step / _CONNECTIVITY_STEPS
    return level


def _largest_piece(mask: Mask) -> Mask:
    """The largest 4-connected piece of a mask ``[H, W]``; empty if it is."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=4
    )
    if count < 2:  # label 0 is what is not in the mask
        return np.zeros(mask.shape, np.bool_)
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    return np.asarray(labels == largest, dtype=np.bool_)


def _connectedness(alpha_u8: U8Array, connected_up_to: FloatArray) -> FloatArray:
    """1 where a pixel's opacity is all connected, less by what is detached ``[H, W]``."""
    detached = alpha_u8.astype(np.float32) / 255.0 - connected_up_to
    return np.where(detached >= CONNECTIVITY_THRESHOLD, 1.0 - detached, 1.0).astype(np.float32)
