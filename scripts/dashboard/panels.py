"""What the dashboard shows, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_REMOVALS = 'route=~"/remove.*|/rembg"'


@dataclass(frozen=True)
class Query:
    """What a panel asks for.

    Attributes:
        expr: PromQL; `OURS` in it stands for what chooses the replicas, `RANGE` for a time.
        legend: Name of each line, of its labels.
    """

    expr: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """A panel: lines over time, or the newest value in large letters.

    Attributes:
        title: Its title.
        unit: As Grafana names it.
        queries: What it shows.
        meaning: What to read from it.
        is_stat: Whether only the newest value is shown.
        span: Columns of 24.
    """

    title: str
    unit: str
    queries: Sequence[Query]
    meaning: str = ""
    is_stat: bool = False
    span: int = 8


PANELS: dict[str, Sequence[Panel]] = {
    "State": (
        Panel(
            "Health",
            "none",
            [Query("background_removal_health{OURS} == 1", "{{instance}} {{state}}")],
            "The state each replica is in; its health says why.",
            is_stat=True,
            span=6,
        ),
        Panel(
            "What serves",
            "none",
            [Query("background_removal_build_info{OURS}", "{{version}} {{model}} {{engine}}")],
            is_stat=True,
            span=6,
        ),
        Panel(
            "Engines",
            "none",
            [
                Query(
                    "background_removal_engine_info{OURS}",
                    "{{model}} {{engine}} {{precision}} {{device}} {{runtime}}",
                )
            ],
            is_stat=True,
            span=6,
        ),
        Panel(
            "Running for",
            "s",
            [
                Query(
                    "time() - background_removal_process_start_time_seconds{OURS}",
                    "{{instance}} {{process}}",
                )
            ],
            is_stat=True,
            span=6,
        ),
    ),
    "Requests": (
        Panel(
            "Requests by route",
            "reqps",
            [
                Query(
                    "sum by (route) (rate(background_removal_requests_total{OURS}[RANGE]))",
                    "{{route}}",
                )
            ],
        ),
        Panel(
            "Removals by status",
            "reqps",
            [
                Query(
                    "sum by (status, error_code) "
                    f"(rate(background_removal_requests_total{{OURS, {_REMOVALS}}}[RANGE]))",
                    "{{status}} {{error_code}}",
                )
            ],
        ),
        Panel(
            "Latency of /remove",
            "s",
            [
                Query(
                    f"histogram_quantile({quantile}, sum by (le) (rate("
                    'background_removal_request_seconds_bucket{OURS, route="/remove"}[RANGE])))',
                    f"p{quantile * 100:g}",
                )
                for quantile in (0.5, 0.95, 0.99)
            ],
            "From body complete to response ready.",
        ),
        Panel(
            "Time by stage",
            "s",
            [
                Query(
                    "sum by (stage) (rate(background_removal_stage_seconds_sum{OURS}[RANGE])) "
                    "/ sum by (stage) (rate(background_removal_stage_seconds_count{OURS}[RANGE]))",
                    "{{stage}}",
                )
            ],
            "Mean; inference is part of matte.",
        ),
        Panel(
            "Limits counted without Redis",
            "reqps",
            [
                Query(
                    "rate(background_removal_limit_fallbacks_total{OURS}[RANGE])",
                    "{{instance}}",
                )
            ],
            "More than 0: Redis does not answer.",
        ),
        Panel(
            "In progress",
            "none",
            [
                Query("background_removal_requests_in_progress{OURS}", "requests {{instance}}"),
                Query("background_removal_previews_open{OURS}", "previews {{instance}}"),
            ],
        ),
    ),
    "Load": (
        Panel(
            "Lanes, share taken",
            "percentunit",
            [
                Query(
                    "background_removal_lane_pictures{OURS} "
                    "/ background_removal_lane_pictures_max{OURS}",
                    "{{instance}} {{lane}}",
                )
            ],
            "Callers at 1: 503 SERVICE_BUSY. Batches at 1 is their full speed.",
        ),
        Panel(
            "Removals by phase",
            "none",
            [Query("sum by (phase) (background_removal_removals{OURS})", "{{phase}}")],
            "Where they wait: memory, imaging threads, or inference.",
        ),
        Panel(
            "Memory of pictures, share taken",
            "percentunit",
            [
                Query(
                    "background_removal_picture_memory_bytes{OURS} "
                    "/ background_removal_picture_memory_max_bytes{OURS}",
                    "{{instance}}",
                )
            ],
        ),
        Panel(
            "Batch size",
            "none",
            [
                Query(
                    "sum(rate(bentoml_service_adaptive_batch_size_sum{OURS}[RANGE])) "
                    "/ sum(rate(bentoml_service_adaptive_batch_size_count{OURS}[RANGE]))",
                    "mean",
                ),
                Query("max(background_removal_engine_batch_size_max{OURS})", "most"),
            ],
            "Pictures in one forward pass.",
        ),
        Panel(
            "Age of the present batch",
            "s",
            [Query("background_removal_batch_age_seconds{OURS}", "{{instance}} {{process}}")],
        ),
        Panel(
            "Failed batches in a row",
            "none",
            [Query("background_removal_batches_failed_in_a_row{OURS}", "{{instance}} {{process}}")],
        ),
    ),
    "Processes": (
        Panel(
            "Memory",
            "bytes",
            [
                Query("background_removal_process_memory_bytes{OURS}", "{{instance}} {{process}}"),
                Query(
                    "min by (instance) (background_removal_process_memory_available_bytes{OURS})",
                    "left to {{instance}}",
                ),
                Query(
                    "min by (instance) (background_removal_process_memory_limit_bytes{OURS})",
                    "limit of {{instance}}",
                ),
            ],
        ),
        Panel(
            "Processor cores in use",
            "none",
            [
                Query(
                    "rate(background_removal_process_cpu_seconds_total{OURS}[RANGE])",
                    "{{instance}} {{process}}",
                )
            ],
        ),
        Panel(
            "GPU memory that is free",
            "bytes",
            [Query("background_removal_gpu_memory_free_bytes{OURS}", "{{instance}}")],
            "0 without a GPU.",
        ),
    ),
    "Tasks": (
        Panel(
            "Unfinished tasks",
            "none",
            [
                Query("max(background_removal_tasks_unfinished{OURS})", "unfinished"),
                Query("max(background_removal_tasks_unfinished_max{OURS})", "most"),
            ],
            "Replicas that share a queue each tell all of it.",
        ),
        Panel(
            "Tasks that ended",
            "ops",
            [
                Query(
                    "sum by (outcome) (rate(background_removal_tasks_total{OURS}[RANGE]))",
                    "{{outcome}}",
                )
            ],
        ),
        Panel(
            "Webhooks",
            "ops",
            [
                Query(
                    "sum by (outcome) "
                    "(rate(background_removal_webhook_attempts_total{OURS}[RANGE]))",
                    "{{outcome}}",
                )
            ],
        ),
    ),
}
