"""Array types of the matting floor: what goes in and what comes out of every function here."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: Colours ``[H, W, 3]`` (sRGB, in that order) or opacity ``[H, W]``, 0..255.
UInt8Array = npt.NDArray[np.uint8]

#: The same in the maths, usually 0..1.
FloatArray = npt.NDArray[np.float32]

#: A binary matte ``[H, W]``, or pixels chosen.
Mask = npt.NDArray[np.bool_]
