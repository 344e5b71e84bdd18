"""What can be evaluated: a model as the service serves it, or its network's matte as it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from models.arrays import U8Array
from models.engine import CPU_ENGINES, Engine, EngineConfig, open_engine
from models.matting.compositing import Cutout
from models.matting.foreground import estimate_foreground
from models.matting.postprocess import smooth_alpha
from models.matting.preprocess import fit
from models.matting.refine import refine_alpha
from models.spec import ModelSpec, Precision
from scripts.register_model import ensure


class Contender(Protocol):
    """Something that cuts subjects out."""

    @property
    def label(self) -> str:
        """What tables call it."""

    def describe(self) -> dict[str, str]:
        """What it is, for a report."""

    def cut_out(self, source: U8Array) -> U8Array:
        """What it makes of a picture ``[H, W, 3]``: a cutout, straight RGBA ``[H, W, 4]``."""

    def close(self) -> None:
        """Let go of what it holds."""


@dataclass(frozen=True)
class OpenModel:
    """A model that is open.

    Attributes:
        spec: What it is.
        engine: What runs it.
    """

    spec: ModelSpec
    engine: Engine

    @property
    def label(self) -> str:
        """Model, engine and precision."""
        info = self.engine.info
        return f"{self.spec.name} {info.name} {info.precision.value}"

    def describe(self) -> dict[str, str]:
        """What it is, for a report."""
        info, size = self.engine.info, self.spec.input
        return {
            "architecture": self.spec.network_name,
            "input": f"{size.width} x {size.height}",
            "runtime": info.runtime,
            "device": info.device,
            "precision": info.precision.value,
        }

    def infer(self, source: U8Array) -> U8Array:
        """What the network alone makes of a picture: a matte of its own size, 0..255."""
        size = self.spec.input
        alpha: U8Array = self.engine.predict(fit(source, size.height, size.width)[None])[0]
        return alpha

    def matte(self, source: U8Array) -> U8Array:
        """The matte ``[H, W]`` that the service makes of a picture by default."""
        return smooth_alpha(refine_alpha(self.infer(source), source, self.spec.refinement))

    def cut_out(self, source: U8Array) -> U8Array:
        """What the service makes of a picture by default."""
        alpha = self.matte(source)
        return Cutout(estimate_foreground(source, alpha), alpha)[:]

    def close(self) -> None:
        """Close the engine."""
        self.engine.close()


@dataclass(frozen=True)
class PlainCutouts:
    """The least one can do with a model: smooth upsampling and the source's own colours.

    Attributes:
        model: Whose mattes; closed by its owner.
        label: What tables call it.
    """

    model: OpenModel
    label: str = "plain"

    def describe(self) -> dict[str, str]:
        """What it is, for a report."""
        return {"mattes": f"of {self.model.label}, neither refined nor smoothed"}

    def cut_out(self, source: U8Array) -> U8Array:
        """The network's matte, brought up to the picture's size."""
        return Cutout(source, refine_alpha(self.model.infer(source), source, None))[:]

    def close(self) -> None:
        """The model is somebody else's."""


def open_model(wanted: str, weights: Path) -> OpenModel:
    """Open a model as the service would, or as told; registered first if it was not.

    Args:
        wanted: ``NAME[:ENGINE[:PRECISION]]``. Without an engine, or an empty one, it is the first
            choice on a CPU; without a precision, the fastest that model and CPU allow.
        weights: Folder with checkpoints; fetched into it if missing.

    Returns:
        The open model; the caller closes it.
    """
    name, _, how = wanted.partition(":")
    engine, _, precision = how.partition(":")
    model = ensure(name, weights)
    config = EngineConfig(
        height=model.spec.input.height,
        width=model.spec.input.width,
        precisions=model.spec.allowed_precisions,
        precision=Precision(precision) if precision else None,
    )
    return OpenModel(model.spec, open_engine(engine or CPU_ENGINES[0], model.files, config))
