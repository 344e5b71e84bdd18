"""A checkpoint in, an entry of the BentoML model store out: exported once, whoever asks.

`python -m models.store.register FILE` does it in a process of its own, for a service that must not
hold PyTorch in its memory.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from bentoml.container import BentoMLContainer  # type: ignore[attr-defined]
from filelock import FileLock, Timeout

from models.artifacts import GRAPH_VERSION, sha256_of
from models.catalog import custom_birefnet, find
from models.checkpoints.provenance import read_provenance
from models.errors import BackgroundRemovalError, CheckpointError
from models.file_format import refuse_other_kinds
from models.installs import torch_or_say_so
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

LOCK_TIMEOUT_S = 600.0
_LABELS = {"product": "background-removal"}


def register(spec: ModelSpec, checkpoint: Path) -> RegisteredModel:
    """Put a checkpoint into the store as a graph with uint8 in and out; once, whoever asks.

    Args:
        spec: The model.
        checkpoint: Its file.

    Returns:
        The registered model, made of exactly this file.

    Raises:
        CheckpointError: If the file is not the model's, or another registration does not end.
        EngineUnavailable: If the file needs PyTorch, and that is not installed.
    """
    sha256 = sha256_of(checkpoint)
    if spec.sha256 not in (None, sha256):
        raise CheckpointError(
            f"{checkpoint.name} is not {spec.name} of the catalogue, its SHA-256 differs; "
            f"to fetch that one: make model MODEL={spec.name}"
        )
    with _one_at_a_time():
        folder = folder_of(spec.name) / version_of(sha256)
        known = open_entry(folder, spec)
        if known is not None and is_intact(known):
            (folder / COMPLETE).touch()  # registered last: this is what its name stands for now
            return known
        _export_into_store(spec, checkpoint, sha256)
        registered = open_entry(folder, spec)
    if registered is None:
        raise CheckpointError(f"the model store did not keep {spec.name}")
    return registered


def identify(checkpoint: Path) -> ModelSpec:
    """Say which model a file is: by its hash, else by its name, else as a BiRefNet of your own.

    Args:
        checkpoint: The file.

    Returns:
        An entry of the catalogue, or one made for the file. Whether a file of a catalogue's name is
        that model is for `register` to find out.

    Raises:
        CheckpointMismatch: If it is no checkpoint of any kind known here.
        EngineUnavailable: If that takes PyTorch, and it is not installed.
    """
    known = catalogued(checkpoint, sha256_of(checkpoint))
    if known is not None:
        return known
    refuse_other_kinds(checkpoint)
    with torch_or_say_so():
        from models.birefnet.checkpoint import backbone_of, read_state_dict

        return custom_birefnet(backbone_of(read_state_dict(checkpoint), checkpoint.name))


def _export_into_store(spec: ModelSpec, checkpoint: Path, sha256: str) -> None:
    # Imported here: the processes that only resolve a model have no use for ONNX in memory.
    from models.export.graphs import export

    name = spec.name.lower()
    with torch_or_say_so(), new_entry(name, version_of(sha256), _LABELS) as stored:
        folder = Path(stored.path)
        export(checkpoint, spec, folder)
        manifest = _manifest(spec, sha256, _origin(spec, checkpoint, sha256), folder)
        stored.info.metadata.update(manifest.as_metadata())


def _origin(spec: ModelSpec, checkpoint: Path, sha256: str) -> str:
    """Where a checkpoint came from, if the folder it lies in knows."""
    record = read_provenance(checkpoint.parent, spec.name)
    if record is not None and record.sha256 == sha256:
        return str(record)
    return "the catalogue" if spec.sha256 else f"file@{checkpoint.name}"


def _manifest(spec: ModelSpec, sha256: str, origin: str, folder: Path) -> Manifest:
    return Manifest(
        model=spec.name,
        architecture=spec.architecture,
        checkpoint_sha256=sha256,
        files={file.name: sha256_of(file) for file in sorted(folder.iterdir()) if file.is_file()},
        graph_version=GRAPH_VERSION,
        origin=origin,
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
    checkpoint = Path(arguments[0])
    try:
        spec = find(arguments[1]) if arguments[1:] else identify(checkpoint)
        register(spec, checkpoint)
    except BackgroundRemovalError as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
