"""Rewrites a float network with 8-bit convolutions (QDQ form).

For U-Nets made of Conv, Relu, MaxPool, Concat, Resize and Add. Weights become int8, symmetric, one
scale per output channel. Activations become uint8, one scale per tensor with zero point 0 (each of
them is non-negative), from ranges measured once by `scripts.evaluate.calibrate`, kept in `ranges/`.

Tensors that meet in one Concat, and both sides of a Resize, share a scale, so that an engine can
move and merge the bytes without rescaling them; without that OpenVINO gains nothing (280 ms, not
170).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from models.errors import CheckpointError

_RANGES = Path(__file__).parent / "ranges"
_OPSET = 13  # the first with one scale per channel
_OLDEST_OPSET = 11
_FEW_CHANNELS = 6  # a convolution over this many or fewer is not worth it
_INT8_STEPS, _UINT8_STEPS = 127, 255


@dataclass(frozen=True)
class Calibration:
    """What was measured of a network.

    Attributes:
        ranges: Largest value of each tensor that is quantised.
        keep: Outputs of the convolutions that stay in floating point, because they cost accuracy at
            the edge: for U-2-Net the last decoder stage, which draws the outline.
    """

    ranges: Mapping[str, float]
    keep: frozenset[str]


def read_calibration(model: str) -> Calibration:
    """The calibration that was measured for a model of the catalogue."""
    content = json.loads((_RANGES / f"{model}.json").read_text())
    return Calibration(
        ranges={name: high for name, (_, high) in content["ranges"].items()},
        keep=frozenset(content["keep"]),
    )


def quantize(model: onnx.ModelProto, calibration: Calibration) -> onnx.ModelProto:
    """Quantise a network.

    Args:
        model: A float network; not changed.
        calibration: What was measured of it.

    Returns:
        A copy with the same inputs and outputs.

    Raises:
        CheckpointError: If the calibration is not this network's.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    _raise_opset(result)
    graph = result.graph
    plan = _Plan(graph, calibration.keep)
    highest = plan.highest(calibration.ranges)
    quantised = {conv.output[0] for conv in plan.convolutions}
    renamed: dict[str, str] = {}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        for index, tensor in enumerate(node.input):
            node.input[index] = renamed.get(tensor, tensor)
        if node.op_type == "Conv" and node.output[0] in quantised:
            nodes.append(_quantize_weights(node, plan.weights[node.input[1]], graph))
        nodes.append(node)
        for tensor in sorted(plan.sites.intersection(node.output)):
            nodes += _quantize_tensor(tensor, highest[plan.group(tensor)] / _UINT8_STEPS, graph)
            renamed[tensor] = f"{tensor}_dequantized"
    del graph.node[:]
    graph.node.extend(nodes)
    return result


def tensors_to_measure(model: onnx.ModelProto, keep: frozenset[str]) -> list[str]:
    """Names of the tensors whose range a calibration has to hold."""
    return _Plan(model.graph, keep).measured()


class _Plan:
    """Which convolutions and which tensors are quantised, and which tensors share a scale."""

    def __init__(self, graph: onnx.GraphProto, keep: frozenset[str]) -> None:
        self.weights = {initializer.name: initializer for initializer in graph.initializer}
        self.producer = {output: node for node in graph.node for output in node.output}
        self.sites: set[str] = set()
        self._parent: dict[str, str] = {}
        self.convolutions = [
            node
            for node in graph.node
            if node.op_type == "Conv" and node.output[0] not in keep and self._is_worth_it(node)
        ]
        for convolution in self.convolutions:
            first, *others = self._sources(convolution.input[0])
            for tensor in others:
                self._parent[self.group(tensor)] = self.group(first)

    def _is_worth_it(self, convolution: onnx.NodeProto) -> bool:
        out_channels, in_channels = self.weights[convolution.input[1]].dims[:2]
        return bool(out_channels > 1 and in_channels > _FEW_CHANNELS)

    def _sources(self, tensor: str) -> Iterator[str]:
        """The tensors whose bytes make up another one; each becomes a site."""
        node = self.producer[tensor]
        if node.op_type == "MaxPool":
            yield from self._sources(node.input[0])
        elif node.op_type == "Concat":
            for part in node.input:
                yield from self._sources(part)
        else:
            self.sites.add(tensor)
            yield tensor
            if node.op_type == "Resize":
                yield from self._sources(node.input[0])

    def group(self, tensor: str) -> str:
        """The representative of all tensors that share a scale with this one."""
        while self._parent.setdefault(tensor, tensor) != tensor:
            tensor = self._parent[tensor]
        return tensor

    def measured(self) -> list[str]:
        """Sites whose range must be measured; the others repeat values of these."""
        return sorted(s for s in self.sites if self.producer[s].op_type != "Resize")

    def highest(self, ranges: Mapping[str, float]) -> dict[str, float]:
        """Largest value of each group."""
        highest: dict[str, float] = {}
        for site in self.measured():
            if ranges.get(site, 0.0) <= 0.0:
                raise CheckpointError(f"the calibration has no range for tensor {site}")
            group = self.group(site)
            highest[group] = max(highest.get(group, 0.0), ranges[site])
        return highest


def _quantize_weights(
    convolution: onnx.NodeProto, weights: onnx.TensorProto, graph: onnx.GraphProto
) -> onnx.NodeProto:
    """Replace weights ``[O, I, k, k]`` by int8; returns the node the convolution now reads."""
    name = weights.name
    values = numpy_helper.to_array(weights)
    scale = np.maximum(np.abs(values).max(axis=(1, 2, 3)) / _INT8_STEPS, 1e-12).astype(np.float32)
    steps = np.rint(values / scale[:, None, None, None]).astype(np.int8)
    weights.CopyFrom(numpy_helper.from_array(steps, name))
    graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
    graph.initializer.append(numpy_helper.from_array(np.zeros_like(scale, np.int8), f"{name}_zero"))
    convolution.input[1] = f"{name}_dequantized"
    return helper.make_node(
        "DequantizeLinear", [name, f"{name}_scale", f"{name}_zero"], [convolution.input[1]], axis=0
    )


def _quantize_tensor(tensor: str, scale: float, graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The pair of nodes that brings an activation to uint8 and back."""
    names = [f"{tensor}_scale", f"{tensor}_zero"]
    graph.initializer.append(numpy_helper.from_array(np.array(scale, np.float32), names[0]))
    graph.initializer.append(numpy_helper.from_array(np.array(0, np.uint8), names[1]))
    steps = f"{tensor}_steps"
    return [
        helper.make_node("QuantizeLinear", [tensor, *names], [steps]),
        helper.make_node("DequantizeLinear", [steps, *names], [f"{tensor}_dequantized"]),
    ]


def _raise_opset(model: onnx.ModelProto) -> None:
    """Opset 11 or 12 to 13; of these networks' operators only those with axes differ."""
    opset = next(o for o in model.opset_import if o.domain in ("", "ai.onnx"))
    if not _OLDEST_OPSET <= opset.version <= _OPSET:
        raise CheckpointError(f"opset {opset.version} cannot be quantised")
    if opset.version == _OPSET:
        return
    opset.version = _OPSET
    model.ir_version = max(model.ir_version, 7)
    for node in model.graph.node:
        if node.op_type in ("Squeeze", "Unsqueeze") and node.attribute:
            name = f"{node.output[0]}_axes"
            axes = np.array(node.attribute[0].ints, np.int64)
            model.graph.initializer.append(numpy_helper.from_array(axes, name))
            node.input.append(name)
            del node.attribute[:]
