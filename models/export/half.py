"""Exports a BiRefNet's checkpoint as the half-precision graph that TensorRT is built from.

`python -m models.export.half CHECKPOINT HEIGHT WIDTH FILE PARENT`: in a process of its own, whose
memory does not stay in a service's; it ends with its parent. The reason of a failure goes to
standard output as JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from models.export.graphs import write_graph
from models.templates.check import read_birefnet
from models.templates.template import Form
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
        EngineUnavailable: If PyTorch is needed and not installed; see `write_graph`.
    """
    write_graph(read_birefnet(checkpoint), height, width, Form.HALF, file)


def main(arguments: Sequence[str]) -> int:
    """Export one; see the module."""
    checkpoint, height, width, file = arguments
    return run_telling(lambda: export_half(Path(checkpoint), int(height), int(width), Path(file)))


if __name__ == "__main__":
    run_main(main)
