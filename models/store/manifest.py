"""What a registered model is made of: lies in the model store beside the graph.

A manifest ties a graph to its checkpoint, so that a stale or foreign artefact is recognised and
never served under another name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models.artifacts import GRAPH_VERSION
from models.errors import CheckpointError
from models.spec import ModelSpec


@dataclass(frozen=True)
class Manifest:
    """The identity of a registered graph.

    Attributes:
        model: Name in the catalogue.
        architecture: Published name of the network.
        checkpoint_sha256: Hash of the checkpoint the graph was made from.
        files: Hash of every file that engines may open, by its name.
        graph_version: `GRAPH_VERSION` at the time.
        origin: Where the checkpoint came from, as far as that is known.
        backbone: The network's encoder, empty where the checkpoint was a graph.
        height: Rows of the model input, in pixels.
        width: Columns of the model input, in pixels.
        licence: SPDX identifier of the weights' licence.
        runtime: Runtime the graph was checked with, name and version.
    """

    model: str
    architecture: str
    checkpoint_sha256: str
    files: Mapping[str, str]
    graph_version: int
    origin: str
    backbone: str
    height: int
    width: int
    licence: str
    runtime: str

    def as_metadata(self) -> dict[str, Any]:
        """The manifest as JSON-able metadata of the model store."""
        return asdict(self)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Manifest:
        """Read a manifest back.

        Raises:
            CheckpointError: If the metadata is not a manifest of ours.
        """
        try:
            return cls(**{name: metadata[name] for name in cls.__dataclass_fields__})
        except KeyError as missing:
            raise CheckpointError(f"the model store's entry lacks {missing}") from missing

    def fits(self, spec: ModelSpec) -> bool:
        """Whether this graph is what today's code would make of today's catalogue entry."""
        return (
            self.model == spec.name
            and spec.sha256 in (None, self.checkpoint_sha256)
            and self.backbone == spec.backbone
            and (self.height, self.width) == (spec.input.height, spec.input.width)
            and self.graph_version == GRAPH_VERSION
        )
