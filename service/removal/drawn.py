"""A picture that nobody sent: for the warm-up, and for what is tried out."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from service.imaging.encode import encode_png


@cache
def drawn_picture(height: int, width: int) -> bytes:
    """A disc, as a file."""
    drawn = np.full((height, width, 3), 128, dtype=np.uint8)
    cv2.circle(drawn, (width // 2, height // 2), height // 3, (240, 200, 60), -1)
    return encode_png(drawn)
