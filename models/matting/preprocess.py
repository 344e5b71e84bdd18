"""Source image of any size -> model input ``[H, W, 3]`` uint8.

The network sees the whole picture squashed to the shape it takes; normalisation happens inside its
graph. It sees of a picture with transparency what a viewer sees: visible colours on a plain ground.
"""

from __future__ import annotations

import cv2
import numpy as np

from models.arrays import U8Array
from models.matting.compositing import composite

#: Dropping an odd last row or column moves the far edge by 1 part in this many: under 0.2 model
#: pixels at a side of 320. Smaller pictures are not halved when odd.
_MIN_SIDE_TO_CROP = 2048

#: Plain grounds for a picture with transparency. The first that nearly all visible pixels differ
#: from by enough levels is taken, else the one they differ from most. Tried with u2net and u2netp
#: on drawn shapes of eleven colours and on cutouts; black comes late, what is dim is lost on it.
_GROUNDS = ((255, 255, 255), (128, 128, 128), (60, 160, 220), (0, 0, 0))
_NEAR_SHARE = 0.1
_STANDS_OUT = 80.0
#: Most pixels looked at to choose a ground.
_MAX_SAMPLE = 40_000


def lay_on_ground(source: U8Array, alpha_u8: U8Array) -> U8Array:
    """Show a picture with transparency as a viewer would, before a ground it stands out from.

    What lies hidden under full transparency leaves no trace.

    Args:
        source: Colours ``[H, W, 3]``, straight.
        alpha_u8: The picture's own opacity ``[H, W]``, 0..255.

    Returns:
        Colours ``[H, W, 3]``.
    """
    rgba = np.asarray(cv2.merge([source, alpha_u8]), dtype=np.uint8)
    return composite(rgba, choose_ground(source, alpha_u8))


def choose_ground(source: U8Array, alpha_u8: U8Array) -> U8Array:
    """Choose the plain ground that the visible pixels stand out from.

    Args:
        source: Colours ``[H, W, 3]``.
        alpha_u8: Opacity ``[H, W]``, 0..255.

    Returns:
        One colour ``[3]``.
    """
    step = max(1, int(np.ceil(np.sqrt(alpha_u8.size / _MAX_SAMPLE))))
    sample, opacity = source[::step, ::step], alpha_u8[::step, ::step]
    visible = sample[opacity >= 128]
    grounds = np.array(_GROUNDS, np.uint8)
    if not len(visible):
        visible = np.zeros((1, 3), np.uint8)
    differences = np.abs(visible[None].astype(np.int16) - grounds[:, None]).max(axis=2)
    contrasts = np.quantile(differences, _NEAR_SHARE, axis=1)
    best = int(np.argmax(np.minimum(contrasts, _STANDS_OUT)))  # the first of equals
    ground: U8Array = grounds[best]
    return ground


def fit(source: U8Array, height: int, width: int) -> U8Array:
    """Squash the source image to the shape the network takes, without aliasing.

    Exact 2x2 averages first (OpenCV has a fast path for those only), the fractional rest by area:
    as close to an antialiased bilinear resize as one-step area averaging, at a third of its time.

    Args:
        source: Colours, any number of rows and columns from 1.
        height: Rows of the model input, in pixels.
        width: Columns of the model input, in pixels.

    Returns:
        Model input ``[height, width, 3]``.
    """
    image = halve_towards(source, height, width)
    rows, columns = image.shape[:2]
    # INTER_AREA antialiases only when it shrinks; an axis that grows must be interpolated.
    shrunk = cv2.resize(
        image, (min(columns, width), min(rows, height)), interpolation=cv2.INTER_AREA
    )
    if shrunk.shape[:2] != (height, width):
        shrunk = cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(shrunk, dtype=np.uint8)


def halve_towards(source: U8Array, height: int, width: int) -> U8Array:
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
