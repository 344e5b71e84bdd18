"""The bodies of the API, for its documentation and its answers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.removal.options import Output
from service.tasks.ports import TaskState

UNHEALTHY = "UNHEALTHY"
HealthState = Literal["healthy", "degraded", "unhealthy"]


class SubjectBox(BaseModel):
    """Where the subject is in what was made, in pixels."""

    left: int
    top: int
    width: int
    height: int


class ProcessingInfo(BaseModel):
    """How a cutout came about."""

    model_config = ConfigDict(protected_namespaces=())

    original_size: str = Field(description="Upright source, width x height", examples=["1920x1080"])
    output_size: str = Field(description="What was made, width x height", examples=["1920x1080"])
    background_removed: bool = True
    edge_smoothing_applied: bool
    processing_time_ms: float = Field(ge=0, description="From body complete to response ready")
    model_version: str = Field(examples=["u2net"])
    tensorrt_enabled: bool
    engine: str = Field(description="Engine and precision", examples=["openvino bf16"])
    retried_on_cpu: bool = Field(
        default=False, description="The GPU failed on this picture, and the CPU made the matte"
    )
    output: Output = Field(description="What was made")
    subject_found: bool = Field(description="Whether anything was found to be the subject")
    subject_box: SubjectBox | None
    applied: list[str] = Field(
        description="Options that were on", examples=[["smoothing", "decontaminate"]]
    )


class RemovalBody(BaseModel):
    """The answer with `return_base64=true`."""

    success: bool = True
    processed_image: str = Field(description="The file as a data URI")
    processing_info: ProcessingInfo


class Problem(BaseModel):
    """Every error of every route."""

    model_config = ConfigDict(extra="allow")

    detail: str
    error_code: str
    request_id: str


class BatchLine(BaseModel):
    """One line of the answer to a batch: of one picture, or the last one with the sums."""

    status: Literal["done", "failed", "finished"]
    index: int | None = Field(default=None, description="Place of the picture, from 0")
    filename: str | None = None
    progress: dict[Literal["done", "total"], int] | None = None
    processed_image: str | None = Field(default=None, description="The file as a data URI")
    processing_info: ProcessingInfo | None = None
    error: Problem | None = Field(default=None, description="Why nothing was made of it")
    succeeded: int | None = None
    failed: int | None = None
    processing_time_ms: float | None = None


class TaskAccepted(BaseModel):
    """A task that was taken on."""

    task_id: str = Field(description="Whoever has it has the task; keep it to yourself")
    status: Literal["processing", "completed", "failed"] = Field(description="In three words")
    state: TaskState = Field(description="How far it is")
    check_url: str = Field(description="Where to ask for it")
    position: int | None = Field(description="How many tasks are to be done before it, about")


class TaskOfBatch(BaseModel):
    """One picture of a batch: the task that it has become, or why it was not taken on."""

    index: int = Field(description="Place of the picture, from 0")
    filename: str
    task: TaskAccepted | None = None
    error: Problem | None = None


class BatchAccepted(BaseModel):
    """The pictures of a batch, in their order."""

    tasks: list[TaskOfBatch]


class TaskStatus(TaskAccepted):
    """What is known of a task."""

    created_at: str
    started_at: str | None = Field(description="When it was begun the last time")
    finished_at: str | None
    expires_at: str | None = Field(description="When its result is deleted")
    result_url: str | None = Field(description="Where the file is, once it succeeded")
    processing_info: ProcessingInfo | None
    error: Problem | None = Field(description="Why nothing was made, once it failed")


class OwnTasks(BaseModel):
    """The tasks of one key, the oldest first."""

    tasks: list[TaskStatus]


class WebhookSecret(BaseModel):
    """What webhooks for a key are signed with."""

    secret: str = Field(description="As Standard Webhooks writes it, with whsec_ before it")


class ModelFilesStatus(BaseModel):
    """Which files of the model are there."""

    checkpoint: bool
    config: bool
    tensorrt_engine: bool


class PerformanceMetrics(BaseModel):
    """Removals of the last hour; percentiles over the latest 1,024 of them."""

    avg_latency_ms: float
    p95_latency_ms: float
    p99_latency_ms: float
    requests_last_hour: int


class Health(BaseModel):
    """State of the service."""

    model_config = ConfigDict(protected_namespaces=())

    status: HealthState
    service: str = "BiRefNet Background Removal"
    version: str
    model: str
    architecture: str
    device: Literal["cuda", "cpu"]
    engine: str = Field(examples=["openvino bf16"])
    tensorrt_enabled: bool
    gpu_memory_free_mb: float
    model_files_status: ModelFilesStatus
    performance_metrics: PerformanceMetrics
    batch_size: int = Field(
        description="Pictures of batches that are worked on at once, as measured at the start"
    )
    reasons: list[str] = Field(default=[], description="Why the service is not simply healthy")
    error: str | None = Field(default=None, description="First reason, when unhealthy")
    detail: str | None = Field(default=None, description="All reasons, when unhealthy")


class Unhealthy(Health):
    """The same with status 503, which makes it a problem too."""

    error_code: str = UNHEALTHY
    request_id: str


class ModelInfo(BaseModel):
    """One model that is served."""

    model_config = ConfigDict(protected_namespaces=())

    name: str = Field(examples=["BiRefNet-general"])
    aliases: list[str] = Field(description="Other names that it answers to")
    architecture: str = Field(examples=["BiRefNet swin_v1_l"])
    purpose: str = Field(description="What it was trained for, where its name does not say")
    input_size: str = Field(description="What the network sees, width x height")
    checkpoint_bytes: int = Field(description="Size of its published file; 0 of your own")
    licence: str = Field(description="SPDX identifier of the licence of its weights")
    caveat: str = Field(description="What the licence does not say")
    light: bool = Field(description="Whether it is a small stand-in for a BiRefNet")
    available: bool = Field(description="Whether its inference service answers now")
    engine: str | None = Field(examples=["openvino"])
    precision: str | None = Field(examples=["bf16"])
    precision_reason: str | None = Field(description="Why a CPU runs it in that precision")
    device: str | None = Field(examples=["cpu"])


class Models(BaseModel):
    """The models that callers can choose, the default one first."""

    models: list[ModelInfo]


class BackgroundInfo(BaseModel):
    """A background that can be chosen by its id."""

    id: str = Field(description="For `background_id`", examples=["studio-white"])
    kind: Literal["template", "upload"]
    name: str
    thumbnail: str = Field(description="Address of a small JPEG, on this host")
    size: str | None = Field(default=None, description="Width x height of an upload")
    stored_bytes: int | None = Field(default=None, description="What an upload takes")
    created: str | None = Field(default=None, description="When it was uploaded, ISO 8601, UTC")


class BackgroundQuota(BaseModel):
    """What the holder of a key keeps, and may keep."""

    backgrounds: int
    max_backgrounds: int
    stored_bytes: int
    max_stored_bytes: int


class Backgrounds(BaseModel):
    """The templates, and the caller's own backgrounds."""

    backgrounds: list[BackgroundInfo]
    quota: BackgroundQuota | None = Field(description="Of the key that was shown; null without")


class Formats(BaseModel):
    """Media types of pictures."""

    input: list[str]
    output: list[str]


class Limits(BaseModel):
    """How much picture is taken."""

    max_file_bytes: int
    max_pixels: int
    max_long_side: int
    max_short_side: int
    min_side: int
    max_frames: int
    timeout_s: float = Field(description="Twice over 5 MB, four times over 8 MB")


class RateLimits(BaseModel):
    """How much one client may send; null is no limit."""

    per_minute: int | None
    per_second: int | None
    at_once: int | None


class TaskLimits(BaseModel):
    """Bounds of tasks."""

    max_tasks: int = Field(description="Unfinished ones, of all callers")
    max_tasks_per_client: int | None
    result_s: float = Field(description="Seconds that a result is kept")
    webhooks: bool = Field(description="Whether callers' servers are told how tasks end")


class Info(BaseModel):
    """What a service takes and gives."""

    version: str
    models: list[str]
    default_model: str
    options: list[str]
    presets: list[str]
    formats: Formats
    limits: Limits
    rate_limits: RateLimits
    tiers: dict[str, RateLimits] = Field(description="The same for holders of a key, by tier")
    max_batch_images: int
    image_url: bool = Field(description="Whether a picture is fetched from an address")
    max_previews: int = Field(description="Live previews that may be open at once; 0 for none")
    tasks: TaskLimits | None = Field(description="Bounds of tasks, if they are taken")
