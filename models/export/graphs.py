"""A checkpoint in, every file its model is served from out."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx

from models.artifacts import CHECKPOINT_FILE, GRAPH_FILE, QUANTIZED_GRAPH_FILE
from models.errors import EngineUnavailable
from models.export.onnx import attach_uint8_io
from models.export.quantize import quantize, read_calibration
from models.file_format import is_safetensors
from models.spec import BiRefNetNetwork, ModelSpec, Precision


def export(checkpoint: Path, spec: ModelSpec, folder: Path) -> None:
    """Write what engines open.

    Args:
        checkpoint: The model's file.
        spec: The model.
        folder: Where the files go, under the names `models.engine.ModelFiles` knows: the graph, the
            8-bit graph if the model keeps its picture in 8 bits, the tensors of a BiRefNet.

    Raises:
        CheckpointError: If the file is not the model's.
        EngineUnavailable: If the tools that trace a BiRefNet are not installed.
    """
    if isinstance(spec.network, BiRefNetNetwork):
        _export_birefnet(checkpoint, spec, folder)
        return
    model = attach_uint8_io(checkpoint, spec)
    onnx.save(model, str(folder / GRAPH_FILE))
    if Precision.INT8 in spec.precisions:
        quantized = quantize(model, read_calibration(spec.name))
        onnx.save(quantized, str(folder / QUANTIZED_GRAPH_FILE))


def _export_birefnet(checkpoint: Path, spec: ModelSpec, folder: Path) -> None:
    """Trace the network once, and keep its tensors for engines that run it directly."""
    try:
        from safetensors.torch import save_file

        from models.birefnet.checkpoint import load_birefnet
        from models.export.birefnet import export_birefnet
    except ImportError as missing:
        raise EngineUnavailable(
            f"{spec.name} needs PyTorch and its ONNX exporter ({missing.name} is missing); "
            "run: pip install -r requirements-torch.lock"
        ) from missing
    network = load_birefnet(checkpoint, spec)
    export_birefnet(network, spec.input, folder / GRAPH_FILE)
    if is_safetensors(checkpoint):
        shutil.copyfile(checkpoint, folder / CHECKPOINT_FILE)
    else:
        # The format takes one order in memory only; a training may have used another.
        tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
        save_file(tensors, folder / CHECKPOINT_FILE)
