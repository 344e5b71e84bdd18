"""Keeps a published graph of a BiRefNet as it is, with uint8 in and out; and compares with it.

The graph that is kept is the measure of the one that was made of its weights: if both give the same
alpha of a photograph, the quicker one is registered.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from models.arrays import U8Array
from models.errors import CheckpointError, CheckpointMismatch
from models.export.onnx import graft
from models.spec import ModelSpec

_PHOTOGRAPH = Path(__file__).parents[1] / "serving" / "reference" / "astronaut.jpg"
# Levels of 255, on average and of the worst pixel in a thousand. Two ways to compute the same
# network in float32 differ by a hundredth of this; layers in each other's place by tens.
_MEAN_LIMIT, _FAR_LIMIT = 0.5, 8.0
# In float16 a published graph rounds coordinates to half a pixel: it is that far from right itself.
_HALF_MEAN_LIMIT, _HALF_FAR_LIMIT = 2.0, 32.0
_FAR_SHARE = 0.999
_OURS = ("image", "alpha")


def keep_published(file: Path, spec: ModelSpec) -> onnx.ModelProto:
    """The published graph, for uint8 pictures, one by one.

    Args:
        file: An ONNX file that `models.weights.onnx_file.read_onnx` has read without complaint.
        spec: The model; its size is the graph's.

    Returns:
        A model, ``image`` uint8 ``[N, H, W, 3]`` RGB in, ``alpha`` uint8 ``[N, H, W]`` out.

    Raises:
        CheckpointMismatch: If its input or output is not that of a BiRefNet of this size, or if it
            has loops, which might never end.
    """
    model = onnx.load(str(file), load_external_data=False)
    graph, height, width = model.graph, spec.input.height, spec.input.width
    weights = {tensor.name for tensor in graph.initializer}
    pictures = [value for value in graph.input if value.name not in weights]
    sides = [_sides(value) for value in pictures]
    if len(sides) != 1 or not _fits(sides[0], (None, 3, height, width)):
        raise CheckpointMismatch(
            f"{file.name} takes {' and '.join(map(str, sides)) or 'nothing'}, and {spec.name} one "
            f"picture [1, 3, {height}, {width}]"
        )
    if any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        raise CheckpointMismatch(f"{file.name} has loops or branches, and no BiRefNet has")
    mattes = [v for v in graph.output if _fits(_sides(v), (None, 1, height, width))]
    if len(mattes) != 1:
        raise CheckpointMismatch(
            f"{file.name} has {len(mattes)} outputs that could be the matte, and not one"
        )
    _free_names(graph)
    matte = _as_float32(graph, pictures[0], mattes[0])
    del graph.input[:]  # of old versions, weights are inputs too
    graph.input.append(pictures[0])
    graft(model, spec, matte)
    _one_by_one(model, height, width)
    return model


def _sides(value: onnx.ValueInfoProto) -> list[int | None]:
    """Shape of an input or output; None for a side that is any."""
    return [side.dim_value or None for side in value.type.tensor_type.shape.dim]


def _fits(sides: list[int | None], wanted: tuple[int | None, ...]) -> bool:
    """Whether a shape allows another; one that is not stated allows any."""
    return not sides or (
        len(sides) == len(wanted)
        and all(None in pair or len(set(pair)) == 1 for pair in zip(sides, wanted, strict=True))
    )


def _free_names(graph: onnx.GraphProto) -> None:
    """Rename, in place, what has a name that our input and output have."""
    for values in (graph.input, graph.output):
        for value in values:
            if value.name in _OURS:
                value.name = f"published_{value.name}"
    for node in graph.node:
        for names in (node.input, node.output):
            for at, name in enumerate(names):
                if name in _OURS:
                    names[at] = f"published_{name}"


def _as_float32(
    graph: onnx.GraphProto, picture: onnx.ValueInfoProto, matte: onnx.ValueInfoProto
) -> str:
    """Let a graph take float32 and give opacity in float32, in place; the name of that output."""
    name = matte.name
    if picture.type.tensor_type.elem_type != TensorProto.FLOAT:
        kind = picture.type.tensor_type.elem_type
        graph.node.insert(0, helper.make_node("Cast", ["io_picture"], [picture.name], to=kind))
        picture.name = "io_picture"
    if all(node.op_type != "Sigmoid" for node in graph.node if name in node.output):
        graph.node.append(helper.make_node("Sigmoid", [name], ["io_opacity"]))
        name = "io_opacity"
    graph.node.append(helper.make_node("Cast", [name], ["io_opacity32"], to=TensorProto.FLOAT))
    return "io_opacity32"


def _one_by_one(model: onnx.ModelProto, height: int, width: int) -> None:
    """Run a graph once for each picture of a batch, in place: published graphs take only one."""
    body = onnx.GraphProto()
    body.CopyFrom(model.graph)
    for name, shape in (("io_one", [1, height, width, 3]), ("io_flat", [height, width])):
        body.initializer.append(numpy_helper.from_array(np.asarray(shape, np.int64), name))
    # Names of a body are not those of the graph around it.
    body.node[0].input[0], body.node[-1].output[0] = "io_image", "io_matte8"
    body.node.insert(0, helper.make_node("Reshape", ["io_row", "io_one"], ["io_image"]))
    body.node.append(helper.make_node("Reshape", ["io_matte8", "io_flat"], ["io_alpha"]))
    del body.input[:], body.output[:]
    uint8 = TensorProto.UINT8
    body.input.append(helper.make_tensor_value_info("io_row", uint8, [height, width, 3]))
    body.output.append(helper.make_tensor_value_info("io_alpha", uint8, [height, width]))
    every = helper.make_node("Scan", ["image"], ["alpha"], num_scan_inputs=1, body=body)
    del model.graph.node[:], model.graph.initializer[:], model.graph.value_info[:]
    model.graph.node.append(every)


def difference(graph: Path, published: Path, spec: ModelSpec, *, half: bool) -> str | None:
    """Compare the alpha of two graphs on a photograph.

    Args:
        graph: What shall be served.
        published: What it was made of, as `keep_published` gives it.
        spec: Size of the input.
        half: Whether the published graph has weights in float16.

    Returns:
        How far they are from each other, where that is too far.

    Raises:
        CheckpointError: If one of them does not run here.
    """
    photograph = cv2.imread(str(_PHOTOGRAPH))
    assert photograph is not None  # noqa: S101  for the type checker: it is part of this package
    size = (spec.input.width, spec.input.height)
    picture = cv2.resize(photograph, size, interpolation=cv2.INTER_AREA)
    batch = np.ascontiguousarray(picture[None, :, :, ::-1], np.uint8)
    theirs, ours = (_alpha(file, batch).astype(np.float32) for file in (published, graph))
    apart = np.abs(ours - theirs)
    mean, far = float(apart.mean()), float(np.quantile(apart, _FAR_SHARE))
    limits = (_HALF_MEAN_LIMIT, _HALF_FAR_LIMIT) if half else (_MEAN_LIMIT, _FAR_LIMIT)
    if mean <= limits[0] and far <= limits[1]:
        return None
    return (
        f"its own alpha differs by {mean:.2f} on average (limit {limits[0]:g}) and {far:.0f} at "
        f"one pixel in a thousand (limit {limits[1]:g}), of 255"
    )


def _alpha(file: Path, batch: U8Array) -> U8Array:
    options = ort.SessionOptions()
    options.enable_cpu_mem_arena, options.log_severity_level = False, 3
    try:
        session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        (alpha,) = session.run(["alpha"], {"image": batch})
    except Exception as refused:  # its exceptions share no base class
        raise CheckpointError(f"the published graph does not run here: {refused}") from refused
    return np.asarray(alpha, np.uint8)
