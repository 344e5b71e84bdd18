"""The files a model is served from: their names, their hashes, and how one is written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Raised whenever `models.export` changes what it writes for the same checkpoint.
GRAPH_VERSION = 4

# Names in the folder of a registered model.
GRAPH_FILE = "graph.onnx"
QUANTIZED_GRAPH_FILE = "graph.int8.onnx"
CHECKPOINT_FILE = "weights.safetensors"


@dataclass(frozen=True)
class StoredPlan:
    """A TensorRT plan in the model store; whether it fits is for `models.engines.trt` to say.

    Attributes:
        file: The plan.
        metadata: Its manifest.
    """

    file: Path
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class ModelFiles:
    """What a registered model comes in; each engine takes the file it runs.

    Attributes:
        graph: ONNX file, ``image`` uint8 ``[N, H, W, 3]`` to ``alpha`` uint8 ``[N, H, W]``.
        quantized_graph: The same with 8-bit convolutions, or None where that costs the picture.
        checkpoint: The tensors the graph was made of, or None where the graph was published.
        plans: TensorRT plans of the model, each for some device and version.
        digests: SHA-256 of the files by name, as registered; see `sha256_of`.
    """

    graph: Path
    quantized_graph: Path | None = None
    checkpoint: Path | None = None
    plans: tuple[StoredPlan, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def within(cls, folder: Path) -> ModelFiles:
        """The files of a folder that `models.export` has written."""
        quantized_graph, checkpoint = folder / QUANTIZED_GRAPH_FILE, folder / CHECKPOINT_FILE
        return cls(
            graph=folder / GRAPH_FILE,
            quantized_graph=quantized_graph if quantized_graph.is_file() else None,
            checkpoint=checkpoint if checkpoint.is_file() else None,
        )

    def sha256_of(self, file: Path) -> str:
        """Hash of one of the files: as registered, without reading it; else of its bytes."""
        return self.digests.get(file.name) or sha256_of(file)


def sha256_of(file: Path) -> str:
    """Hash of a file, hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Write a file whole or not at all: under another name first, which is left on success only.

    Args:
        target: What the file shall be called.

    Yields:
        Where to write. Two processes that write the same file do not meet there.
    """
    unfinished = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        yield unfinished
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def write_atomically(target: Path, text: str) -> None:
    """Write a small text file whole or not at all."""
    with replacing(target) as unfinished:
        unfinished.write_text(text)
