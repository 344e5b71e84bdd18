"""Source image of any size -> model input ``[S, S, 3]`` uint8.

The network sees the whole picture squashed to a square; normalisation happens inside its graph.
"""

from __future__ import annotations

import cv2
import numpy as np

from models.matting.arrays import UInt8Array

#: Dropping an odd last row or column moves the far edge by 1 part in this many: under 0.2 model
#: pixels at S = 320. Smaller pictures are not halved when odd.
_MIN_SIDE_TO_CROP = 2048


def fit(source: UInt8Array, size: int) -> UInt8Array:
    """Squash the source image to the square the network takes, without aliasing.

    Exact 2x2 averages first (OpenCV has a fast path for those only), the fractional rest by area:
    as close to an antialiased bilinear resize as one-step area averaging, at a third of its time.

    Args:
        source: Colours ``[H, W, 3]``, any height and width from 1.
        size: Side ``S`` of the model input, in pixels.

    Returns:
        Model input ``[S, S, 3]``.
    """
    image = halve_towards(source, size, size)
    height, width = image.shape[:2]
    # INTER_AREA antialiases only when it shrinks; an axis that grows must be interpolated.
    shrunk = cv2.resize(image, (min(width, size), min(height, size)), interpolation=cv2.INTER_AREA)
    if shrunk.shape[:2] != (size, size):
        shrunk = cv2.resize(shrunk, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.asarray(shrunk, dtype=np.uint8)


def halve_towards(source: UInt8Array, height: int, width: int) -> UInt8Array:
    """Average 2x2 blocks again and again while the result stays at least ``height`` x ``width``.

    Args:
        source: Colours ``[H, W, 3]``.
        height: Smallest number of rows wanted.
        width: Smallest number of columns wanted.

    Returns:
        The source image itself or a power-of-two reduction of it; when odd, a large picture loses
        its last row or column, a small one is left as it is.
    """
    image = source
    while image.shape[0] >= 2 * height and image.shape[1] >= 2 * width:
        if any(side % 2 and side < _MIN_SIDE_TO_CROP for side in image.shape[:2]):
            break
        rows, columns = image.shape[0] // 2, image.shape[1] // 2
        halved = cv2.resize(
            image[: 2 * rows, : 2 * columns], (columns, rows), interpolation=cv2.INTER_AREA
        )
        image = np.asarray(halved, dtype=np.uint8)
    return image
