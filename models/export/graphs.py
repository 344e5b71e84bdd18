"""Writes every file a model is served from."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx

from models.artifacts import CHECKPOINT_FILE, GRAPH_FILE, QUANTIZED_GRAPH_FILE
from models.errors import UnmatchedGraph
from models.export.onnx import attach_uint8_io
from models.export.published import difference, keep_published
from models.export.quantize import quantize, read_calibration
from models.installs import torch_or_say_so
from models.spec import BiRefNetNetwork, ModelSpec, Precision
from models.templates.check import BiRefNetWeights, read_birefnet
from models.templates.fill import fill
from models.templates.template import Form, read_template, template_file
from models.weights.file_format import is_onnx
from models.weights.safetensors import write_safetensors

_PUBLISHED_FILE = "published.onnx"  # while it is compared

_log = logging.getLogger(__name__)


def export(checkpoint: Path, spec: ModelSpec, folder: Path) -> None:
    """Write what engines open.

    Args:
        checkpoint: The model's file.
        spec: The model.
        folder: Where the files go, under the names `models.engine.ModelFiles` knows: the graph, the
            8-bit graph if the model keeps its picture in 8 bits, the tensors of a BiRefNet.

    Raises:
        CheckpointError: If the file is not the model's.
        EngineUnavailable: If PyTorch is needed and not installed; see `write_graph`.
    """
    if isinstance(spec.network, BiRefNetNetwork):
        if is_onnx(checkpoint):
            _export_published(checkpoint, spec, folder)
        else:
            _fill(read_birefnet(checkpoint, spec), spec, folder)
        return
    model = attach_uint8_io(checkpoint, spec)
    onnx.save(model, str(folder / GRAPH_FILE))
    if Precision.INT8 in spec.allowed_precisions:
        quantized = quantize(model, read_calibration(spec.name))
        onnx.save(quantized, str(folder / QUANTIZED_GRAPH_FILE))


def _fill(found: BiRefNetWeights, spec: ModelSpec, folder: Path) -> None:
    write_graph(found, spec.input.height, spec.input.width, Form.OPERATOR, folder / GRAPH_FILE)
    write_safetensors(found.tensors, folder / CHECKPOINT_FILE)


def _export_published(checkpoint: Path, spec: ModelSpec, folder: Path) -> None:
    """Write our graph of a published one's weights, if that gives the same; else keep theirs."""
    theirs, found, reason = folder / _PUBLISHED_FILE, None, None
    try:
        found = read_birefnet(checkpoint, spec)
    except UnmatchedGraph as unmatched:
        reason = str(unmatched)
    onnx.save(keep_published(checkpoint, spec), str(theirs))
    if found is not None:
        _fill(found, spec, folder)
        half = any(array.dtype == np.float16 for array in found.tensors.values())
        reason = difference(folder / GRAPH_FILE, theirs, spec, half=half)
    if reason is None:
        theirs.unlink()
        return
    theirs.replace(folder / GRAPH_FILE)
    (folder / CHECKPOINT_FILE).unlink(missing_ok=True)
    _log.warning(
        "%s is served as it was published, slower and on CPUs only: %s", checkpoint.name, reason
    )


def write_graph(weights: BiRefNetWeights, height: int, width: int, form: Form, file: Path) -> None:
    """Write the graph of a checkpoint, from the template of its backbone.

    Args:
        weights: The checkpoint.
        height: Rows of the model input, in pixels.
        width: Columns of the model input, in pixels.
        form: Which graph.
        file: Where it goes.

    Raises:
        CheckpointError: If a weight does not fit into the graph; see `fill`.
        EngineUnavailable: If there is no template of that size, and no PyTorch to make one.
    """
    kept = template_file(weights.backbone, height, width, form)
    if kept.is_file():
        template = read_template(kept)
    else:
        with torch_or_say_so(f"there is no template of {height} x {width}, which PyTorch makes"):
            from models.export.make_template import make_template

            template = make_template(weights.backbone, height, width, form)
    fill(template, weights.tensors, file)
