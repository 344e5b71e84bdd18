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
_MOST_HEADER_BYTES = 4_000_000  # thirty times what the largest needs
_MOST_SIDES = 8  # of a tensor; with more, the product alone could take for ever
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
    """Map the tensors of a file.

    Raises:
        CheckpointMismatch: If it is cut short, or a tensor is of a type that is no real number of a
            usual width.
        ValueError, LookupError, TypeError: If the header says what cannot be: offsets that are not
            those of the shape, or tensors that overlap, leave gaps or end beyond the file.
    """
    content = map_file(file)
    begin = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
    if begin > _MOST_HEADER_BYTES:
        raise ValueError("its header is longer than any")
    if len(content) < begin:
        raise CheckpointMismatch(f"{file.name} is cut short; fetch it again")
    entries = json.loads(bytes(content[_LENGTH_BYTES:begin]), object_pairs_hook=_unique)
    entries.pop("__metadata__", None)
    places = [_place(key, entry, file) for key, entry in entries.items()]
    _check_places(places, begin, file, len(content))
    return {
        key: content[begin + start : begin + end].view(_TYPES[e["dtype"]]).reshape(e["shape"])
        for (key, e), (start, end) in zip(entries.items(), places, strict=True)
    }


def _place(key: str, entry: Any, file: Path) -> tuple[int, int]:
    """Where a tensor begins and ends, if that is what its shape and type take."""
    shape, (start, end) = entry["shape"], entry["data_offsets"]
    if entry["dtype"] not in _TYPES:
        raise CheckpointMismatch(f"{file.name} holds in {key} no plain tensor of real numbers")
    if len(shape) > _MOST_SIDES or not all(type(n) is int and n >= 0 for n in (start, end, *shape)):
        raise ValueError(f"{key} has a shape or a place that is no number")
    if end - start != math.prod(shape) * np.dtype(_TYPES[entry["dtype"]]).itemsize:
        raise ValueError(f"{key} has a place of another size than its shape")
    return start, end


def _check_places(places: list[tuple[int, int]], begin: int, file: Path, size: int) -> None:
    """Tensors lie one behind the other, from the first byte to the last."""
    at = 0
    for start, end in sorted(places):
        if start != at:
            raise ValueError("tensors overlap, or leave a gap")
        at = end
    if begin + at > size:
        raise CheckpointMismatch(
            f"{file.name} is cut short: it has {size} of {begin + at} bytes; fetch it again"
        )
    if begin + at < size:
        raise ValueError("something lies behind the tensors")


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
