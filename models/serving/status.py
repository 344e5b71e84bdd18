"""What an engine says of itself to whoever watches the service."""

from __future__ import annotations

from dataclasses import dataclass

from models.engine import EngineInfo


@dataclass(frozen=True)
class EngineStatus:
    """What really runs, and why it is not what was asked for.

    Attributes:
        engine: What serves now.
        failures_in_a_row: Batches that came to nothing since the last that did not.
        gpu_memory_free_mb: Free memory of the device, in MiB; 0 without one.
        graph_present: Whether the model's graph is where it was registered.
        notes: Why less serves than might, one sentence each; fit to be shown to anybody.
        precision_reason: Why a CPU engine runs in its precision; empty where nothing was chosen.
    """

    engine: EngineInfo
    failures_in_a_row: int
    gpu_memory_free_mb: float
    graph_present: bool
    notes: tuple[str, ...]
    precision_reason: str = ""
