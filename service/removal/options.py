"""What a caller may choose, and what they get."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from models.engine import EngineInfo


@dataclass(frozen=True)
class RemovalOptions:
    """What a caller may choose.

    Attributes:
        smoothing: Whether the alpha matte's edge is smoothed.
    """

    smoothing: bool = True


@dataclass(frozen=True)
class RemovalResult:
    """A finished cutout.

    Attributes:
        png: The cutout as a PNG file, RGBA.
        height: Rows of source and cutout, in pixels.
        width: Columns of source and cutout, in pixels.
        engine: What made the matte.
        retried_on_cpu: Whether the GPU failed and the CPU made it.
        stages_ms: What each stage took, in milliseconds.
    """

    png: bytes
    height: int
    width: int
    engine: EngineInfo
    retried_on_cpu: bool
    stages_ms: Mapping[str, float]
