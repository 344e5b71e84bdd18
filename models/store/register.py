"""Registers a checkpoint in the BentoML model store: exported once, whoever asks.

`python -m models.store.register FILE` is a child process of a service, which keeps none of the
memory that takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bentoml.container import BentoMLContainer  # type: ignore[attr-defined]
from filelock import FileLock, Timeout

from models.artifacts import GRAPH_VERSION, sha256_of
from models.catalog import custom_birefnet, find
from models.checkpoints.provenance import read_provenance
from models.errors import CheckpointError, UnmatchedGraph
from models.spec import ModelSpec
from models.store.entries import COMPLETE, new_entry
from models.store.manifest import Manifest
from models.store.registered import (
    RegisteredModel,
    catalogued,
    folder_of,
    is_intact,
    open_entry,
    version_of,
)
from models.weights.arrays import shapes_of
from models.weights.backbone import backbone_of
from models.weights.file_format import is_onnx
from models.weights.read import read_weights
from models.worker import run_main, run_telling

LOCK_TIMEOUT_S = 600.0
_LABELS = {"product": "background-removal"}


@dataclass(frozen=True)
class Checkpoint:
    """A file of weights and what it was found to be; each is asked once.

    Attributes:
        file: The file.
        spec: The model it shall be registered as.
        sha256: Its hash.
    """

    file: Path
    spec: ModelSpec
    sha256: str


def identify(file: Path, name: str | None = None) -> Checkpoint:
    """Say which model a file is: by its hash, else by its name, else as a BiRefNet of your own.

    Args:
        file: The file.
        name: The model it must be registered as, or None. Whether the file is that model is for
            `register` to find out, as it is of a file that has a model's name.

    Raises:
        CheckpointMismatch: If it is no checkpoint of any kind known here.
        ModelNotFound: If no model has that name.
        EngineUnavailable: If it is one that only PyTorch reads, and that is not installed.
    """
    sha256 = sha256_of(file)
    spec = find(name) if name is not None else catalogued(file, sha256)
    if spec is not None:
        return Checkpoint(file, spec, sha256)
    return Checkpoint(file, custom_birefnet(_backbone_in(file)), sha256)


def _backbone_in(file: Path) -> str:
    """The backbone of a file; empty for a graph that can only be kept as it was published."""
    if not is_onnx(file):
        return backbone_of(shapes_of(read_weights(file)), file.name)
    from models.templates.published import read_published  # ONNX, as below

    with suppress(UnmatchedGraph):
        return backbone_of(shapes_of(read_published(file)), file.name)
    return ""


def register(checkpoint: Checkpoint) -> RegisteredModel:
    """Put a checkpoint into the store as a graph with uint8 in and out; once, whoever asks.

    Args:
        checkpoint: What `identify` said of a file.

    Returns:
        The registered model, made of exactly this file.

    Raises:
        CheckpointError: If the file is not the model's, or another registration does not end.
        EngineUnavailable: If it is one that only PyTorch reads, and that is not installed.
    """
    spec, sha256 = checkpoint.spec, checkpoint.sha256
    if spec.sha256 not in (None, sha256):
        raise CheckpointError(
            f"{checkpoint.file.name} is not {spec.name} of the catalogue, its SHA-256 differs; "
            f"to fetch that one: make model MODEL={spec.name}"
        )
    with _one_at_a_time():
        folder = folder_of(spec.name) / version_of(sha256)
        known = open_entry(folder, spec)
        if known is not None and is_intact(known):
            (folder / COMPLETE).touch()  # registered last: this is what its name stands for now
            return known
        _export_into_store(checkpoint)
        registered = open_entry(folder, spec)
    if registered is None:
        raise CheckpointError(f"the model store did not keep {spec.name}")
    return registered


def _export_into_store(checkpoint: Checkpoint) -> None:
    # Imported here: the processes that only resolve a model have no use for ONNX in memory.
    from models.export.graphs import export

    name, version = checkpoint.spec.name.lower(), version_of(checkpoint.sha256)
    with new_entry(name, version, _LABELS) as stored:
        folder = Path(stored.path)
        export(checkpoint.file, checkpoint.spec, folder)
        stored.info.metadata.update(_manifest(checkpoint, folder).as_metadata())


def _origin(checkpoint: Checkpoint) -> str:
    """Where a checkpoint came from, if the folder it lies in knows."""
    record = read_provenance(checkpoint.file.parent, checkpoint.spec.name)
    if record is not None and record.sha256 == checkpoint.sha256:
        return str(record)
    return "the catalogue" if checkpoint.spec.sha256 else f"file@{checkpoint.file.name}"


def _manifest(checkpoint: Checkpoint, folder: Path) -> Manifest:
    spec = checkpoint.spec
    return Manifest(
        model=spec.name,
        architecture=spec.architecture,
        checkpoint_sha256=checkpoint.sha256,
        files={file.name: sha256_of(file) for file in sorted(folder.iterdir()) if file.is_file()},
        graph_version=GRAPH_VERSION,
        origin=_origin(checkpoint),
        backbone=spec.backbone,
        height=spec.input.height,
        width=spec.input.width,
        licence=spec.licence,
        runtime=f"onnx {version('onnx')}",
    )


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Two processes that register at once make one entry."""
    lock = Path(BentoMLContainer.bentoml_home.get()) / "register.lock"
    try:
        with FileLock(lock, timeout=LOCK_TIMEOUT_S):
            yield
    except Timeout:
        raise CheckpointError(
            f"another process has been registering a model for {LOCK_TIMEOUT_S:.0f} s and holds "
            f"{lock}; wait for it or end it, then try again"
        ) from None


def main(arguments: list[str]) -> int:
    """Register one file; with a second argument, as the model of that name."""
    file, name = Path(arguments[0]), arguments[1] if arguments[1:] else None
    return run_telling(lambda: _register(file, name))


def _register(file: Path, name: str | None) -> None:
    register(identify(file, name))


if __name__ == "__main__":
    run_main(main)
