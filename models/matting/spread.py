"""Colours that are certain in some cells of a grid -> colours in all of them."""

from __future__ import annotations

import cv2
import numpy as np

from models.arrays import FloatArray, U8Array

#: Half sides of the windows colours are spread by, widest first, in cells. The widest reaches along
#: hair and across blur that has no certain pixel of the subject near.
_REACHES = (96, 24, 6)
#: With less certainty than this in a window, colour comes from the wider one, then the source.
_FLOOR = 1e-2


def spread(colours: U8Array, opacity: FloatArray) -> U8Array:
    """Carry certain colours into uncertain cells, from as near as there are any.

    Args:
        colours: ``[h, w, 3]``.
        opacity: Share of the wanted layer in each cell ``[h, w]``, 0..1.

    Returns:
        Colours of that layer ``[h, w, 3]``; the given ones where the layer is nowhere.
    """
    # A fourth channel, constant, counts the weights.
    image = cv2.cvtColor(colours, cv2.COLOR_RGB2RGBA).astype(np.float32)
    certainty = opacity**16  # mixtures hardly count
    weighted = image * cv2.merge([certainty] * 4)
    spread = image
    for reach in _REACHES:
        window = (2 * reach + 1, 2 * reach + 1)
        near = cv2.blur(weighted, window, borderType=cv2.BORDER_REPLICATE)
        total = near + _FLOOR * spread
        weight = cv2.extractChannel(total, 3)
        quotient = cv2.divide(total, cv2.merge([weight] * 4), scale=255.0)
        spread = np.asarray(quotient, dtype=np.float32)
    return np.rint(cv2.cvtColor(spread, cv2.COLOR_RGBA2RGB)).astype(np.uint8)
