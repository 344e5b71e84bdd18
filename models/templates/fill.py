"""Puts the weights of a checkpoint into a template, tensor by tensor, straight into a file."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
from onnx import TensorProto, helper

from models.artifacts import replacing
from models.errors import CheckpointError
from models.templates.template import Template
from models.weights.arrays import Array, Weights, bytes_of, is_finite, widened

# What protobuf, and with it every reader of ONNX, takes in one piece.
_MOST_BYTES = (1 << 31) - 1024
# Tags of fields that hold so many bytes: `ModelProto.graph`, `GraphProto.initializer`, and
# `TensorProto.raw_data`.
_GRAPH, _INITIALIZER, _RAW_DATA = b"\x3a", b"\x2a", b"\x4a"


def fill(template: Template, weights: Weights, file: Path) -> None:
    """Write the graph of a checkpoint.

    Beside template and file, no more than two tensors are in memory at a time.

    Args:
        template: The template of its backbone; its graph loses its initializers.
        weights: Its tensors, as `models.templates.check.read_birefnet` gives them.
        file: Where the graph goes.

    Raises:
        CheckpointError: If a weight is too large for float16, or folds to NaN or infinity, or if
            the graph were larger than ONNX allows a file to be.
    """
    recipe, model = template.header.recipe, template.model
    tensors = [TensorProto.FromString(t.SerializeToString()) for t in model.graph.initializer]
    del model.graph.initializer[:]
    lengths = [_length_of(tensor) for tensor in tensors]
    total = model.graph.ByteSize() + sum(len(_INITIALIZER + _varint(n)) + n for n in lengths)
    if total > _MOST_BYTES:
        raise CheckpointError(
            f"{file.name} would have {total / 1e9:.1f} GB, and an ONNX file has at most 2 GB"
        )
    before, after = _around(model, "opset_import")
    graph_before, graph_after = _around(model.graph, "input", "output", "value_info")
    # What comes of numbers that are too large is looked for where it may come.
    with replacing(file) as unfinished, unfinished.open("wb") as stream, np.errstate(all="ignore"):
        stream.write(before + _GRAPH + _varint(total) + graph_before)
        for tensor, length in zip(tensors, lengths, strict=True):
            stream.write(_INITIALIZER + _varint(length) + tensor.SerializeToString())
            if tensor.name in recipe:
                _write_data(evaluate(recipe[tensor.name], weights), tensor, stream)
        stream.write(graph_after + after)


def _around(message: Any, *later: str) -> tuple[bytes, bytes]:
    """Bytes of a message without its graph, cut in two before the fields that come later."""
    parts = type(message)(), type(message)()
    for field, value in message.ListFields():
        if field.name != "graph":
            copied = type(message)(**{field.name: value})
            parts[field.name in later].MergeFrom(copied)
    first, second = (part.SerializeToString() for part in parts)
    return first, second


def _write_data(array: Array, tensor: TensorProto, stream: IO[bytes]) -> None:
    kind = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    # A template that does not fit is our fault: nothing of a checkpoint gets here unchecked.
    assert (array.shape, array.dtype) == (tuple(tensor.dims), kind), tensor.name  # noqa: S101
    stream.write(_RAW_DATA + _varint(array.nbytes))
    stream.write(bytes_of(array))


def _length_of(tensor: TensorProto) -> int:
    """Bytes of an initializer with its data, whether it has them yet or not."""
    head = tensor.ByteSize()
    if tensor.HasField("raw_data"):
        return int(head)
    size = math.prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    return int(head + len(_RAW_DATA + _varint(size)) + size)


def _varint(number: int) -> bytes:
    """A number as protobuf writes it."""
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def evaluate(how: list[Any], weights: Weights) -> Array:
    """Compute one expression of a recipe."""
    kind, *arguments = how
    if kind in _LEAVES:
        return _LEAVES[kind](weights, *arguments)
    values = [
        evaluate(a, weights) if isinstance(a, list) and a and isinstance(a[0], str) else a
        for a in arguments
    ]
    return _OPERATIONS[kind](*values)


def _fuse_weight(weights: Weights, convolution: str, norm: str, eps: float) -> Array:
    kernel = widened(weights[f"{convolution}.weight"])
    scale = widened(weights[f"{norm}.weight"]) * _deviation(weights, norm, eps)
    return _sane(kernel * scale.reshape(-1, *[1] * (kernel.ndim - 1)), convolution)


def _fuse_bias(weights: Weights, convolution: str | None, norm: str, eps: float) -> Array:
    mean = widened(weights[f"{norm}.running_mean"])
    bias = widened(weights[f"{convolution}.bias"]) if convolution else np.zeros_like(mean)
    scaled = (bias - mean) * _deviation(weights, norm, eps) * widened(weights[f"{norm}.weight"])
    return _sane(scaled + widened(weights[f"{norm}.bias"]), norm)


def _deviation(weights: Weights, norm: str, eps: float) -> Array:
    """One over the standard deviation; in the order of operations of PyTorch's `rsqrt`."""
    variance = widened(weights[f"{norm}.running_var"])
    return np.float32(1) / np.sqrt(variance + np.float32(eps))


def _sane(folded: Array, name: str) -> Array:
    if not is_finite(folded):
        raise CheckpointError(f"folding the batch norm behind {name} gives NaN or infinity")
    return folded


def _half(name: str, array: Array) -> Array:
    cast = array.astype(np.float16)
    if not is_finite(cast):
        raise CheckpointError(f"{name} has values that float16 cannot hold")
    return cast


def _slice(parts: list[list[int]], array: Array) -> Array:
    at = [slice(None)] * array.ndim
    for start, end, axis, *step in parts:
        at[axis] = slice(start, end, *step)
    return array[tuple(at)]


_LEAVES: dict[str, Callable[..., Array]] = {
    "copy": lambda weights, key: widened(weights[key]),
    "concat": lambda weights, *keys: np.concatenate([widened(weights[key]) for key in keys]),
    "fuse_weight": _fuse_weight,
    "fuse_bias": _fuse_bias,
}
_OPERATIONS: dict[str, Callable[..., Array]] = {
    "half": _half,
    "unsqueeze": lambda axes, array: np.expand_dims(array, tuple(axes)),
    "reshape": lambda shape, array: array.reshape(shape),
    "transpose": lambda axes, array: array.transpose(axes),
    "gather": lambda axis, array, index: array.take(index, axis),
    "slice": _slice,
    "matmul": np.matmul,
}
