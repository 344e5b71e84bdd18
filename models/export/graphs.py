"""A checkpoint in, every graph its model is served from out."""

from __future__ import annotations

from pathlib import Path

import onnx

from models.export.onnx import attach_uint8_io
from models.export.quantize import quantize, read_calibration
from models.spec import ModelSpec, Precision


def export(checkpoint: Path, spec: ModelSpec, graph: Path, quantized_graph: Path) -> None:
    """Write the graphs of a checkpoint.

    Args:
        checkpoint: Its verified file.
        spec: The model.
        graph: Where the float graph goes.
        quantized_graph: Where the 8-bit graph goes, if the model keeps its picture in 8 bits.

    Raises:
        CheckpointError: If the file is not the model's.
    """
    model = attach_uint8_io(checkpoint, spec)
    onnx.save(model, str(graph))
    if Precision.INT8 in spec.precisions:
        onnx.save(quantize(model, read_calibration(spec.name)), str(quantized_graph))
