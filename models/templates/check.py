"""Reads a checkpoint as the weights of a BiRefNet, or says which keys are to blame."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.catalog import CATALOG
from models.errors import CheckpointMismatch
from models.spec import BiRefNetNetwork, ModelSpec
from models.templates.published import read_published
from models.templates.template import Header, expected_tensors
from models.weights.arrays import Array, Weights, shapes_of
from models.weights.backbone import backbone_of
from models.weights.file_format import is_onnx
from models.weights.mismatch import explain
from models.weights.read import read_weights

_COUNTER = ".num_batches_tracked"


@dataclass(frozen=True)
class BiRefNetWeights:
    """A checkpoint that fits.

    Attributes:
        backbone: A key of `models.birefnet.backbones.BACKBONES`.
        tensors: Exactly the tensors of that network, in its order; floats of any width.
    """

    backbone: str
    tensors: Weights


def read_birefnet(file: Path, spec: ModelSpec | None = None) -> BiRefNetWeights:
    """Read a checkpoint and hold it against the network it was trained in.

    Args:
        file: A `.safetensors` or `.pth` file, or a published `.onnx`; its content decides, not its
            name.
        spec: The model it is meant to be, whose backbone it must then have; None takes any.

    Raises:
        CheckpointMismatch: If it is no checkpoint of this network or of that model; says what it is
            instead, and which keys are to blame. `UnmatchedGraph` if it is the graph of one, but
            what it was made of cannot be told.
        EngineUnavailable: If it is one for PyTorch, and that is not installed.
    """
    weights: Weights = read_published(file) if is_onnx(file) else read_weights(file)
    backbone = backbone_of(shapes_of(weights), file.name)
    header = expected_tensors(backbone)
    weights = _with_counters(header, weights)
    fault = explain(header.tensors, shapes_of(weights))
    if fault is not None:
        raise CheckpointMismatch(f"{file.name} has the backbone {backbone}, but {fault}")
    if spec is not None:
        _check_backbone(file, backbone, spec)
    tensors = {key: _typed(key, weights[key], header) for key in header.tensors}
    for key, sha256 in header.fixed.items():
        if hashlib.sha256(tensors[key].astype("<i8").tobytes()).hexdigest() != sha256:
            raise CheckpointMismatch(
                f"{file.name} has other values in {key} than every {backbone} has: it is damaged, "
                "or of another network"
            )
    return BiRefNetWeights(backbone, tensors)


def _check_backbone(file: Path, backbone: str, spec: ModelSpec) -> None:
    """Refuse the checkpoint of a sibling, and name the sibling."""
    if not isinstance(spec.network, BiRefNetNetwork):
        raise CheckpointMismatch(f"{file.name} is a BiRefNet, not {spec.name}")
    if backbone == spec.network.backbone:
        return
    siblings = [
        other.name for other in CATALOG.values() if other.network == BiRefNetNetwork(backbone)
    ]
    hint = f": that is a file for {' or '.join(siblings)}" if siblings else ""
    raise CheckpointMismatch(
        f"{file.name} has the backbone {backbone}, and {spec.name} has {spec.network.backbone}"
        f"{hint}"
    )


def _with_counters(header: Header, weights: Weights) -> dict[str, Array]:
    """Fill in the counters of batch norms that lack nothing else: only training reads them."""
    lacking = (
        key
        for key in header.tensors
        if key.endswith(_COUNTER) and key.removesuffix(_COUNTER) + ".running_mean" in weights
    )
    return {key: np.zeros((), np.int64) for key in lacking} | dict(weights)


def _typed(key: str, array: Array, header: Header) -> Array:
    """The array as the network has it: a float of whatever width, or an integer."""
    if key in header.fixed or key.endswith(_COUNTER):
        return array.astype(np.int64)
    return array.astype(np.float32) if array.dtype.kind in "iub" else array
