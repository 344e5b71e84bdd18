"""The foreground estimation of the official code, written from its paper, to compare ours with."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from models.arrays import U8Array

FloatArray = npt.NDArray[np.float64]


def blur_fusion(image: U8Array, alpha_u8: U8Array, reach: int = 90) -> U8Array:
    """Estimate foreground colours in two passes, a wide one and one of 6 pixels.

    Source:
        Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021; for the numbers
        ZhengPeng7/BiRefNet@25cb930, ``refine_foreground``.
    """
    colours, alpha = image / 255.0, alpha_u8[..., None] / 255.0
    foreground, background = _pass(colours, colours, colours, alpha, reach)
    foreground, _ = _pass(colours, foreground, background, alpha, 6)
    return (foreground * 255).astype(np.uint8)


def _pass(
    colours: FloatArray, foreground: FloatArray, background: FloatArray, alpha: FloatArray, r: int
) -> tuple[FloatArray, FloatArray]:
    blurred = cv2.blur(alpha, (r, r))[..., None]
    foreground = cv2.blur(foreground * alpha, (r, r)) / (blurred + 1e-5)
    background = cv2.blur(background * (1 - alpha), (r, r)) / (1 - blurred + 1e-5)
    rest = colours - alpha * foreground - (1 - alpha) * background
    return np.clip(foreground + alpha * rest, 0, 1), background
