"""The format of `.safetensors` files: a length, a JSON of where each tensor lies, the tensors."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from models.errors import CheckpointMismatch
from models.weights.arrays import Array, bytes_of, map_file

_LENGTH_BYTES = 8
_TYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
_NAMES = {np.dtype(kind): name for name, kind in _TYPES.items()}


def read_safetensors(file: Path) -> dict[str, Array]:
    """Map the tensors of a file whose header `models.file_format` has found to be one.

    Raises:
        CheckpointMismatch: If a tensor is of a type that is no real number of a usual width.
        ValueError, LookupError, TypeError: If the header says what cannot be: offsets that are not
            those of the shape, or tensors that overlap, leave gaps or end beyond the file.
    """
    content = map_file(file)
    begin = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
    entries = json.loads(bytes(content[_LENGTH_BYTES:begin]), object_pairs_hook=_unique)
    entries.pop("__metadata__", None)
    arrays, places = {}, []
    for key, entry in entries.items():
        shape, (start, end) = entry["shape"], entry["data_offsets"]
        if entry["dtype"] not in _TYPES:
            raise CheckpointMismatch(f"{file.name} holds in {key} no plain tensor of real numbers")
        kind = np.dtype(_TYPES[entry["dtype"]])
        if not all(type(n) is int and n >= 0 for n in (start, end, *shape)):
            raise ValueError(f"{key} has a shape or a place that is no number")
        if end - start != math.prod(shape) * kind.itemsize:
            raise ValueError(f"{key} has a place of another size than its shape")
        arrays[key] = content[begin + start : begin + end].view(kind).reshape(shape)
        places.append((start, end))
    _check_places(places, len(content) - begin)
    return arrays


def _check_places(places: list[tuple[int, int]], size: int) -> None:
    """Tensors lie one behind the other, from the first byte to the last."""
    at = 0
    for start, end in sorted(places):
        if start != at:
            raise ValueError("tensors overlap, or leave a gap")
        at = end
    if at != size:
        raise ValueError("the tensors end before the file, or behind it")


def write_safetensors(arrays: Mapping[str, Array], file: Path) -> None:
    """Write arrays, one after the other."""
    header: dict[str, Any] = {}
    end = 0
    for key, array in arrays.items():
        start, end = end, end + array.nbytes
        header[key] = {
            "dtype": _NAMES[array.dtype],
            "shape": array.shape,
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that what follows is aligned
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(_LENGTH_BYTES, "little") + text)
        for array in arrays.values():
            stream.write(bytes_of(array))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key comes twice")
    return dict(pairs)
