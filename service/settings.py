"""The settings: one frozen object, made of the environment and `.env` by `settings_reader`.

Every variable does what it says or the service refuses to start; `docs/configuration.md` and
`.env.example` are generated from the descriptions below.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.serving.options import EngineOptions
from models.spec import Precision
from service.setting_types import (
    Address,
    AnyCase,
    Destinations,
    HomePath,
    HostNames,
    ModelNames,
    Names,
    Networks,
    StorageAddress,
)

PREFIX = "BIREFNET_"
ENV_FILE = Path(".env")
UNPREFIXED = {"log_level": "LOG_LEVEL", "log_format": "LOG_FORMAT", "log_file": "LOG_FILE"}


class Settings(BaseSettings):
    """Everything an operator can choose."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    model: str = Field(
        default="auto",
        description="Model to serve: a name of the catalogue, or auto for the best registered one.",
    )
    model_path: HomePath | None = Field(
        default=None,
        description="Checkpoint file to serve; wins over BIREFNET_MODEL=auto, contradicts a name.",
    )
    models: ModelNames = Field(
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
    max_image_size_mb: float = Field(
        default=10, gt=0, le=100, description="Largest uploaded file, in MiB."
    )
    max_megapixels: float = Field(
        default=50, gt=0, le=200, description="Most pixels of an image, in millions."
    )
    max_decompression_ratio: float = Field(
        default=1000, gt=1, description="Most decoded bytes per uploaded byte, over 8 MiB decoded."
    )
    processing_timeout_sec: float = Field(
        default=30,
        gt=0,
        le=120,
        description="Deadline of a request, in seconds; twice over 5 MB, four times over 8 MB.",
    )
    max_upload_memory_mb: int = Field(
        default=256,
        ge=1,
        le=65536,
        description="Most memory of uploads under way and waiting, in MiB; more get 503.",
    )
    max_batch_images: int = Field(
        default=50, ge=1, le=1000, description="Most pictures of one batch."
    )
    max_batch_mb: int = Field(
        default=100,
        ge=1,
        le=4096,
        description="Most of all pictures of one batch together, in MiB; they wait in memory.",
    )
    max_picture_memory_mb: int | None = Field(
        default=None,
        ge=64,
        description="Most memory that pictures take while they are worked on, in MiB; others wait. "
        "Unset: 1024 for each imaging thread, at most half of what the process may have.",
    )
    max_queue: int = Field(
        default=64, ge=1, le=4096, description="Most requests in the service; more get 503."
    )
    rate_limit_per_minute: int = Field(
        default=30, ge=0, description="Most requests per client and minute; 0: no limit."
    )
    rate_limit_per_second: int = Field(
        default=3, ge=0, description="Most requests per client and second; 0: no limit."
    )
    rate_limit_mode: Literal["shape", "reject"] = Field(
        default="shape",
        description="Over the rate per second: wait up to 2 s for a slot, or reject at once.",
    )
    max_in_flight_per_client: int = Field(
        default=3, ge=0, description="Most requests of one client at once; 0: no limit."
    )
    keys_file: HomePath | None = Field(
        default=None,
        description="File of API keys, which python -m scripts.keys writes; unset: none are taken.",
    )
    require_key: bool = Field(
        default=False, description="Refuse callers without an API key; needs BIREFNET_KEYS_FILE."
    )
    storage_url: StorageAddress = Field(
        default="~/.local/share/birefnet-background-removal",
        description="Where the backgrounds lie that holders of a key upload: a folder, or s3://, "
        "gs:// or az:// with a bucket and a prefix.",
    )
    max_backgrounds_per_key: int = Field(
        default=50, ge=0, le=1000, description="Most backgrounds that one key may keep."
    )
    max_background_mb_per_key: int = Field(
        default=100, ge=0, description="Most of all backgrounds of one key together, in MiB."
    )
    redis_url: str = Field(
        default="",
        pattern=r"^((redis|rediss|redis\+unix)://.+)?$",
        repr=False,  # it may hold a password
        description="Redis that replicas keep rate limits in together (redis://, rediss:// or "
        "redis+unix://); unset: each replica keeps its own.",
    )
    image_url: bool = Field(
        default=False,
        description="Fetch the picture that a caller names by image_url, from public servers only.",
    )
    image_url_servers: Destinations = Field(
        default=(),
        description="Servers of your own that image_url may reach too, comma separated: "
        "10.1.2.3:9000, or 10.1.0.0/16 (ports 80 and 443). Any caller may then ask them for "
        "anything through us.",
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="Addresses or networks whose X-Forwarded-For is believed, comma separated.",
    )
    cors_origins: Names = Field(
        default=(), description="Origins a browser may call from, comma separated; empty: none."
    )
    allowed_hosts: HostNames = Field(
        default=(),
        description="Host names, beside localhost, that a browser may call a service on a loopback "
        "address by, comma separated; a reverse proxy on this machine may pass such a name on.",
    )
    page: bool = Field(
        default=True, description="Whether there is a page for people at /; false: only the API."
    )
    host: Address = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=55433, ge=1, le=65535, description="Port to listen on.")
    keep_alive_sec: int = Field(
        default=75,
        ge=1,
        le=3600,
        description="Seconds an idle connection is kept; more than what a proxy in front keeps it.",
    )
    max_connections: int = Field(
        default=1000,
        ge=8,
        le=65536,
        description="Most open connections; the longest silent one makes room for a new one.",
    )
    cache_dir: HomePath = Field(
        default=Path("~/.cache/birefnet-background-removal"),
        description="Writable folder for compiled models, and for the sockets between processes.",
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], AnyCase] = Field(
        default="info",
        validation_alias="LOG_LEVEL",
        description="debug also logs stage times, and probes that succeed.",
    )
    log_format: Annotated[Literal["text", "json"], AnyCase] = Field(
        default="text",
        validation_alias="LOG_FORMAT",
        description="text, or json: one object per line.",
    )
    log_file: HomePath | None = Field(
        default=None,
        validation_alias="LOG_FILE",
        description="Log file, rotated at 10 MB, three kept; unset: standard error only.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
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
        if self.require_key and self.keys_file is None:
            raise ValueError("BIREFNET_REQUIRE_KEY=true needs BIREFNET_KEYS_FILE")
        if self.image_url_servers and not self.image_url:
            raise ValueError("BIREFNET_IMAGE_URL_SERVERS needs BIREFNET_IMAGE_URL=true")
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
        return tuple(variable(name) for name in names if getattr(self, name))

    @property
    def engine_options(self) -> EngineOptions:
        """What is asked of the engines."""
        names = EngineOptions.__dataclass_fields__.keys() - {"precision"}
        precision = None if self.precision == "auto" else Precision(self.precision)
        return EngineOptions(precision=precision, **{name: getattr(self, name) for name in names})


def variable(field: str) -> str:
    """Name of a field's environment variable."""
    return UNPREFIXED.get(field, PREFIX + field.upper())
