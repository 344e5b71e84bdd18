"""The settings: one frozen object, made of the environment and `.env` by `settings_reader`.

Every variable does what it says or the service refuses to start; `docs/configuration.md` and
`.env.example` are generated from the descriptions below.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from service import setting_types as kinds
from service.engine_settings import EngineSettings

PREFIX = "BIREFNET_"
ENV_FILE = Path(".env")
UNPREFIXED = {"log_level": "LOG_LEVEL", "log_format": "LOG_FORMAT", "log_file": "LOG_FILE"}


class Settings(EngineSettings):
    """Everything an operator can choose."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
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
        default=100, ge=1, le=4096, description="Most of one batch, in MiB; it waits in memory."
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
    max_previews: int = Field(
        default=16, ge=0, le=1000, description="Most live previews at once; more get 503. 0: none."
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
    keys_file: kinds.HomePath | None = Field(
        default=None,
        description="File of API keys, which python -m scripts.keys writes; unset: none are taken.",
    )
    require_key: bool = Field(
        default=False, description="Refuse callers without an API key; needs BIREFNET_KEYS_FILE."
    )
    storage_url: kinds.StorageAddress = Field(
        default="~/.local/share/birefnet-background-removal",
        description="Where the pictures of tasks lie, and the backgrounds that holders of a key "
        "upload: a folder, or s3://, gs:// or az:// with a bucket and a prefix.",
    )
    max_backgrounds_per_key: int = Field(
        default=50, ge=0, le=1000, description="Most backgrounds that one key may keep."
    )
    max_background_mb_per_key: int = Field(
        default=100, ge=0, description="Most of all backgrounds of one key together, in MiB."
    )
    redis_url: kinds.RedisAddress = Field(
        default="",
        description="Redis that replicas keep rate limits in together (redis://, rediss:// or "
        "redis+unix://); unset: each replica keeps its own.",
    )
    tasks: kinds.TasksAddress = Field(
        default="sqlite",
        description="Where tasks are kept: sqlite (a file in the folder of BIREFNET_STORAGE_URL), "
        "sqlite:///path on a local disk, postgresql:// for replicas, or off.",
    )
    tasks_key: kinds.Key = Field(
        default="",
        description="Encrypts pictures of tasks (AES-256-GCM): 64 hexadecimal digits; unset: none.",
    )
    max_tasks: int = Field(
        default=1000, ge=1, le=100_000, description="Most unfinished tasks; more get 503."
    )
    max_tasks_per_client: int = Field(
        default=100, ge=0, description="Most unfinished tasks of one client; 0: no limit."
    )
    task_result_sec: int = Field(
        default=3600, ge=10, le=604_800, description="How long the result of a task is kept."
    )
    webhooks: bool = Field(default=False, description="Tell callers' servers how tasks end.")
    webhook_servers: kinds.Destinations = Field(
        default=(),
        description="Servers of your own that may be told too, as in BIREFNET_IMAGE_URL_SERVERS.",
    )
    image_url: bool = Field(
        default=False,
        description="Fetch the picture that a caller names by image_url, from public servers only.",
    )
    image_url_servers: kinds.Destinations = Field(
        default=(),
        description="Servers of your own that image_url may reach too, comma separated: "
        "10.1.2.3:9000, or 10.1.0.0/16 (ports 80 and 443). Any caller may then ask them for "
        "anything through us.",
    )
    trusted_proxies: kinds.Networks = Field(
        default=(),
        description="Addresses or networks whose X-Forwarded-For is believed, comma separated.",
    )
    cors_origins: kinds.Names = Field(
        default=(), description="Origins a browser may call from, comma separated; empty: none."
    )
    allowed_hosts: kinds.HostNames = Field(
        default=(),
        description="Host names, beside localhost, that a browser may call a service on a loopback "
        "address by, comma separated; a reverse proxy on this machine may pass such a name on.",
    )
    page: bool = Field(
        default=True, description="Whether there is a page for people at /; false: only the API."
    )
    host: kinds.Address = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=55433, ge=1, le=65535, description="Port to listen on.")
    inference_token: kinds.Key = Field(
        default="",
        description="Asked of whoever calls the inference service: 64 hexadecimal digits. It must "
        "be set where that service is started by itself, and then for the public one, too.",
    )
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
    cache_dir: kinds.HomePath = Field(
        default=Path("~/.cache/birefnet-background-removal"),
        description="Writable folder for compiled models, and for the sockets between processes.",
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], kinds.AnyCase] = Field(
        default="info",
        validation_alias="LOG_LEVEL",
        description="debug also logs stage times, and probes that succeed.",
    )
    log_format: Annotated[Literal["text", "json"], kinds.AnyCase] = Field(
        default="text",
        validation_alias="LOG_FORMAT",
        description="text, or json: one object per line.",
    )
    log_file: kinds.HomePath | None = Field(
        default=None,
        validation_alias="LOG_FILE",
        description="Log file, rotated at 10 MB, three kept; unset: standard error only.",
    )

    otlp_endpoint: kinds.CollectorAddress = Field(
        default="",
        description="Collector of traces (OTLP over HTTP), such as http://collector:4318; unset: "
        "nothing is traced.",
    )
    trace_ratio: float = Field(
        default=1,
        ge=0,
        le=1,
        description="Share of requests that are traced; a caller's traceparent decides for itself.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.require_key and self.keys_file is None:
            raise ValueError("BIREFNET_REQUIRE_KEY=true needs BIREFNET_KEYS_FILE")
        for names, switch in (("image_url_servers", "image_url"), ("webhook_servers", "webhooks")):
            if getattr(self, names) and not getattr(self, switch):
                raise ValueError(f"{variable(names)} needs {variable(switch)}=true")
        return self


def variable(field: str) -> str:
    """Name of a field's environment variable."""
    return UNPREFIXED.get(field, PREFIX + field.upper())
