"""Writes every file a model is served from."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx

from models.artifacts import CHECKPOINT_FILE, GRAPH_FILE, QUANTIZED_GRAPH_FILE
from models.export.onnx import attach_uint8_io
from models.export.quantize import quantize, read_calibration
from models.file_format import FileFormat, format_of
from models.spec import BiRefNetNetwork, ModelSpec, Precision


def export(
    checkpoint: Path, spec: ModelSpec, folder: Path, file_format: FileFormat | None = None
) -> None:
    """Write what engines open.

    Args:
        checkpoint: The model's file.
        spec: The model.
        folder: Where the files go, under the names `models.engine.ModelFiles` knows: the graph, the
            8-bit graph if the model keeps its picture in 8 bits, the tensors of a BiRefNet.
        file_format: What `format_of` said of a BiRefNet's checkpoint; None asks.

    Raises:
        CheckpointError: If the file is not the model's.
        ModuleNotFoundError: If PyTorch, which a BiRefNet is traced with, is not installed.
    """
    if isinstance(spec.network, BiRefNetNetwork):
        _export_birefnet(checkpoint, spec, folder, file_format or format_of(checkpoint))
        return
    model = attach_uint8_io(checkpoint, spec)
    onnx.save(model, str(folder / GRAPH_FILE))
    if Precision.INT8 in spec.precisions:
        quantized = quantize(model, read_calibration(spec.name))
        onnx.save(quantized, str(folder / QUANTIZED_GRAPH_FILE))


def _export_birefnet(
    checkpoint: Path, spec: ModelSpec, folder: Path, file_format: FileFormat
) -> None:
    """Trace the network once, and keep its tensors for engines that run it directly."""
    from safetensors.torch import save_file

    from models.birefnet.checkpoint import load_birefnet
    from models.export.birefnet import export_birefnet

    network = load_birefnet(checkpoint, spec, file_format)
    export_birefnet(network, spec.input, folder / GRAPH_FILE)
    if file_format is FileFormat.SAFETENSORS:
        shutil.copyfile(checkpoint, folder / CHECKPOINT_FILE)
    else:
        # The format takes one order in memory only; a training may have used another.
        tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
        save_file(tensors, folder / CHECKPOINT_FILE)
