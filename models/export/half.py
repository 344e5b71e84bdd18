"""Exports a BiRefNet's checkpoint as the half-precision graph that TensorRT is built from.

`python -m models.export.half CHECKPOINT HEIGHT WIDTH FILE PARENT`: in a process of its own, since
PyTorch's memory should not stay in a service's; it ends with its parent. The reason of a failure
goes to standard output as JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from models.catalog import IMAGENET_MEAN, IMAGENET_STD
from models.installs import torch_or_say_so
from models.spec import InputSpec
from models.worker import run_main, run_telling


def export_half(checkpoint: Path, height: int, width: int, file: Path) -> None:
    """Write the decomposed graph in half precision, with float32 islands and output `sound`.

    Args:
        checkpoint: Tensors of a BiRefNet.
        height: Rows of the model input, in pixels.
        width: Columns of the model input, in pixels.
        file: Where the graph goes.

    Raises:
        CheckpointError: If the file is no BiRefNet's, or a weight is too large for float16.
        EngineUnavailable: If PyTorch or its exporter is not installed.
    """
    with torch_or_say_so():
        from models.birefnet.checkpoint import load_birefnet
        from models.export.birefnet import DeformForm, export_birefnet

        spec = InputSpec(height, width, IMAGENET_MEAN, IMAGENET_STD)
        network = load_birefnet(checkpoint)
        export_birefnet(network, spec, file, DeformForm.DECOMPOSED, half=True, sound=True)


def main(arguments: Sequence[str]) -> int:
    """Export one; see the module."""
    checkpoint, height, width, file = arguments
    return run_telling(lambda: export_half(Path(checkpoint), int(height), int(width), Path(file)))


if __name__ == "__main__":
    run_main(main)
