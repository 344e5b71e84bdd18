"""Reads ONNX files that come from anywhere: the graph in memory, its tensors mapped from the file.

The lengths a file claims are walked here before any of it is parsed, so that what is parsed is
known to be small, and what is large is known to be there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import ml_dtypes
import numpy as np
from onnx import ModelProto, TensorProto, numpy_helper

from models.errors import CheckpointMismatch
from models.weights.arrays import Array, map_file

# Beside its tensors; a published BiRefNet of 1024 x 1024 has 110 MB of constants in its nodes.
_MOST_BYTES_BESIDE = 512_000_000
_MOST_FIELDS = 100_000  # of one message; a published BiRefNet has 25,000 nodes and shapes
_MOST_SIDES = 8
# What protobuf, and with it every reader of ONNX, takes in one piece.
_MOST_BYTES = 1 << 31
# Fields of `ModelProto`, `GraphProto` and `TensorProto`, and how fields are written.
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_TYPES = {
    TensorProto.FLOAT: np.float32,
    TensorProto.DOUBLE: np.float64,
    TensorProto.FLOAT16: np.float16,
    TensorProto.BFLOAT16: ml_dtypes.bfloat16,
    TensorProto.INT64: np.int64,
    TensorProto.INT32: np.int32,
    TensorProto.INT16: np.int16,
    TensorProto.INT8: np.int8,
    TensorProto.UINT8: np.uint8,
    TensorProto.BOOL: np.bool_,
}


@dataclass(frozen=True)
class OnnxFile:
    """A graph and its tensors.

    Attributes:
        model: The graph without its initializers.
        tensors: Its initializers, by name.
    """

    model: ModelProto
    tensors: dict[str, Array]


class _Field(NamedTuple):
    number: int
    wire: int
    begin: int  # of its tag
    start: int  # of its content
    end: int


class _Elsewhere(Exception):
    """The tensors lie in another file."""


def read_onnx(file: Path) -> OnnxFile:
    """Read a graph.

    Args:
        file: An ONNX file. Its tensors stay mapped, so it must stay as it is.

    Raises:
        CheckpointMismatch: If it is cut short, damaged, beside its tensors larger than any such
            graph, or keeps them in another file.
    """
    try:
        return _read(map_file(file))
    except _Elsewhere as refused:
        raise CheckpointMismatch(
            f"{file.name} keeps its weights in another file (external data); save it again as one"
        ) from refused
    except Exception as broken:  # a damaged file raises whatever its bytes lead to
        raise CheckpointMismatch(
            f"{file.name} is an ONNX graph that is damaged or cut short; fetch it again"
        ) from broken


def _read(content: Array) -> OnnxFile:
    if len(content) > _MOST_BYTES:
        raise ValueError("no ONNX file is so long")
    outer = _fields(content, 0, len(content))
    (graph,) = (field for field in outer if field.number == _GRAPH)
    inner = _fields(content, graph.start, graph.end)
    model = ModelProto.FromString(_joined(content, [f for f in outer if f is not graph]))
    model.graph.ParseFromString(_joined(content, [f for f in inner if f.number != _INITIALIZER]))
    tensors = [_tensor(content, field) for field in inner if field.number == _INITIALIZER]
    if len(dict(tensors)) < len(tensors):
        raise ValueError("two tensors have one name")
    return OnnxFile(model, dict(tensors))


def _tensor(content: Array, field: _Field) -> tuple[str, Array]:
    """One initializer; its numbers are mapped where they lie in one piece, as nearly all do."""
    if field.wire != _LENGTH:
        raise ValueError("a tensor is no message")
    parts = _fields(content, field.start, field.end)
    raw = [part for part in parts if part.number == _RAW_DATA]
    head = TensorProto.FromString(_joined(content, [p for p in parts if p.number != _RAW_DATA]))
    if head.external_data or head.data_location == TensorProto.EXTERNAL:
        raise _Elsewhere
    if len(head.dims) > _MOST_SIDES or any(side < 0 for side in head.dims):
        raise ValueError("a tensor has no such shape")
    if not raw:
        return head.name, np.asarray(numpy_helper.to_array(head))
    (place,), kind = raw, np.dtype(_TYPES[head.data_type])
    if place.end - place.start != math.prod(head.dims) * kind.itemsize:
        raise ValueError("a tensor has another length than its shape")
    return head.name, content[place.start : place.end].view(kind).reshape(tuple(head.dims))


def _joined(content: Array, fields: Sequence[_Field]) -> bytes:
    """Fields one after the other, to be parsed."""
    if sum(field.end - field.begin for field in fields) > _MOST_BYTES_BESIDE:
        raise ValueError("a graph is not so long beside its tensors")
    return b"".join(bytes(content[field.begin : field.end]) for field in fields)


def _fields(content: Array, at: int, end: int) -> list[_Field]:
    """The fields of a message, which fill it exactly."""
    found: list[_Field] = []
    view = content.data  # quicker, byte by byte
    while at < end:
        begin = at
        tag, at = _varint(view, at, end)
        number, wire = tag >> 3, tag & 7
        start = at
        if wire == _VARINT:
            _, at = _varint(view, at, end)
        elif wire == _LENGTH:
            length, start = _varint(view, at, end)
            at = start + length
        else:
            at += {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}[wire]
        if at > end or len(found) == _MOST_FIELDS:
            raise ValueError("a field ends beyond its message, or there are too many")
        found.append(_Field(number, wire, begin, start, at))
    return found


def _varint(view: memoryview, at: int, end: int) -> tuple[int, int]:
    """A number as protobuf writes it, and where it ends."""
    number = 0
    for place in range(min(10, end - at)):
        byte = view[at + place]
        number |= (byte & 127) << 7 * place
        if byte < 128:
            return number, at + place + 1
    raise ValueError("a number does not end")
