"""Deformable convolution for OpenVINO: what its ONNX reader lacks, and what its kernel is slow at.

The reader has no rule for ``DeformConv``; `DEFORM_CONV` is one. The kernel it leads to computes in
f32 only. On a CPU that has bf16, `sample_rows` therefore rewrites each deformable branch (the
convolution, its bias, ReLU and the 1x1 convolution behind it) as sampling and matrix products, a
few thousand positions at a time, so that the sampled columns and the branch's wide map stay in the
cache and never become maps in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset15 as ops
from openvino.frontend.onnx import ConversionExtension

# Of 2, 8 and 32 MB as fast, and the fewest nodes to compile (docs/engines.md).
_COLUMN_BYTES = 32 << 20
_BF16_BYTES = 2
# OpenVINO 2026.4.1 gathers rows of 16 values or fewer wrongly, or crashes (batched, fixed shapes).
_FEWEST_CHANNELS = 17
# Zero rows and columns around a map; see models/birefnet/deform_conv.py.
_MARGIN = 2


def _convert(node: Any) -> list[ov.Output]:
    """ONNX ``DeformConv`` as OpenVINO has it: inputs in another order, no bias."""
    x, weight, offset, bias, modulation = (node.get_input(i) for i in range(5))
    out_channels, _, size, _ = (d.get_length() for d in weight.get_partial_shape())
    convolved = ops.deformable_convolution(
        x,
        offset,
        weight,
        strides=[1, 1],
        pads_begin=[size // 2] * 2,
        pads_end=[size // 2] * 2,
        dilations=[1, 1],
        mask=modulation,
        bilinear_interpolation_pad=True,
    )
    shaped = ops.reshape(bias, _int32(1, out_channels, 1, 1), special_zero=False)
    return [ops.add(convolved, shaped).output(0)]


DEFORM_CONV = ConversionExtension("DeformConv", _convert)


@dataclass(frozen=True)
class _Branch:
    """One deformable branch of the graph: four nodes that `sample_rows` replaces by many.

    Attributes:
        x: Feature map ``[N, C, H, W]``.
        offset: ``[N, 2kk, H, W]``.
        modulation: ``[N, kk, H, W]``.
        kernel: ``[O, C, k, k]``.
        bias: ``[1, O, 1, 1]``.
        merge: Kernel ``[M, O, 1, 1]`` of the convolution behind it.
        out: What that convolution gives, ``[N, M, H, W]``.
    """

    x: ov.Output
    offset: ov.Output
    modulation: ov.Output
    kernel: ov.Output
    bias: ov.Output
    merge: ov.Output
    out: ov.Output


def sample_rows(network: ov.Model) -> int:
    """Rewrite every deformable branch of a BiRefNet, in place; other graphs stay as they are.

    Args:
        network: A graph that was read with `DEFORM_CONV`, of fixed height and width.

    Returns:
        How many were found.
    """
    branches = list(_branches(network))
    for branch in branches:
        branch.out.replace(_sampled(branch))
    network.validate_nodes_and_infer_types()
    return len(branches)


def _branches(network: ov.Model) -> Iterator[_Branch]:
    """Deformable convolutions that are followed by bias, ReLU and a 1x1 convolution."""
    for node in network.get_ordered_ops():
        if node.get_type_name() != "DeformableConvolution":
            continue
        add = _only_consumer(node, "Add")
        relu = add and _only_consumer(add, "Relu")
        merge = relu and _only_consumer(relu, "Convolution")
        if add is None or merge is None or merge.input_value(1).get_shape()[2:] != [1, 1]:
            continue
        x, offset, kernel, modulation = node.input_values()
        if kernel.get_shape()[1] < _FEWEST_CHANNELS:
            continue
        bias = next(value for value in add.input_values() if value.get_node() != node)
        yield _Branch(x, offset, modulation, kernel, bias, merge.input_value(1), merge.output(0))


def _only_consumer(node: ov.Node, kind: str) -> ov.Node | None:
    """The one node that reads this one, if it is of that kind."""
    readers = [target.get_node() for target in node.output(0).get_target_inputs()]
    return readers[0] if len(readers) == 1 and readers[0].get_type_name() == kind else None


def _sampled(branch: _Branch) -> ov.Output:
    """The branch as sampling and matrix products; ``[N, M, H, W]``."""
    out_channels, channels, size, _ = branch.kernel.get_shape()
    merged_channels = branch.merge.get_shape()[0]
    height, width = (branch.x.get_partial_shape()[i].get_length() for i in (2, 3))
    taps, positions = size * size, height * width
    dy, dx = _by_position(branch.offset, (taps, 2, positions))
    (modulation,) = _by_position(branch.modulation, (taps, 1, positions))
    rows = _padded_rows(branch.x, height, width, channels)
    kernel = ops.transpose(branch.kernel, _int32(2, 3, 1, 0))  # [k, k, C, O]
    kernel = ops.reshape(kernel, _int32(taps * channels, out_channels), False)
    merge = ops.reshape(branch.merge, _int32(merged_channels, out_channels), False)
    bias = ops.reshape(branch.bias, _int32(1, 1, out_channels), False)
    step = max(1, _COLUMN_BYTES // (taps * channels * _BF16_BYTES))
    parts = []
    for first in range(0, positions, step):
        part = range(first, min(first + step, positions))
        shift = [_cut(value, part) for value in (dy, dx, modulation)]
        columns = _columns(rows, shift, part, (height, width), size)
        columns = ops.reshape(columns, _int32(0, len(part), taps * channels), True)
        wide = ops.relu(ops.add(ops.matmul(columns, kernel, False, False), bias))
        parts.append(ops.matmul(wide, merge, False, True))  # [N, part, M]
    merged = ops.transpose(ops.concat(parts, 1), _int32(0, 2, 1))
    return ops.reshape(merged, _int32(-1, merged_channels, height, width), False).output(0)


def _by_position(value: ov.Output, shape: tuple[int, int, int]) -> list[ov.Output]:
    """``[N, taps * kinds, H, W]`` as one ``[N, H * W, taps]`` per kind."""
    split = ops.transpose(ops.reshape(value, _int32(-1, *shape), False), _int32(2, 0, 3, 1))
    kinds = ops.split(split, _int32(0, scalar=True), shape[1]).outputs()
    return [ops.squeeze(kind, _int32(0)).output(0) for kind in kinds]


def _padded_rows(x: ov.Output, height: int, width: int, channels: int) -> ov.Output:
    """The padded map as feature vectors ``[N, Hp * Wp, C]``."""
    margin = _int32(0, 0, _MARGIN, _MARGIN)
    zero = ops.convert_like(_float32(0), x)
    padded = ops.pad(x, margin, margin, "constant", zero)
    rows = (height + 2 * _MARGIN) * (width + 2 * _MARGIN)
    shape = _int32(-1, rows, channels)
    return ops.reshape(ops.transpose(padded, _int32(0, 2, 3, 1)), shape, False).output(0)


def _cut(value: ov.Output, part: range) -> ov.Output:
    """Some positions of ``[N, H * W, taps]``."""
    bounds = (_int32(part.start), _int32(part.stop), _int32(1), _int32(1))
    return ops.slice(value, *bounds).output(0)


def _columns(
    rows: ov.Output, shift: list[ov.Output], part: range, grid: tuple[int, int], size: int
) -> ov.Output:
    """Bilinear samples times modulation at some positions; ``[N, part * taps, C]``."""
    height, width = grid
    dy, dx, modulation = shift
    position, tap = np.asarray(part)[:, None], np.arange(size * size)
    y, below = _split(dy, position // width, tap // size - size // 2, height)
    x, right = _split(dx, position % width, tap % size - size // 2, width)
    stride = width + 2 * _MARGIN
    upper_left = ops.add(ops.multiply(y, _int32(stride, scalar=True)), x)
    upper_left = ops.reshape(upper_left, _int32(0, -1), True)  # [N, part * taps]
    lower = ops.multiply(modulation, below)
    upper = ops.subtract(modulation, lower)
    lower_right, upper_right = ops.multiply(lower, right), ops.multiply(upper, right)
    corners = (
        (0, ops.subtract(upper, upper_right)),
        (1, upper_right),
        (stride, ops.subtract(lower, lower_right)),
        (stride + 1, lower_right),
    )
    weighted = []
    for step, weight in corners:
        index = ops.add(upper_left, _int32(step, scalar=True))
        corner = ops.gather(rows, index, _int32(1, scalar=True), batch_dims=1)
        weighted.append(ops.multiply(corner, ops.reshape(weight, _int32(0, -1, 1), True)))
    return reduce(ops.add, weighted).output(0)


def _split(
    shift: ov.Output, origin: np.ndarray, tap: np.ndarray, length: int
) -> tuple[ov.Output, ov.Output]:
    """A displaced coordinate as a row of the padded map, in integers, and the fraction beyond it.

    Under a bf16 hint float arithmetic keeps 8 bits: a coordinate would be off by pixels. Integers
    are left alone.
    """
    whole = ops.floor(shift)
    steps = ops.convert(ops.clamp(whole, -2.0 * length, 2.0 * length), "i32")
    at = ops.add(ops.add(steps, _integers(origin)), _integers(tap))
    row = ops.add(ops.clamp(at, -_MARGIN, length), _int32(_MARGIN, scalar=True))
    return row, ops.subtract(shift, whole)


def _integers(values: np.ndarray) -> ov.Output:
    return ops.constant(values.astype(np.int32))


def _int32(*values: int, scalar: bool = False) -> ov.Output:
    return ops.constant(np.asarray(values[0] if scalar else values, np.int32))


def _float32(value: float) -> ov.Output:
    return ops.constant(np.float32(value))
