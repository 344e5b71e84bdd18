"""The tensors of a checkpoint: arrays by key, mapped from its file, and what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
#: Arrays by key, of the shapes and types the file has; reading a value reads the file.
Weights = Mapping[str, Array]
Shape = tuple[int, ...]

# The bits of the exponent: all of them are set in NaN and infinity.
_EXPONENTS = {np.dtype(np.float16): 0x7C00, np.dtype(ml_dtypes.bfloat16): 0x7F80}


def map_file(file: Path) -> npt.NDArray[np.uint8]:
    """The bytes of a file, read as they are used; what is written there stays in memory."""
    return np.asarray(np.memmap(file, np.uint8, mode="c"))


def shapes_of(weights: Mapping[str, Any]) -> dict[str, Shape]:
    """The shape of each array."""
    return {key: tuple(array.shape) for key, array in weights.items()}


def widened(array: Array) -> Array:
    """Floats as float32, integers as int64; the array itself where that is what it holds."""
    is_float = array.dtype.kind == "f" or array.dtype == ml_dtypes.bfloat16
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinity
        return np.require(array, np.float32 if is_float else np.int64, ["ALIGNED"])


def is_finite(array: Array) -> bool:
    """Whether no element is NaN or infinite; far quicker than asking each of them."""
    exponent = _EXPONENTS.get(array.dtype)
    if exponent is not None:
        return not bool(((array.view(np.uint16) & exponent) == exponent).any())
    wide = widened(array)
    return not wide.size or bool(np.isfinite(wide.min()) and np.isfinite(wide.max()))


def bytes_of(array: Array) -> memoryview:
    """The numbers one after the other, rows first, as files hold them; a view where it can be."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
