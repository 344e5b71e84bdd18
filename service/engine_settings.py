"""The first part of the settings: which models are served, and by which engines."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings

from models.serving.options import EngineOptions
from models.spec import Precision
from service import setting_types as kinds


class EngineSettings(BaseSettings):
    """What an operator can choose of models and engines; `service.settings` has the rest."""

    model: str = Field(
        default="auto",
        description="Model to serve: a name of the catalogue, or auto for the best registered one.",
    )
    model_path: kinds.HomePath | None = Field(
        default=None,
        description="Checkpoint file to serve; wins over BIREFNET_MODEL=auto, contradicts a name.",
    )
    models: kinds.ModelNames = Field(
        default=(),
        description="Several models to serve at once, in place of BIREFNET_MODEL; callers choose "
        "by name, and get the best of them otherwise.",
    )
    engine: Literal["auto", "openvino", "onnxruntime", "pytorch", "tensorrt", "fake"] = Field(
        default="auto",
        description="Inference engine; auto takes the fastest that opens. fake is for tests only.",
    )
    precision: Literal["auto", "f32", "f16", "bf16", "int8"] = Field(
        default="auto",
        description="Arithmetic of the network; auto takes the fastest that keeps the picture.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto",
        description="Where inference runs. cuda on a machine without a GPU serves degraded.",
    )
    use_tensorrt: bool | None = Field(
        default=None,
        description="true asks for TensorRT, degraded without it; unset: where it is there.",
    )
    build_engine: Literal["never", "background", "block"] = Field(
        default="background",
        description="When a missing TensorRT engine is built: never, while another engine serves, "
        "or before the service starts.",
    )
    batch_size: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="Largest adaptive batch, in images; 1: none; unset: what suits the engine.",
    )
    num_workers: int = Field(
        default=2, ge=1, le=64, description="Imaging threads (decode, compose, encode)."
    )
    pin_memory: bool = Field(
        default=False,
        description="Pinned host buffers for a CUDA engine; contradicts BIREFNET_DEVICE=cpu.",
    )
    cudnn_benchmark: bool = Field(
        default=False,
        description="cuDNN autotuning of the PyTorch engine; contradicts BIREFNET_DEVICE=cpu.",
    )

    @model_validator(mode="after")
    def _consistent_engine(self) -> Self:
        if self.model_path is not None and self.model not in ("auto", self.model_path.stem):
            raise ValueError(
                f"BIREFNET_MODEL_PATH names {self.model_path.name} and BIREFNET_MODEL names "
                f"{self.model}; set one of the two"
            )
        if self.models and (self.model != "auto" or self.model_path is not None):
            raise ValueError(
                "BIREFNET_MODELS takes the place of BIREFNET_MODEL and BIREFNET_MODEL_PATH; set "
                "one of them"
            )
        if self.device == "cpu" and self.wants_of_gpu:
            raise ValueError(
                f"{self.wants_of_gpu[0]}=true needs a GPU and contradicts BIREFNET_DEVICE=cpu"
            )
        if self.engine == "onnxruntime" and self.precision not in ("auto", "f32"):
            raise ValueError(
                f"BIREFNET_PRECISION={self.precision} contradicts BIREFNET_ENGINE=onnxruntime, "
                "which runs in f32 on a CPU"
            )
        if self.engine == "tensorrt" and (self.device == "cpu" or self.use_tensorrt is False):
            raise ValueError(
                "BIREFNET_ENGINE=tensorrt contradicts BIREFNET_DEVICE=cpu and "
                "BIREFNET_USE_TENSORRT=false"
            )
        return self

    @property
    def wants_of_gpu(self) -> tuple[str, ...]:
        """Variables set to true that mean something on a GPU only."""
        names = ("use_tensorrt", "pin_memory", "cudnn_benchmark")
        return tuple(f"BIREFNET_{name.upper()}" for name in names if getattr(self, name))

    @property
    def engine_options(self) -> EngineOptions:
        """What is asked of the engines."""
        names = EngineOptions.__dataclass_fields__.keys() - {"precision"}
        precision = None if self.precision == "auto" else Precision(self.precision)
        return EngineOptions(precision=precision, **{name: getattr(self, name) for name in names})
