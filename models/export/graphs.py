"""Writes every file a model is served from."""

from __future__ import annotations

from pathlib import Path

import onnx

from models.artifacts import CHECKPOINT_FILE, GRAPH_FILE, QUANTIZED_GRAPH_FILE
from models.export.onnx import attach_uint8_io
from models.export.quantize import quantize, read_calibration
from models.installs import torch_or_say_so
from models.spec import BiRefNetNetwork, ModelSpec, Precision
from models.templates.check import BiRefNetWeights, read_birefnet
from models.templates.fill import fill
from models.templates.template import Form, read_template, template_file
from models.weights.safetensors import write_safetensors


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
        found = read_birefnet(checkpoint, spec)
        write_graph(found, spec.input.height, spec.input.width, Form.OPERATOR, folder / GRAPH_FILE)
        write_safetensors(found.tensors, folder / CHECKPOINT_FILE)
        return
    model = attach_uint8_io(checkpoint, spec)
    onnx.save(model, str(folder / GRAPH_FILE))
    if Precision.INT8 in spec.precisions:
        quantized = quantize(model, read_calibration(spec.name))
        onnx.save(quantized, str(folder / QUANTIZED_GRAPH_FILE))


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
