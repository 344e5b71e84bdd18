"""The layers of an ONNX graph that have weights, in the order in which they are used.

Exporters rename, transpose, fold and copy weights, each in its own way. What they cannot change is
which layer comes after which, of which kind, and of which shape.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from onnx import AttributeProto, NodeProto, helper, numpy_helper

from models.weights.arrays import Array, Shape
from models.weights.onnx_file import OnnxFile


class Kind(StrEnum):
    """What a layer computes; decides how its weight lies in a checkpoint."""

    CONVOLUTION = "convolution"  # deformable ones too
    LINEAR = "linear"
    LAYER_NORM = "layer norm"
    POSITIONS = "relative positions"


@dataclass(frozen=True)
class BatchNorm:
    """What follows a convolution.

    Attributes:
        tensors: Scale, shift, running mean and running variance.
        eps: Added to the variance.
    """

    tensors: tuple[Array, Array, Array, Array]
    eps: float


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        kind: What it computes.
        weight: As a checkpoint has it: outputs first. Of relative positions the table, or what was
            made of it: ``[heads, tokens, tokens]``.
        bias: Added to its output, if anything is.
        norm: The batch norm behind it, where that is not part of its weight already.
        name: Of its weight in the file.
    """

    kind: Kind
    weight: Array
    bias: Array | None = None
    norm: BatchNorm | None = None
    name: str = ""


@dataclass
class _Reader:
    """What is known of a graph while its nodes are read."""

    constants: dict[str, Array]
    origins: dict[str, str] = field(default_factory=dict)
    consumers: dict[str, list[NodeProto]] = field(default_factory=lambda: defaultdict(list))
    producers: dict[str, NodeProto] = field(default_factory=dict)

    def constant(self, node: NodeProto, at: int) -> Array | None:
        """An input of a node, where it is the same in every pass."""
        return self.constants.get(node.input[at]) if at < len(node.input) else None

    def next(self, node: NodeProto) -> NodeProto | None:
        """The only node that takes the output of another."""
        after = self.consumers.get(node.output[0], [])
        return after[0] if len(after) == 1 else None

    def added(self, node: NodeProto | None) -> Array | None:
        """What a node adds to its other input, channel by channel."""
        if node is None or node.op_type != "Add":
            return None
        found = [array for at in (0, 1) if (array := self.constant(node, at)) is not None]
        flat = bool(found) and max(found[0].shape, default=1) == found[0].size > 1
        return found[0].reshape(-1) if flat else None


def layers_of(graph: OnnxFile) -> list[Layer]:
    """Read the layers of a graph; one whose weight is used again comes once, where it came first.

    Args:
        graph: A graph of any network.

    Raises:
        ValueError, LookupError: If it is no valid graph.
    """
    reader = _Reader(dict(graph.tensors), {name: name for name in graph.tensors})
    for node in graph.model.graph.node:
        for name in dict.fromkeys(node.input):
            reader.consumers[name].append(node)
        for name in node.output:
            reader.producers[name] = node
        _note_constant(reader, node)
    seen: set[str] = set()
    found = []
    for node in graph.model.graph.node:
        for layer in _layers_at(reader, node):
            if layer.name not in seen:
                found.append(layer)
            seen.add(layer.name)
    return found


def _note_constant(reader: _Reader, node: NodeProto) -> None:
    """Follow what an exporter does to weights before they are used."""
    if node.op_type == "Constant" and node.attribute[0].type == AttributeProto.TENSOR:
        made, origin = _literal(node), node.output[0]
    elif (source := reader.constant(node, 0)) is not None and node.op_type in _MOVES:
        made, origin = _MOVES[node.op_type](source, node), reader.origins[node.input[0]]
    else:
        return
    reader.constants[node.output[0]], reader.origins[node.output[0]] = made, origin


def _literal(node: NodeProto) -> Array:
    tensor = node.attribute[0].t
    if tensor.external_data or any(side < 0 for side in tensor.dims):
        raise ValueError("a constant has no such shape")
    return np.asarray(numpy_helper.to_array(tensor))


def _attribute(node: NodeProto, name: str, default: Any) -> Any:
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


_MOVES = {
    "Identity": lambda array, node: array,
    "Cast": lambda array, node: array,  # from one float to another, or nothing here fits
    "Transpose": lambda array, node: array.transpose(_attribute(node, "perm", None)),
}


def _layers_at(reader: _Reader, node: NodeProto) -> Iterator[Layer]:
    read = _READERS.get(node.op_type)
    layer = read(reader, node) if read else None
    if layer is not None:
        yield layer


def _convolution(reader: _Reader, node: NodeProto) -> Layer | None:
    weight = reader.constant(node, 1)
    if weight is None or weight.ndim != 4:
        return None
    bias = reader.constant(node, 2 if node.op_type == "Conv" else 3)
    after = reader.next(node)
    # Where a deformable convolution was taken apart, its bias is added behind it.
    if bias is None and (bias := reader.added(after)) is not None and after is not None:
        after = reader.next(after)
    norm = _batch_norm(reader, after)
    return Layer(Kind.CONVOLUTION, weight, bias, norm, reader.origins[node.input[1]])


def _batch_norm(reader: _Reader, node: NodeProto | None) -> BatchNorm | None:
    if node is None or node.op_type != "BatchNormalization":
        return None
    tensors = tuple(reader.constants[name] for name in node.input[1:5])
    return BatchNorm(tensors, _attribute(node, "epsilon", 1e-5))  # type: ignore[arg-type]  # four


def _product(reader: _Reader, node: NodeProto) -> Layer | None:
    weight = reader.constant(node, 1)
    if weight is None or weight.ndim != 2:
        return None
    bias, outputs_first = reader.added(reader.next(node)), False
    if node.op_type == "Gemm":
        bias, outputs_first = reader.constant(node, 2), _attribute(node, "transB", 0) == 1
    turned = weight if outputs_first else weight.T
    return Layer(Kind.LINEAR, turned, bias, None, reader.origins[node.input[1]])


def _layer_norm(reader: _Reader, node: NodeProto) -> Layer | None:
    weight = reader.constant(node, 1)
    if weight is None:
        return None
    return Layer(
        Kind.LAYER_NORM, weight, reader.constant(node, 2), None, reader.origins[node.input[1]]
    )


def _scaled(reader: _Reader, node: NodeProto) -> Layer | None:
    """The end of a layer norm that was taken apart: a quotient, times a scale, plus a shift."""
    for scale, other in (node.input, reversed(node.input)):
        weight, before = reader.constants.get(scale), reader.producers.get(other)
        bias = reader.added(reader.next(node))
        if weight is None or weight.ndim != 1 or before is None or bias is None:
            continue
        if before.op_type == "Div":
            return Layer(Kind.LAYER_NORM, weight, bias, None, reader.origins[scale])
    return None


def _looked_up(reader: _Reader, node: NodeProto) -> Layer | None:
    """A table of relative positions, looked up in every pass."""
    table = reader.constant(node, 0)
    if table is None or table.ndim != 2 or math.isqrt(table.shape[0]) ** 2 != table.shape[0]:
        return None
    return Layer(Kind.POSITIONS, table, name=reader.origins[node.input[0]])


def _summed(reader: _Reader, node: NodeProto) -> Layer | None:
    """What was made of such a table, added to attention scores ``[..., heads, tokens, tokens]``."""
    for name in node.input:
        array = reader.constants.get(name)
        if array is not None and array.ndim >= 3 and _is_square(array.shape):
            return Layer(Kind.POSITIONS, array.reshape(array.shape[-3:]), name=reader.origins[name])
    return None


def _is_square(shape: Shape) -> bool:
    *more, heads, rows, columns = shape
    return rows == columns and rows > 1 and heads > 1 and math.prod(more) == 1


_READERS = {
    "Conv": _convolution,
    "DeformConv": _convolution,
    "MatMul": _product,
    "Gemm": _product,
    "LayerNormalization": _layer_norm,
    "Mul": _scaled,
    "Gather": _looked_up,
    "Add": _summed,
}
