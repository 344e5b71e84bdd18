"""What a caller may choose, and what they get."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from models.engine import EngineInfo


class RemovalOptions(BaseModel):
    """What a caller may choose.

    The form, the schema, the native endpoint and the table in `docs/api.md` are made of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    smoothing: bool = Field(default=True, description="Smooth the alpha edge")


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
