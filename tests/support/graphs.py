"""A network small enough to build in a test, in the shape of the real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.export.onnx import attach_uint8_io
from models.spec import InputSpec, ModelSpec, PublishedGraph

SIZE = 64
# Bright is foreground: the mean of the normalised channels, -1..1, times this, through a sigmoid.
GAIN = 10.0


def make_spec(name: str = "tiny", sha256: str | None = "0" * 64, **changes: object) -> ModelSpec:
    """A catalogue entry for the tiny network."""
    values: dict[str, object] = {
        "name": name,
        "architecture": "Tiny",
        "input": InputSpec(SIZE, SIZE, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        "network": PublishedGraph("matte"),
        "sources": (),
        "sha256": sha256,
        "size_bytes": 0,
        "licence": "Apache-2.0",
        "caveat": "",
        "rank": 1000,
    }
    return ModelSpec(**{**values, **changes})  # type: ignore[arg-type]


def make_network(opset: int = 17, output: str = "matte") -> onnx.ModelProto:
    """Float ``[N, 3, S, S]`` in, opacity ``[N, 1, S, S]`` 0..1 out, and a second output."""
    weights = np.full((1, 3, 1, 1), GAIN / 3, np.float32)
    nodes = [
        helper.make_node("Conv", ["pixels", "weights"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], [output]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["N", 3, SIZE, SIZE])],
        [
            helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", 1, SIZE, SIZE]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 1, SIZE, SIZE]),
        ],
        [numpy_helper.from_array(weights, "weights")],
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def write_checkpoint(folder: Path, opset: int = 17, output: str = "matte") -> Path:
    """The tiny network as a file, as its authors would publish it."""
    file = folder / "tiny.onnx"
    onnx.save(make_network(opset, output), str(file))
    return file


def write_graph(folder: Path, opset: int = 17) -> Path:
    """The tiny network with uint8 in and out, as the engines take it."""
    graph = attach_uint8_io(write_checkpoint(folder, opset), make_spec())
    file = folder / "graph.onnx"
    onnx.save(graph, str(file))
    return file


def expected_alpha(batch: np.ndarray) -> np.ndarray:
    """What the tiny network makes of pictures ``[N, H, W, 3]``, computed without it."""
    logits = GAIN * (batch.astype(np.float64) / 127.5 - 1).mean(axis=-1)
    return np.floor(255 / (1 + np.exp(-logits)) + 0.5)
