"""The bodies of the API, for its documentation and its answers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.removal.options import Output

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
    reasons: list[str] = Field(default=[], description="Why the service is not simply healthy")
    error: str | None = Field(default=None, description="First reason, when unhealthy")
    detail: str | None = Field(default=None, description="All reasons, when unhealthy")


class Unhealthy(Health):
    """The same with status 503, which makes it a problem too."""

    error_code: str = UNHEALTHY
    request_id: str


class Problem(BaseModel):
    """Every error of every route."""

    model_config = ConfigDict(extra="allow")

    detail: str
    error_code: str
    request_id: str
