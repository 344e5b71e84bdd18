"""A graph small enough to build a real plan of in a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write_mean_graph(file: Path, size: int) -> Path:
    """Alpha is the mean over red, green and blue, in half precision; every matte is sound.

    Args:
        file: Where the graph goes.
        size: Rows and columns of a picture.

    Returns:
        The file.
    """
    nodes = [
        helper.make_node("Cast", ["image"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("Transpose", ["half"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "thirds"], ["mean"]),
        helper.make_node("Squeeze", ["mean", "one"], ["matte"]),
        helper.make_node("Add", ["matte", "round"], ["rounded"]),
        helper.make_node("Clip", ["rounded", "least", "most"], ["kept"]),
        helper.make_node("Cast", ["kept"], ["alpha"], to=TensorProto.UINT8),
        helper.make_node("ReduceMax", ["kept", "map"], ["peak"], keepdims=0),
        helper.make_node("Clip", ["peak", "unit", "unit"], ["flag"]),
        helper.make_node("Cast", ["flag"], ["sound"], to=TensorProto.UINT8),
    ]
    constants = {
        "thirds": np.full((1, 3, 1, 1), 1 / 3, np.float16),
        "one": np.array([1], np.int64),
        "round": np.float16(0.5),
        "least": np.float16(0),
        "most": np.float16(255),
        "map": np.array([1, 2], np.int64),
        "unit": np.float16(1),
    }
    byte = TensorProto.UINT8
    graph = helper.make_graph(
        nodes,
        "mean",
        [helper.make_tensor_value_info("image", byte, ["N", size, size, 3])],
        [
            helper.make_tensor_value_info("alpha", byte, ["N", size, size]),
            helper.make_tensor_value_info("sound", byte, ["N"]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), str(file))
    return file
