"""What an operator asks of the engines, and how one is opened by it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.engine import EngineConfig, why_no_gpu
from models.spec import ModelSpec, Precision

CUDA_BATCH = 8
# A CPU gains 6% from a batch of four and pays for it in memory: larger batches only share the hop.
_CPU_BATCH = 1
_CPU_ADAPTIVE_BATCH = 4
# Half precision where the gate lets it pass, whatever a CPU makes of the model.
_CUDA_PRECISIONS = (Precision.F16, Precision.F32)


@dataclass(frozen=True)
class EngineOptions:
    """What an operator asks of the engines; `service.settings` says what each is.

    Attributes:
        engine: Key in `models.engine.ENGINES`, or `auto`.
        device: Where to run.
        precision: One to insist on, or None.
        use_tensorrt: True asks for it, False forbids it, None takes it where it is.
        build_engine: When a missing TensorRT engine is built.
        batch_size: Largest batch, or None for what suits the engine.
        pin_memory: Pinned host buffers for a CUDA device.
        cudnn_benchmark: Whether cuDNN searches.
        cache_dir: Folder for compiled models.
    """

    engine: str
    device: Literal["auto", "cpu", "cuda"]
    precision: Precision | None
    use_tensorrt: bool | None
    build_engine: Literal["never", "background", "block"]
    batch_size: int | None
    pin_memory: bool
    cudnn_benchmark: bool
    cache_dir: Path

    @property
    def adaptive_batch(self) -> int:
        """How many pictures may wait to travel together; the engine may take fewer at once."""
        on_gpu = self.device != "cpu" and why_no_gpu() is None
        wanted = self.batch_size or (CUDA_BATCH if on_gpu else _CPU_ADAPTIVE_BATCH)
        return max(2, wanted)  # BentoML takes no less

    def config(self, spec: ModelSpec, on_cpu: bool) -> EngineConfig:
        """How to open an engine of a model, on the CPU or on a GPU."""
        return EngineConfig(
            height=spec.input.height,
            width=spec.input.width,
            precisions=spec.allowed_precisions if on_cpu else _CUDA_PRECISIONS,
            precision=self.precision,
            max_batch=_CPU_BATCH if on_cpu else self.batch_size or CUDA_BATCH,
            cache_dir=self.cache_dir,
            device="cpu" if on_cpu else "cuda",
            pin_memory=self.pin_memory,
            cudnn_benchmark=self.cudnn_benchmark,
        )
