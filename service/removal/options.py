"""What a caller may choose, and what they get."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


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
        engine: Engine and precision that made the matte.
        tensorrt: Whether that was TensorRT.
        retried_on_cpu: Whether the device's memory did not do and the CPU made it.
        stages_ms: What each stage took, in milliseconds.
    """

    png: bytes
    height: int
    width: int
    engine: str
    tensorrt: bool
    retried_on_cpu: bool
    stages_ms: Mapping[str, float]
