"""What a model is: immutable descriptions, no behaviour.

A `ModelSpec` says everything the rest of the product needs to know of a checkpoint, so that a model
is data in `catalog.py` and never a special case in code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

#: By what share a faster precision may increase the error of alpha at the edges (docs/engines.md).
EDGE_ERROR_LIMIT = 0.03


class Precision(StrEnum):
    """Arithmetic of the network's large products."""

    F32 = "f32"
    BF16 = "bf16"
    F16 = "f16"
    INT8 = "int8"  # 8-bit convolutions, the rest in f32


@dataclass(frozen=True)
class InputSpec:
    """What the network wants to see.

    Attributes:
        height: Rows of the model input, in pixels.
        width: Columns of the model input, in pixels.
        mean: Mean per RGB channel, of values in ``[0, 1]``.
        std: Standard deviation per RGB channel, of values in ``[0, 1]``.
    """

    height: int
    width: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class WheelSource:
    """A file inside a wheel of the package index.

    Attributes:
        distribution: Name of the distribution on the index.
        version: Its exact version.
        wheel_sha256: Hash of the wheel.
        member: Path of the file inside the wheel.
    """

    distribution: str
    version: str
    wheel_sha256: str
    member: str


@dataclass(frozen=True)
class UrlSource:
    """A plain file behind a URL."""

    url: str


@dataclass(frozen=True)
class HubSource:
    """A file of a repository on a model hub.

    Attributes:
        repository: Owner and name.
        filename: Path in the repository.
        revision: Where to begin; the first download pins the commit this stands for.
    """

    repository: str
    filename: str = "model.safetensors"
    revision: str = "main"


@dataclass(frozen=True)
class Refinement:
    """How one checkpoint's matte is sharpened: data that belongs to it, chosen on composites.

    Attributes:
        radius: Half side of the window in which alpha is a linear function of colour, in pixels of
            the model input.
        epsilon: Ridge of that fit, in squared colour units (colours 0..1). Larger: smoother, and
            less misled by noise.
        low: Alpha that becomes 0. With ``high``, undoes the softness the network gives every edge.
        high: Alpha that becomes 1.
        max_side: Longest side of the reduced grid, in pixels.
    """

    radius: float
    epsilon: float
    low: float
    high: float
    max_side: int = 640


@dataclass(frozen=True)
class Unmixing:
    """How the matte of a network that knows its edges well is enlarged: by the colours around them.

    Attributes:
        doubt: Factor on the variety of the colours on either side. Larger: colours say less.
        noise: Variance that every colour has, in squared levels.
        mixture: Keeps the colours' say from making mixtures opaque or clear, as a share of the way
            from one side to the other: the log odds of alpha change by at most 0.5 of its inverse.
        certain: How far the colours replace the network's matte, where they are certain, 0..1.
        soft: Edges of which a blur of 1.5 pixels changes alpha by less stay as they are, 0..1.
        sharp: From such a change on the colours have their full say.
        max_side: Longest side of the reduced grid, in pixels.
    """

    doubt: float = 1.0
    noise: float = 30.0
    mixture: float = 0.14
    certain: float = 0.6
    soft: float = 0.07
    sharp: float = 0.2
    max_side: int = 768


#: How a matte comes up to the size of the source.
WayUp = Refinement | Unmixing
Source = WheelSource | UrlSource | HubSource


@dataclass(frozen=True)
class Alias:
    """A name people ask for though no checkpoint of that name was ever published.

    Attributes:
        serves: The model that serves in its place.
        note: Why, and what to do instead; shown wherever the name is used.
    """

    serves: str
    note: str


@dataclass(frozen=True)
class PublishedGraph:
    """A checkpoint that is an ONNX graph already.

    Attributes:
        matte_output: Name of the graph output that holds the matte, ``[N, 1, H, W]`` in ``[0, 1]``.
    """

    matte_output: str


@dataclass(frozen=True)
class BiRefNetNetwork:
    """A checkpoint of tensors, for the network in `models.birefnet`.

    Attributes:
        backbone: Key in `models.birefnet.backbones.BACKBONES`.
    """

    backbone: str


Network = PublishedGraph | BiRefNetNetwork


@dataclass(frozen=True)
class ModelSpec:
    """One checkpoint, described once.

    Attributes:
        name: Name in the catalogue, in `X-Model-Version` and in the model store.
        architecture: Published name of the network.
        input: What the network wants to see.
        network: How the checkpoint becomes a graph.
        sources: Where the file can be had, best first.
        sha256: Hash of the checkpoint file; None where nobody published one, so that the hub's own
            is verified and recorded.
        size_bytes: Size of the checkpoint file, rounded where only that was published.
        licence: SPDX identifier of the weights' licence.
        caveat: What the licence does not say (training data, domain).
        rank: `auto` picks the registered model with the lowest rank.
        precisions: Precisions that were measured, fastest first, and the increase of the error in
            the edge band over f32 beside each; those within `EDGE_ERROR_LIMIT` may serve.
        purpose: What it was trained for, where its name does not say.
        light: Whether this is one of the small stand-ins for a BiRefNet.
        refinement: How its matte is brought up to the source; None is plain resampling.
    """

    name: str
    architecture: str
    input: InputSpec
    network: Network
    sources: tuple[Source, ...]
    sha256: str | None
    size_bytes: int
    licence: str
    caveat: str
    rank: int
    precisions: Mapping[Precision, float] = field(default_factory=lambda: {Precision.F32: 0.0})
    purpose: str = ""
    light: bool = True
    refinement: WayUp | None = None

    @property
    def allowed_precisions(self) -> tuple[Precision, ...]:
        """Those that keep the picture, fastest first."""
        measured = self.precisions.items()
        return tuple(one for one, increase in measured if increase <= EDGE_ERROR_LIMIT)

    @property
    def backbone(self) -> str:
        """The encoder of a BiRefNet; empty for a published graph."""
        return self.network.backbone if isinstance(self.network, BiRefNetNetwork) else ""

    @property
    def network_name(self) -> str:
        """Architecture, and backbone where there are several: `BiRefNet swin_v1_l`."""
        return f"{self.architecture} {self.backbone}".strip()
