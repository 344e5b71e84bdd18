"""Reads a published ONNX graph of a BiRefNet as the checkpoint it was made of.

Whatever way the graph computes, its layers are those of the network, so each is matched with the
layer of a template that comes at the same place among those of its kind and shape. The rest of the
graph is thrown away. A batch norm that was folded into a convolution comes back as one that does
nothing, so that the checkpoint computes the same.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import CheckpointMismatch, UnmatchedGraph
from models.templates.layers import Kind, Layer, layers_of
from models.templates.template import (
    Form,
    Header,
    backbones,
    expected_tensors,
    read_template,
    template_file,
)
from models.weights.arrays import Array, Shape, is_finite
from models.weights.onnx_file import OnnxFile, read_onnx

_SIDE = 1024  # of which there is a template of every backbone
_TABLE = "relative_position_bias_table"
# Tensors that only training uses, so that no graph has them: they are 0 here.
_TRAINING = ("decoder.conv_ms_spvn_", "decoder.gdt_convs_pred_")
# The first convolution over tiles of the picture, of every BiRefNet since March 2024, whatever its
# backbone: 3 colours of 32 x 32 tiles.
_TILES = (64, 3 * 32 * 32, 3, 3)

_COUNTER = ".num_batches_tracked"
_NORM = ("weight", "bias", "running_mean", "running_var")
# What a weight belongs to that is in a template, by how many sides it has.
_KINDS = {4: Kind.CONVOLUTION, 2: Kind.LINEAR, 1: Kind.LAYER_NORM}

_Class = tuple[Kind, Shape]


class Unmatched(Exception):
    """The layers of a graph are not those of a template; the message says where."""


def read_published(file: Path) -> dict[str, Array]:
    """Read the tensors of a checkpoint out of a published graph.

    Args:
        file: An ONNX file; see `read_onnx`.

    Returns:
        Arrays by the published keys: what the graph was made of, or what computes the same.

    Raises:
        CheckpointMismatch: If it is damaged, or no graph of a BiRefNet; says what it is.
        UnmatchedGraph: If it is one, but with other layers than any template has.
    """
    graph = read_onnx(file)
    try:
        layers = layers_of(graph)
    except Exception as broken:  # a damaged graph raises whatever its bytes lead to
        raise CheckpointMismatch(
            f"{file.name} is an ONNX graph that is damaged; fetch it again"
        ) from broken
    if not any(layer.weight.shape == _TILES for layer in layers):
        raise CheckpointMismatch(f"{file.name} {_described(graph, layers)}")
    large = _large(map(_class_of, layers))
    fault = Unmatched("its layers are those of no backbone known here")
    for backbone in backbones():
        header = expected_tensors(backbone)
        if _large(_expected(header, header.tensors).values()) == large:
            try:
                return _finite(file, _tensors(backbone, layers))
            except Unmatched as unmatched:  # another depth of the same widths, perhaps
                fault = unmatched
    raise UnmatchedGraph(
        f"{file.name} is an ONNX graph of a BiRefNet, but not what is known here: {fault}"
    ) from fault


def _finite(file: Path, tensors: dict[str, Array]) -> dict[str, Array]:
    infinite = next((key for key, array in tensors.items() if not is_finite(array)), None)
    if infinite is not None:
        raise CheckpointMismatch(f"{file.name} holds NaN or infinity in {infinite}")
    return tensors


def _described(graph: OnnxFile, layers: Sequence[Layer]) -> str:
    """What a graph is that is no BiRefNet, as the rest of a sentence."""
    inputs = [value for value in graph.model.graph.input if value.name not in graph.tensors]
    sides = [
        [side.dim_value or side.dim_param or "?" for side in value.type.tensor_type.shape.dim]
        for value in (*inputs[:1], *graph.model.graph.output[:1])
    ]
    outputs = len(graph.model.graph.output)
    kind = "of something else than a BiRefNet"
    if outputs in (6, 7, 12) and sides and len(sides[0]) == 4:
        kind = "of a U-2-Net or an IS-Net, not of a BiRefNet"
    elif len(sides) == 2 and len(sides[1]) == 2:
        kind = "of a classifier, not of a BiRefNet"
    shapes = " to ".join(str(side).replace("'", "") for side in sides)
    return (
        f"is an ONNX graph {kind}: {shapes}, {outputs} outputs, {len(layers)} layers with weights, "
        "among them no convolution over the tiles of a picture; of a light model only the file of "
        "the catalogue can be registered, such as u2net.onnx"
    )


def _class_of(layer: Layer) -> _Class:
    """Kind and shape; of relative positions the shape of what is made of the table."""
    shape = layer.weight.shape
    if layer.kind is Kind.POSITIONS and len(shape) == 2:
        shape = _positions(shape)
    return layer.kind, shape


def _positions(table: Shape) -> Shape:
    """``[(2 window - 1)^2, heads]`` to ``[heads, tokens, tokens]``."""
    tokens = ((math.isqrt(table[0]) + 1) // 2) ** 2
    return table[1], tokens, tokens


def _large(classes: Iterable[_Class]) -> set[_Class]:
    """Convolutions and linear layers: the others are not told from constants with certainty."""
    return {known for known in classes if known[0] in (Kind.CONVOLUTION, Kind.LINEAR)}


def _expected(header: Header, keys: Iterable[str]) -> dict[str, _Class]:
    """The layers of a backbone's network by the keys of their weights, in the order of the keys."""
    expected = {}
    for key in keys:
        module, _, part = key.rpartition(".")
        shape = header.tensors[key]
        if part == _TABLE:
            expected[key] = Kind.POSITIONS, _positions(shape)
        elif part != "weight" or key.startswith(_TRAINING):
            continue
        elif f"{module}.running_mean" not in header.tensors:  # batch norms are their convolutions'
            expected[key] = _KINDS[len(shape)], shape
    return expected


def _tensors(backbone: str, layers: Sequence[Layer]) -> dict[str, Array]:
    """All tensors of a checkpoint of that backbone.

    Raises:
        Unmatched: If a layer is there too often or too rarely, or under the name of another.
    """
    template = read_template(template_file(backbone, _SIDE, _SIDE, Form.OPERATOR))
    header = template.header
    recipe = [
        step
        for node in template.model.graph.node
        for name in node.input
        if name in header.recipe
        for step in _steps(header.recipe[name])
    ]
    norms = {step[1]: (step[2], step[3]) for step in recipe if step[0] == "fuse_weight"}
    expected = _expected(header, dict.fromkeys(key for step in recipe for key in _weights(step)))
    wanted: dict[_Class, list[str]] = defaultdict(list)
    for key, known in expected.items():
        wanted[known].append(key)
    found: dict[_Class, list[Layer]] = defaultdict(list)
    for layer in layers:
        found[_class_of(layer)].append(layer)
    made: dict[str, Array] = {}
    for known, keys in wanted.items():
        for key, layer in zip(keys, _once(found[known], keys), strict=True):
            if layer.name in header.tensors and layer.name != key:
                raise Unmatched(f"{layer.name} stands where {key} is used")
            made |= _restored(key, layer, header, norms)
    return made | _unused(header, made)


def _steps(how: list[Any]) -> Iterator[list[Any]]:
    """All operations of an expression of a recipe."""
    yield how
    for argument in how[1:]:
        if isinstance(argument, list) and argument and isinstance(argument[0], str):
            yield from _steps(argument)


def _weights(step: list[Any]) -> list[str]:
    """Keys an operation reads, but for biases and batch norms."""
    match step[0]:
        case "copy" | "concat":
            return step[1:]
        case "fuse_weight":
            return [f"{step[1]}.weight"]
    return []


def _once(layers: list[Layer], keys: list[str]) -> list[Layer]:
    """Layers of one class, each once: the backbone looks twice, and exporters copy its weights."""
    count = len(keys)
    twice = zip(layers[:count], layers[count:], strict=False)
    if len(layers) == 2 * count and all(np.array_equal(a.weight, b.weight) for a, b in twice):
        return layers[:count]
    if len(layers) != count:
        raise Unmatched(f"it has {len(layers)} layers of the kind and shape of {keys[0]}")
    return layers


def _restored(
    key: str, layer: Layer, header: Header, norms: Mapping[str, tuple[str, float]]
) -> dict[str, Array]:
    """The tensors of one layer, as a checkpoint has them."""
    module = key.rpartition(".")[0]
    if layer.kind is Kind.POSITIONS:
        return {key: _table(key, layer.weight, header.tensors[key])}
    made, bias = {key: layer.weight}, layer.bias
    if module in norms:
        norm, eps = norms[module]
        if layer.norm is None:  # folded: the convolution's bias is what the norm has added
            if bias is None:
                raise Unmatched(f"the batch norm behind {module} is missing")
            nothing = np.zeros_like(bias)
            parts, bias = (nothing + 1, bias, nothing, nothing + 1 - np.float32(eps)), nothing
        elif not math.isclose(layer.norm.eps, eps, rel_tol=1e-3):
            raise Unmatched(f"the batch norm behind {module} has an epsilon of {layer.norm.eps}")
        else:
            parts = layer.norm.tensors
        made |= {f"{norm}.{part}": array for part, array in zip(_NORM, parts, strict=True)}
    elif layer.norm is not None:
        raise Unmatched(f"{module} has a batch norm behind it")
    if f"{module}.bias" in header.tensors:
        if bias is None and module not in norms:
            raise Unmatched(f"{module} has no bias")
        made[f"{module}.bias"] = np.zeros(len(layer.weight)) if bias is None else bias
    elif bias is not None and bias.any():
        raise Unmatched(f"{module} has a bias")
    return made


def _table(key: str, positions: Array, shape: Shape) -> Array:
    """The table of relative positions itself, or that which these were looked up in."""
    if positions.shape == shape:
        return positions
    index = _index(math.isqrt(positions.shape[-1]))
    table = np.zeros(shape, positions.dtype)
    table[index] = positions.transpose(1, 2, 0)
    if not np.array_equal(table[index], positions.transpose(1, 2, 0)):
        raise Unmatched(f"no table gives the values of {key}")
    return table


def _index(window: int) -> Array:
    """Which row of the table belongs to each pair of tokens in a window ``[tokens, tokens]``."""
    y, x = np.divmod(np.arange(window * window), window)
    down, right = (side[:, None] - side + window - 1 for side in (y, x))
    return np.asarray(down * (2 * window - 1) + right)


def _unused(header: Header, made: Mapping[str, Array]) -> dict[str, Array]:
    """Tensors that no layer of a graph has: only training uses them, or they never change."""
    rest: dict[str, Array] = {}
    for key, shape in header.tensors.items():
        if key in header.fixed:
            rest[key] = _index(math.isqrt(shape[0]))
        elif key.startswith(_TRAINING):
            rest[key] = np.zeros(shape, np.float32)
        elif key not in made and not key.endswith(_COUNTER):
            raise Unmatched(f"{key} is not in it")
    return rest
