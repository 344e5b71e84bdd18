"""Graphs in the BentoML model store: register and resolve. The only BentoML in `models/`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import bentoml
from bentoml.container import BentoMLContainer  # type: ignore[attr-defined]
from bentoml.exceptions import NotFound
from filelock import FileLock

from models.catalog import CATALOG, find
from models.download import sha256_of
from models.errors import CheckpointError, ModelNotFound
from models.manifest import GRAPH_VERSION, Manifest
from models.spec import ModelSpec

GRAPH_FILE = "graph.onnx"
QUANTIZED_GRAPH_FILE = "graph.int8.onnx"
_LABELS = {"product": "background-removal"}


@dataclass(frozen=True)
class RegisteredModel:
    """A model of the catalogue that is in the store.

    Attributes:
        tag: Its exact tag in the store.
        graph: Its ONNX file.
        quantized_graph: The same with 8-bit convolutions, or None where that costs the picture.
        spec: Its entry in the catalogue.
    """

    tag: str
    graph: Path
    quantized_graph: Path | None
    spec: ModelSpec


def register(spec: ModelSpec, checkpoint: Path) -> RegisteredModel:
    """Put a checkpoint into the store as a graph with uint8 in and out; once, whoever asks.

    Args:
        spec: The model.
        checkpoint: Its verified file.

    Returns:
        The registered model.

    Raises:
        CheckpointError: If the file is not the model's.
    """
    with _one_at_a_time():
        known = _lookup(spec)
        if known is not None:
            return known
        checkpoint_sha256 = sha256_of(checkpoint)
        if checkpoint_sha256 != spec.sha256:
            raise CheckpointError(f"{checkpoint.name} is not {spec.name} of the catalogue")
        # Imported here: the processes that only resolve a model have no use for ONNX in memory.
        from models.export.graphs import export

        with bentoml.models.create(_tag(spec), labels=_LABELS) as stored:
            file = Path(stored.path_of(GRAPH_FILE))
            export(checkpoint, spec, file, file.with_name(QUANTIZED_GRAPH_FILE))
            stored.info.metadata.update(_manifest(spec, file).as_metadata())
    registered = _lookup(spec)
    if registered is None:
        raise CheckpointError(f"the model store did not keep {spec.name}")
    return registered


def resolve(name: str) -> RegisteredModel:
    """Find a registered model.

    Args:
        name: Name in the catalogue, or `auto` for the registered model of the lowest rank.

    Returns:
        The registered model.

    Raises:
        ModelNotFound: If it is not registered; says how to register it.
    """
    if name != "auto":
        spec = find(name)
        registered = _lookup(spec)
        if registered is None:
            raise ModelNotFound(f"{name} is not registered; run: make model MODEL={name}")
        return registered
    found = [model for spec in CATALOG.values() if (model := _lookup(spec)) is not None]
    if not found:
        raise ModelNotFound("no model is registered; run: make model")
    return min(found, key=lambda model: model.spec.rank)


def _tag(spec: ModelSpec) -> str:
    """Exact tag of today's graph of a catalogue entry."""
    return f"{spec.name.lower()}:{spec.sha256[:12]}-g{GRAPH_VERSION}"


def _lookup(spec: ModelSpec) -> RegisteredModel | None:
    """The registered model, if it is there and is what its manifest says."""
    try:
        stored = bentoml.models.get(_tag(spec))
    except NotFound:
        return None
    graph = Path(stored.path_of(GRAPH_FILE))
    manifest = Manifest.from_metadata(stored.info.metadata)
    if not manifest.fits(spec) or not graph.is_file():
        return None
    quantized = graph.with_name(QUANTIZED_GRAPH_FILE)
    return RegisteredModel(
        tag=str(stored.tag),
        graph=graph,
        quantized_graph=quantized if quantized.is_file() else None,
        spec=spec,
    )


def _manifest(spec: ModelSpec, graph: Path) -> Manifest:
    return Manifest(
        model=spec.name,
        architecture=spec.architecture,
        checkpoint_sha256=spec.sha256,
        graph_sha256=sha256_of(graph),
        graph_version=GRAPH_VERSION,
        input_size=spec.input.size,
        licence=spec.licence,
        runtime=f"onnx {version('onnx')}",
    )


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Two processes that register at once make one entry."""
    with FileLock(Path(BentoMLContainer.bentoml_home.get()) / "register.lock", timeout=600):
        yield
