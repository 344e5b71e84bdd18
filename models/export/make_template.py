"""Makes templates with PyTorch: traces a network whose weights stay open.

What follows from the weights alone is not computed but written down, as expressions in the keys of
a checkpoint; `models.templates.fill` computes them. What it cannot compute is refused here.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx_ir.passes import common as passes
from torch import nn

from models.artifacts import GRAPH_VERSION
from models.birefnet import BiRefNet, build_birefnet
from models.birefnet.deform_conv import DeformableConv2d
from models.birefnet.folding import norms
from models.birefnet.seeded import seed_weights
from models.catalog import IMAGENET_MEAN, IMAGENET_STD
from models.export.birefnet import DeformForm, fold_constants, fold_copy, trace
from models.spec import InputSpec
from models.templates.fill import evaluate
from models.templates.template import Form, Header, Template
from models.weights.arrays import Array, Weights

_WRAPPED = "network."  # in `PictureMatting`
_FIXED = ".relative_position_index"

Expression = list[Any]


def make_template(backbone: str, height: int, width: int, form: Form) -> Template:
    """Trace the network of a backbone and leave its weights out.

    Args:
        backbone: A key of `BACKBONES`.
        height: Rows of the model input, in pixels.
        width: Columns of the model input, in pixels.
        form: Which graph.

    Returns:
        The template: the same for the same arguments, code and exporter.

    Raises:
        ValueError: If there is no such backbone, or it does not take pictures of that size.
    """
    with torch.device("meta"):
        network = build_birefnet(backbone)
    network.check_size(height, width)
    network.to_empty(device="cpu")
    seed_weights(network)  # none of them is kept, but what is the same in every checkpoint
    return template_of(network.requires_grad_(False), height, width, form)


def template_of(network: BiRefNet, height: int, width: int, form: Form) -> Template:
    """The template of a network that has weights, whichever they are; see `make_template`."""
    half = form is Form.HALF
    weights = _weights_of(network)
    twin = fold_copy(network, DeformForm.DECOMPOSED if half else DeformForm.OPERATOR, half=half)
    assert not set(weights) ^ set(_state(twin)), "the recipe is not of this network"  # noqa: S101
    traced = trace(twin, InputSpec(height, width, IMAGENET_MEAN, IMAGENET_STD), sound=half)
    given = [name for name in traced.graph.initializers if name.removeprefix(_WRAPPED) in weights]
    order = [*traced.graph.initializers, *(o.name for n in traced.graph for o in n.outputs)]
    fold_constants(traced, given)
    passes.NameFixPass()(traced)
    model = ir.to_proto(traced)
    state = network.state_dict()
    example = {key: tensor.numpy() for key, tensor in state.items()}
    open_weights = {name: weights[name.removeprefix(_WRAPPED)] for name in given}
    recipe = _leave_out(model, open_weights, example)
    _put_in_order(model.graph, order)
    return Template(
        Header(
            graph_version=GRAPH_VERSION,
            tensors={key: tuple(tensor.shape) for key, tensor in state.items()},
            fixed={k: _sha256(t) for k, t in state.items() if k.endswith(_FIXED)},
            recipe=recipe,
        ),
        model,
    )


def _sha256(tensor: torch.Tensor) -> str:
    return hashlib.sha256(tensor.numpy().astype("<i8").tobytes()).hexdigest()


def _state(network: nn.Module) -> list[str]:
    return [key for key in network.state_dict() if not key.endswith("num_batches_tracked")]


def _weights_of(network: BiRefNet) -> dict[str, Expression]:
    """How the weights of a folded network follow from its keys: what `fold` does, written down."""
    made: dict[str, Expression] = {key: ["copy", key] for key in _state(network)}
    names = {id(module): name for name, module in network.named_modules()}
    for module in network.modules():
        if isinstance(module, DeformableConv2d):
            for part in ("weight", "bias"):
                at = names[id(module)]
                joined = [f"{at}.offset_conv.{part}", f"{at}.modulator_conv.{part}"]
                del made[joined[1]]
                made[joined[0]] = ["concat", *joined]
    for _, _, convolution, norm in norms(network):
        conv, bn = names[id(convolution)], names[id(norm)]
        made[f"{conv}.weight"] = ["fuse_weight", conv, bn, norm.eps]
        bias = conv if convolution.bias is not None else None
        made[f"{conv}.bias"] = ["fuse_bias", bias, bn, norm.eps]
        for part in ("weight", "bias", "running_mean", "running_var"):
            del made[f"{bn}.{part}"]
    return made


def _leave_out(
    model: onnx.ModelProto, weights: dict[str, Expression], example: Weights
) -> dict[str, Expression]:
    """Take out of a graph, in place, what follows from weights; say how it does."""
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    known = {name: tensor for name, tensor in held.items() if name not in weights}
    made = {name: _typed(name, how, held[name]) for name, how in weights.items() if name in held}
    live = []
    for node in model.graph.node:
        if node.op_type == "Constant":
            known[node.output[0]] = _literal(node)
            live.append(node)
        elif all(name in made or name in known for name in node.input):
            made[node.output[0]] = _expression(node, made, known)
        else:
            live.append(node)
    used = {name for node in live for name in node.input}
    live = [node for node in live if node.op_type != "Constant" or node.output[0] in used]
    return _rebuild(model.graph, live, held, made, example)


def _literal(node: onnx.NodeProto) -> TensorProto:
    value = helper.get_attribute_value(node.attribute[0])
    if isinstance(value, TensorProto):
        return value
    return numpy_helper.from_array(np.asarray(value))


def _typed(name: str, how: Expression, tensor: TensorProto) -> Expression:
    half = tensor.data_type == TensorProto.FLOAT16
    return ["half", name.removeprefix(_WRAPPED), how] if half else how


def _expression(
    node: onnx.NodeProto, made: dict[str, Expression], known: dict[str, TensorProto]
) -> Expression:
    """One operation on weights, without names of the graph."""
    first, *rest = (made.get(name) or numpy_helper.to_array(known[name]) for name in node.input)
    rest = [other if isinstance(other, list) else other.tolist() for other in rest]
    match node.op_type:
        case "MatMul":
            return ["matmul", first, *rest]
        case "Reshape":
            return ["reshape", *rest, first]
        case "Unsqueeze":
            return ["unsqueeze", *rest, first]
        case "Transpose":
            return ["transpose", list(node.attribute[0].ints), first]
        case "Gather":
            return ["gather", node.attribute[0].i, first, *rest]
        case "Slice":
            return ["slice", list(zip(*rest, strict=True)), first]
    raise ValueError(f"{node.name} computes {node.op_type} of weights alone, which is not foreseen")


def _rebuild(
    graph: onnx.GraphProto,
    live: list[onnx.NodeProto],
    held: dict[str, TensorProto],
    made: dict[str, Expression],
    example: Weights,
) -> dict[str, Expression]:
    """Leave in a graph what is live, and of what is made each thing once."""
    recipe: dict[str, Expression] = {}
    tensors: dict[str, TensorProto] = {}
    first: dict[str, str] = {}
    for node in live:
        for at, name in enumerate(node.input):
            if name in made:
                node.input[at] = name = first.setdefault(json.dumps(made[name]), name)
                recipe[name] = made[name]
                tensors[name] = held.get(name) or _outline(name, evaluate(made[name], example))
                tensors[name].ClearField("raw_data")
            elif name in held:
                tensors[name] = held[name]
    outputs = {name for node in live for name in node.output}
    _replace(graph.value_info, [value for value in graph.value_info if value.name in outputs])
    _replace(graph.initializer, list(tensors.values()))
    _replace(graph.node, live)
    return recipe


def _put_in_order(graph: onnx.GraphProto, order: list[str]) -> None:
    """Initializers, and their shapes before those of other values, as a whole export has them."""
    place = {name: at for at, name in reversed(list(enumerate(order)))}
    tensors = sorted(graph.initializer, key=lambda tensor: place[tensor.name])
    shapes = [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in tensors]
    _replace(graph.initializer, tensors)
    _replace(graph.value_info, [*shapes, *graph.value_info])


def _replace(field: Any, values: list[Any]) -> None:
    copies = [type(value).FromString(value.SerializeToString()) for value in values]
    del field[:]
    field.extend(copies)


def _outline(name: str, array: Array) -> TensorProto:
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    return TensorProto(name=name, dims=array.shape, data_type=kind)
