"""The array types of the product: pictures, mattes and the maths between them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

#: Pictures ``[H, W, 3]`` (RGB, sRGB), alpha ``[H, W]``, or batches of them; 0 to 255.
U8Array = npt.NDArray[np.uint8]

#: Samples of 16 bits, as some files hold them.
U16Array = npt.NDArray[np.uint16]

#: The same as `U8Array` in the maths, usually 0 to 1.
FloatArray = npt.NDArray[np.float32]

#: A binary matte ``[H, W]``, or pixels chosen.
Mask = npt.NDArray[np.bool_]


class Rows(Protocol):
    """A picture whose rows can be had: an array, or what makes them when they are read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and, but for grey, channels."""

    def __getitem__(self, rows: slice, /) -> U8Array:
        """Some rows of it."""
