"""What several formats do to samples: 8 bits of 16, palettes, opacity taken out."""

from __future__ import annotations

import cv2
import numpy as np

from models.arrays import U8Array, U16Array

_STRIP_ROWS = 128


def eight_bits(levels: U16Array) -> U8Array:
    """16 bits as 8, rounded."""
    return np.asarray(cv2.convertScaleAbs(levels, alpha=255 / 65535), np.uint8).reshape(
        levels.shape
    )


def by_palette(indices: U8Array, palette: U8Array) -> U8Array:
    """Colours ``[H, W, 3]`` of indices ``[H, W]``; all of them must be in the palette."""
    colours = np.empty((*indices.shape, 3), np.uint8)
    for top in range(0, len(indices), _STRIP_ROWS):  # NumPy makes 8 bytes of an index
        colours[top : top + _STRIP_ROWS] = palette[indices[top : top + _STRIP_ROWS]]
    return colours


def unmultiply(colours: U8Array, alpha: U8Array) -> None:
    """Take the opacity out of colours it was multiplied into, in place.

    Args:
        colours: ``[H, W]`` or ``[H, W, C]``.
        alpha: ``[H, W]``; where it is 0 the colours become 0.
    """
    for top in range(0, len(colours), _STRIP_ROWS):
        opacity = alpha[top : top + _STRIP_ROWS].astype(np.float32)
        factor = np.divide(255, opacity, out=np.zeros_like(opacity), where=opacity > 0)
        strip = colours[top : top + _STRIP_ROWS]
        spread = factor if strip.ndim == 2 else factor[..., None]
        np.copyto(strip, np.minimum(np.rint(strip * spread), 255), casting="unsafe")
