"""Wraps a float ONNX network so that it takes uint8 pictures and gives uint8 mattes.

Normalisation, layout and scaling become part of the graph: four times fewer bytes reach the
engine, and no caller can normalise differently from another.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.errors import CheckpointError
from models.spec import ModelSpec, PublishedGraph

# Axes of Squeeze are an attribute up to opset 12 and an input from 13 on.
_SQUEEZE_AXES_AS_INPUT = 13


def attach_uint8_io(checkpoint: Path, spec: ModelSpec) -> onnx.ModelProto:
    """Graft normalisation in front of a network and quantisation of the matte behind it.

    Args:
        checkpoint: ONNX file with one float input ``[N, 3, H, W]`` and, among its outputs,
            the matte ``[N, 1, H, W]`` in ``[0, 1]``.
        spec: The model; its network is a `PublishedGraph`.

    Returns:
        A checked model, ``image`` uint8 ``[N, H, W, 3]`` RGB in, ``alpha`` uint8 ``[N, H, W]`` out.

    Raises:
        CheckpointError: If the file is not such a network.
    """
    if not isinstance(spec.network, PublishedGraph):
        raise CheckpointError(f"{spec.name} was not published as a graph")
    matte = spec.network.matte_output
    try:
        model = onnx.load(str(checkpoint))
        outputs = {output.name for output in model.graph.output}
        if matte not in outputs or len(model.graph.input) != 1:
            raise CheckpointError(f"{checkpoint.name} is no {spec.architecture}: {sorted(outputs)}")
        graft(model, spec, matte)
        onnx.checker.check_model(model)
    except CheckpointError:
        raise
    except Exception as broken:  # protobuf and checker errors share no base class
        raise CheckpointError(f"{checkpoint.name} is not a readable ONNX model") from broken
    return model


def graft(model: onnx.ModelProto, spec: ModelSpec, matte: str) -> None:
    """Put uint8 in front of a graph and behind it, in place; see `attach_uint8_io`.

    Args:
        model: A model of one float32 input.
        spec: Size and normalisation of that.
        matte: Name of the value that holds the matte, ``[N, 1, H, W]`` in ``[0, 1]``.
    """
    graph, height, width = model.graph, spec.input.height, spec.input.width
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    constants, before = _normalisation(spec, graph.input[0].name)
    more_constants, after = _quantisation(matte, opset)
    graph.initializer.extend([*constants, *more_constants])
    nodes = [*before, *graph.node, *after]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.input[:]
    del graph.output[:]
    graph.input.append(
        helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", height, width, 3])
    )
    graph.output.append(
        helper.make_tensor_value_info("alpha", TensorProto.UINT8, ["N", height, width])
    )


def _normalisation(
    spec: ModelSpec, network_input: str
) -> tuple[list[onnx.TensorProto], list[onnx.NodeProto]]:
    """``(x / 255 - mean) / std`` in two operations, ``[N, H, W, 3] -> [N, 3, H, W]``."""
    mean = np.asarray(spec.input.mean, np.float32).reshape(1, 3, 1, 1) * np.float32(255)
    scale = 1 / (np.asarray(spec.input.std, np.float32).reshape(1, 3, 1, 1) * np.float32(255))
    constants = [
        numpy_helper.from_array(mean.astype(np.float32), "io_mean"),
        numpy_helper.from_array(scale.astype(np.float32), "io_scale"),
    ]
    nodes = [
        helper.make_node("Cast", ["image"], ["io_float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["io_float"], ["io_nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("Sub", ["io_nchw", "io_mean"], ["io_centred"]),
        helper.make_node("Mul", ["io_centred", "io_scale"], [network_input]),
    ]
    return constants, nodes


def _quantisation(matte: str, opset: int) -> tuple[list[onnx.TensorProto], list[onnx.NodeProto]]:
    """``round(255 x)`` as a byte, ``[N, 1, H, W] -> [N, H, W]``; never stretched by its range."""
    constants = [
        numpy_helper.from_array(np.asarray(value, np.float32), name)
        for name, value in (("io_255", 255.0), ("io_half", 0.5), ("io_zero", 0.0))
    ]
    if opset >= _SQUEEZE_AXES_AS_INPUT:
        constants.append(numpy_helper.from_array(np.asarray([1], np.int64), "io_axes"))
        squeeze = helper.make_node("Squeeze", [matte, "io_axes"], ["io_matte"])
    else:
        squeeze = helper.make_node("Squeeze", [matte], ["io_matte"], axes=[1])
    nodes = [
        squeeze,
        helper.make_node("Mul", ["io_matte", "io_255"], ["io_scaled"]),
        helper.make_node("Add", ["io_scaled", "io_half"], ["io_rounded"]),
        helper.make_node("Clip", ["io_rounded", "io_zero", "io_255"], ["io_clipped"]),
        helper.make_node("Cast", ["io_clipped"], ["alpha"], to=TensorProto.UINT8),
    ]
    return constants, nodes
