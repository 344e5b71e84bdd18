"""Exports a BiRefNet as an ONNX graph that takes uint8 pictures and gives uint8 mattes.

Deformable convolution comes in two forms, because runtimes differ: as the ONNX operator where
the runtime has a kernel of its own, or decomposed into gathers and matrix products with exact
coordinates where it has none, or one that rounds them (TensorRT).
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

import onnx_ir as ir
import torch
from onnx_ir.passes import common as passes
from onnxscript import optimizer
from torch import Tensor

from models.birefnet import BiRefNet
from models.birefnet.deform_conv import DeformableConv2d, DeformKernel, deform_conv2d
from models.birefnet.folding import fold
from models.birefnet.pictures import PictureMatting
from models.birefnet.precision import to_half
from models.spec import InputSpec

# DeformConv came with 19.
_OPSET = 20
_ANY_SIZE = 1 << 31


class DeformForm(StrEnum):
    """How deformable convolution is written in the graph."""

    OPERATOR = "operator"
    DECOMPOSED = "decomposed"


def export_birefnet(
    model: BiRefNet,
    spec: InputSpec,
    file: Path,
    form: DeformForm = DeformForm.OPERATOR,
    *,
    half: bool = False,
    sound: bool = False,
) -> None:
    """Write one graph.

    Args:
        model: The network with its weights; not changed.
        spec: Size and normalisation of its input.
        file: Where the graph goes.
        form: How deformable convolution is written.
        half: Whether weights and arithmetic are float16, but for `to_half`'s islands; of what goes
            into one operator, all is then of one type, as a strongly typed runtime wants it.
        sound: Whether the graph has a second output, ``sound``; see `PictureMatting`.

    Raises:
        CheckpointError: If a weight is too large for float16.
    """
    traced = trace(fold_copy(model, form, half=half), spec, sound=sound)
    fold_constants(traced)
    ir.save(traced, file)


def fold_copy(model: BiRefNet, form: DeformForm, *, half: bool) -> BiRefNet:
    """A network that computes the same from fewer weights, in the form it is to be traced in."""
    twin = _with_form(model, form)
    if half:
        to_half(twin)
    else:
        fold(twin)
    return twin


def trace(network: BiRefNet, spec: InputSpec, *, sound: bool) -> ir.Model:
    """The graph of a network as the exporter writes it; its weights are initializers."""
    wrapped = PictureMatting(network, spec.mean, spec.std).eval()
    # Two pictures: a batch of one would be taken for a constant.
    example = torch.zeros(2, spec.height, spec.width, 3, dtype=torch.uint8)
    with _quiet_exporter():
        program = torch.onnx.export(
            wrapped,
            (example,),
            input_names=["image"],
            output_names=["alpha", "sound"],
            dynamic_shapes={"image": {0: torch.export.Dim("N", min=1, max=1024)}},
            opset_version=_OPSET,
            dynamo=True,
            optimize=False,  # its search for patterns takes minutes; constants are all there is
            verbose=False,
            custom_translation_table={_OPERATOR: _deform_conv_node},
        )
    assert program is not None  # noqa: S101  it is without a file
    if not sound:
        program.model.graph.outputs.pop()
    return program.model


def fold_constants(model: ir.Model, weights: Sequence[str] = ()) -> None:
    """Compute, in place, what follows from constants alone, and drop what led there.

    Args:
        model: A graph.
        weights: Initializers that are no constants meanwhile, whatever values they have now.
    """
    # First, so that the two looks of the backbone go on sharing what is computed from its weights.
    passes.CommonSubexpressionEliminationPass()(model)
    with _as_inputs(model.graph, weights), _quiet_exporter():
        optimizer.fold_constants(model, input_size_limit=_ANY_SIZE, output_size_limit=_ANY_SIZE)
        passes.LiftConstantsToInitializersPass()(model)
        passes.DeduplicateInitializersPass()(model)
        passes.RemoveUnusedNodesPass()(model)
    passes.ClearMetadataAndDocStringPass()(model)  # stack traces, with the paths of this machine
    for value in model.graph.initializers.values():
        value.metadata_props.clear()


@contextmanager
def _as_inputs(graph: ir.Graph, names: Sequence[str]) -> Iterator[None]:
    values = [graph.initializers.pop(name) for name in names]
    held = [value.const_value for value in values]
    for value in values:
        value.const_value = None
        graph.inputs.append(value)
    yield
    for value, tensor in zip(values, held, strict=True):
        graph.inputs.remove(value)
        value.const_value = tensor
        if value.uses():
            graph.register_initializer(value)


@torch.library.custom_op("birefnet::deform_conv2d", mutates_args=())
def _operator(
    x: Tensor, offset: Tensor, modulation: Tensor, weight: Tensor, bias: Tensor
) -> Tensor:
    """One node in the traced graph; computes what the decomposed form computes."""
    return deform_conv2d(x, offset, modulation, weight, bias)


@_operator.register_fake
def _(x: Tensor, offset: Tensor, modulation: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[0], *x.shape[2:])


_OPERATOR: Callable[..., Any] = torch.ops.birefnet.deform_conv2d.default


_KERNELS: dict[DeformForm, DeformKernel] = {
    DeformForm.OPERATOR: _operator,
    # All taps in one piece: seven times fewer nodes.
    DeformForm.DECOMPOSED: partial(deform_conv2d, rows_at_once=7),
}


def _deform_conv_node(x: Any, offset: Any, modulation: Any, weight: Any, bias: Any) -> Any:
    """The ONNX operator for one call of `_operator`."""
    from onnxscript import opset20

    size = weight.shape[2]
    return opset20.DeformConv(
        x, weight, offset, bias, modulation, kernel_shape=[size, size], pads=[size // 2] * 4
    )


def _with_form(model: BiRefNet, form: DeformForm) -> BiRefNet:
    """A copy that shares the weights and computes deformable convolution in this form."""
    shared = {id(t): t for t in (*model.parameters(), *model.buffers())}
    twin = copy.deepcopy(model, memo=dict(shared))
    for module in twin.modules():
        if isinstance(module, DeformableConv2d):
            module.kernel = _KERNELS[form]
    return twin


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """The exporter speaks of its own insides; what concerns us it raises."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
