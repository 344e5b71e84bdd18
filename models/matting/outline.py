"""Alpha matte -> opacity of a band around the subject, as a sticker has it."""

from __future__ import annotations

import cv2
import numpy as np

from models.arrays import U8Array
from models.matting.edges import shift_edge

#: How much steeper than the matte's edge the band's is: hair gets a band with a clear border.
_STEEPNESS = 3
_CRISP = np.clip(_STEEPNESS * (np.arange(256) - 127.5) + 127.5, 0, 255).astype(np.uint8)


def outline(alpha_u8: U8Array, width: float) -> U8Array:
    """Draw a band around the subject, to be laid under it.

    The band goes on under the subject, so that no gap shows through its soft edge, and its own
    border is anti-aliased.

    Args:
        alpha_u8: Matte ``[H, W]``, 0..255.
        width: Of the band, in pixels from where the subject is half transparent.

    Returns:
        Opacity of the band ``[H, W]``, 0..255; nothing where the width is 0.
    """
    if width <= 0:
        return np.zeros_like(alpha_u8)
    band = shift_edge(np.asarray(cv2.LUT(alpha_u8, _CRISP), np.uint8), width)
    return np.asarray(cv2.GaussianBlur(band, (3, 3), 0, borderType=cv2.BORDER_REPLICATE), np.uint8)
