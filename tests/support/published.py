"""Published ONNX graphs of BiRefNets: their layers alone, put together without PyTorch.

A graph of these computes nothing sensible, but has every layer of the network in the order of its
execution, in the forms that exporters write. `tests.support.torchscript` makes real ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.templates import published
from models.templates.template import Form, expected_tensors, read_template, template_file
from models.weights.arrays import Array

SIDE = 1024
TILES = (64, 3072, 3, 3)


@dataclass
class Graph:
    """A graph while it is put together."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: dict[str, Array] = field(default_factory=dict)
    count: int = 0

    def name(self) -> str:
        self.count += 1
        return f"onnx::Value_{self.count}"

    def add(self, kind: str, *inputs: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [self.name()], **attributes))
        return self.nodes[-1].output[0]

    def put(self, array: Array, name: str | None = None) -> str:
        name = name or self.name()
        self.tensors[name] = array
        return name

    def save(self, file: Path) -> Path:
        picture = helper.make_tensor_value_info(
            "input_image", TensorProto.FLOAT, [1, 3, SIDE, SIDE]
        )
        matte = helper.make_tensor_value_info("output_image", TensorProto.FLOAT, [1, 1, SIDE, SIDE])
        tensors = [numpy_helper.from_array(array, name) for name, array in self.tensors.items()]
        graph = helper.make_graph(self.nodes, "main_graph", [picture], [matte], tensors)
        opsets = [helper.make_opsetid("", 17)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(file))
        return file


@cache
def random_state(backbone: str) -> dict[str, Array]:
    """Tensors of that backbone's network, of which no two are alike."""
    draw = np.random.default_rng(1)
    header = expected_tensors(backbone)
    return {
        key: (draw.random(shape, np.float32) + np.float32(0.5))
        for key, shape in header.tensors.items()
        if key not in header.fixed and not key.endswith("num_batches_tracked")
    }


def layers_only(
    backbone: str,
    state: dict[str, Array],
    *,
    fold: bool = True,
    named: bool = True,
    copies: bool = False,
    rename: Callable[[str], str] = lambda key: key,
) -> Graph:
    """All layers of a network, one after the other.

    Args:
        backbone: Its backbone.
        state: Its tensors.
        fold: Whether batch norms are folded into convolutions, but for deformable ones.
        named: Whether weights that stay as they are keep their keys as names.
        copies: Whether the backbone comes twice, with weights of its own.
        rename: What a name becomes.
    """
    template = read_template(template_file(backbone, SIDE, SIDE, Form.OPERATOR))
    recipe = [
        step
        for node in template.model.graph.node
        for name in node.input
        if name in template.header.recipe
        for step in published._steps(template.header.recipe[name])
    ]
    norms = {step[1]: (step[2], step[3]) for step in recipe if step[0] == "fuse_weight"}
    keys = dict.fromkeys(key for step in recipe for key in published._weights(step))
    order = list(published._expected(template.header, keys))
    first = [key for key in order if key.startswith("bb.")]
    graph = Graph()
    for key in [*first, *(first if copies else ()), *order[len(first) :]]:
        _layer(graph, key, state, norms, fold, lambda k: rename(k) if named else None)
    return graph


def _layer(graph, key, state, norms, fold, name) -> None:  # type: ignore[no-untyped-def]
    module = key.rpartition(".")[0]
    weight, bias = state[key], state.get(f"{module}.bias")
    if key.endswith("table"):
        tokens = published._positions(weight.shape)[1]
        index = published._index(int(tokens**0.5))
        graph.add("Add", "input_image", graph.put(weight[index].transpose(2, 0, 1)[None]))
    elif weight.ndim == 1:
        graph.add(
            "LayerNormalization", "input_image", graph.put(weight, name(key)), graph.put(bias)
        )
    elif weight.ndim == 2:
        held = graph.add("Identity", graph.put(weight.T.copy()))  # as PyTorch writes a second use
        out = graph.add("MatMul", "input_image", held)
        if bias is not None:
            graph.add("Add", graph.put(bias, name(f"{module}.bias")), out)
    elif module in norms and fold and "regular_conv" not in module:
        norm, eps = norms[module]
        scale = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + np.float32(eps))
        shift = (0 if bias is None else bias) - state[f"{norm}.running_mean"]
        folded = weight * scale[:, None, None, None]
        rest = graph.put(shift * scale + state[f"{norm}.bias"])
        graph.add("Conv", "input_image", graph.put(folded), rest)
    else:
        inputs = [graph.put(weight, name(key)), *([] if bias is None else [graph.put(bias)])]
        out = graph.add("Conv", "input_image", *inputs)
        if module in norms:
            norm, eps = norms[module]
            if "regular_conv" in module:
                out = graph.add("Add", graph.put(np.zeros((1, len(weight), 1, 1), np.float32)), out)
            parts = [graph.put(state[f"{norm}.{part}"]) for part in published._NORM]
            graph.add("BatchNormalization", out, *parts, epsilon=eps)


def unknown_birefnet(*, sigmoid: bool = False) -> Graph:
    """A graph that has the tiles of a BiRefNet and none of its other layers; it runs.

    Bright is foreground, as in `tests.support.graphs`, in logits.
    """
    graph = Graph()
    tiles = graph.add("SpaceToDepth", "input_image", blocksize=32)
    edges = graph.add("Conv", tiles, graph.put(np.zeros(TILES, np.float32)), pads=[1] * 4)
    nothing = graph.add("ReduceMean", edges, axes=[1, 2, 3], keepdims=1)
    weights = np.full((1, 3, 1, 1), 2, np.float32)
    logits = graph.add("Conv", "input_image", graph.put(weights))
    out = graph.add("Add", logits, nothing)
    graph.nodes.append(
        helper.make_node("Sigmoid" if sigmoid else "Identity", [out], ["output_image"])
    )
    return graph
