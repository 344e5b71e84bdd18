"""A model's name in, the model open as the service opens it out, and what it makes of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models.arrays import U8Array
from models.engine import CPU_ENGINES, Engine, EngineConfig, open_engine
from models.matting.postprocess import smooth_alpha
from models.matting.preprocess import fit
from models.matting.refine import refine_alpha
from models.spec import ModelSpec, Precision
from scripts.register_model import ensure


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
        """What the network alone makes of a picture: ``[S, S]``, 0..255."""
        size = self.spec.input
        alpha: U8Array = self.engine.predict(fit(source, size.height, size.width)[None])[0]
        return alpha

    def finish(self, alpha: U8Array, source: U8Array) -> U8Array:
        """What the service makes of the network's matte by default: ``[H, W]``, 0..255."""
        return smooth_alpha(refine_alpha(alpha, source, self.spec.refinement))

    def matte(self, source: U8Array) -> U8Array:
        """What the service makes of a picture by default: ``[H, W]``, 0..255."""
        return self.finish(self.infer(source), source)


def open_model(
    name: str, weights: Path, engine: str | None = None, precision: str | None = None
) -> OpenModel:
    """Open a model as the service would, or as told; registered first if it was not.

    Args:
        name: Name in the catalogue.
        weights: Folder with checkpoints; fetched into it if missing.
        engine: Key in `ENGINES`, or None for the first choice on a CPU.
        precision: A precision to insist on, or None for the fastest that model and CPU allow.

    Returns:
        The open model; the caller closes its engine.
    """
    model = ensure(name, weights)
    config = EngineConfig(
        height=model.spec.input.height,
        width=model.spec.input.width,
        precisions=tuple(model.spec.precisions),
        precision=Precision(precision) if precision else None,
    )
    return OpenModel(model.spec, open_engine(engine or CPU_ENGINES[0], model.files, config))
