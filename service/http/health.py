"""The state of the service in three words, with the reasons."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Protocol

from models.catalog import ALIASES
from models.errors import BackgroundRemovalError
from models.serving.status import EngineStatus
from models.spec import ModelSpec
from service.http.schemas import Health, HealthState, ModelFilesStatus, PerformanceMetrics
from service.removal.ports import InferenceStatus
from service.removal.telemetry import SlidingHour

log = logging.getLogger(__name__)

API_VERSION = "1.0.0"
_FAILURES_TO_BE_UNHEALTHY = 3


@dataclass(frozen=True)
class Requested:
    """What the operator asked for.

    Attributes:
        device: `auto`, `cpu` or `cuda`.
        of_gpu: Variables set to true that mean something on a GPU only.
        model: `auto`, or a name.
    """

    device: str
    of_gpu: tuple[str, ...]
    model: str


class InferenceProbe(Protocol):
    """Asks the inference service about itself."""

    async def describe(self) -> InferenceStatus:
        """What really runs, and how it fares.

        Raises:
            BackgroundRemovalError: If it does not answer.
        """


@dataclass(frozen=True)
class Checkup:
    """What was found when the service was asked how it is.

    Attributes:
        health: Its state, with reasons.
        usage: What the inference process takes; see `service.resources`. Empty if it does not
            answer.
    """

    health: Health
    usage: Mapping[str, float]


class HealthReporter:
    """Puts the state of the service together.

    Args:
        probe: Asks the inference service.
        spec: The model that is served.
        requested: What the operator asked for.
        hour: The last hour's removals.
        is_warm: Whether one full removal has run.
        overdue: Imaging threads past their deadline, and how many there are.
    """

    def __init__(
        self,
        probe: InferenceProbe,
        spec: ModelSpec,
        requested: Requested,
        hour: SlidingHour,
        is_warm: Callable[[], bool],
        overdue: Callable[[], tuple[int, int]] = lambda: (0, 1),
    ) -> None:
        self._probe, self._spec, self._requested, self._hour = probe, spec, requested, hour
        self.is_warm, self._overdue = is_warm, overdue
        self._told: HealthState | None = None

    async def report(self) -> Health:
        """The state of the service; see `check`."""
        return (await self.check()).health

    async def check(self) -> Checkup:
        """Ask, judge, tell; a state that differs from the last one is logged."""
        try:
            inference = await self._probe.describe()
        except BackgroundRemovalError:
            health = self._judged(None, ["the inference service does not answer"], [])
            return Checkup(health, {})
        status = inference.status
        health = self._judged(
            status, self._unhealthy_reasons(status), self._degraded_reasons(status)
        )
        return Checkup(health, inference.usage)

    def _judged(
        self, status: EngineStatus | None, unhealthy: list[str], degraded: list[str]
    ) -> Health:
        """The state of the service by what its engines say, None where they do not answer."""
        engine = status.engine if status else None
        tensorrt = engine is not None and engine.is_tensorrt
        health = Health(
            status="unhealthy" if unhealthy else "degraded" if degraded else "healthy",
            version=API_VERSION,
            model=self._spec.name,
            architecture=self._spec.network_name,
            device="cuda" if engine and engine.device == "cuda" else "cpu",
            engine=engine.label if engine else "none",
            tensorrt_enabled=tensorrt,
            gpu_memory_free_mb=status.gpu_memory_free_mb if status else 0.0,
            model_files_status=ModelFilesStatus(
                checkpoint=status is not None and status.graph_present,
                config=True,  # the API has the field; what it would hold is compiled in
                tensorrt_engine=tensorrt,
            ),
            performance_metrics=PerformanceMetrics(**asdict(self._hour.summary())),
            reasons=[*unhealthy, *degraded],
            error=unhealthy[0] if unhealthy else None,
            detail="; ".join(unhealthy) if unhealthy else None,
        )
        self._tell_of_change(health)
        return health

    def _tell_of_change(self, health: Health) -> None:
        before, self._told = self._told, health.status
        if health.status == before:
            return
        worse = health.status == "unhealthy" and before is not None
        log.log(
            logging.WARNING if worse else logging.INFO,
            "health is %s%s%s",
            health.status,
            f", was {before}" if before else "",
            f": {'; '.join(health.reasons)}" if health.reasons else "",
            extra={"fields": {"health": health.status, "reasons": health.reasons}},
        )

    async def is_ready(self) -> bool:
        """Whether one full removal has run and inference answers now."""
        try:
            await self._probe.describe()
        except BackgroundRemovalError:
            return False
        return self.is_warm()

    def _unhealthy_reasons(self, status: EngineStatus) -> list[str]:
        """Why nothing can be served."""
        reasons = []
        if not self.is_warm():
            reasons.append("the service is warming up")
        if status.failures_in_a_row >= _FAILURES_TO_BE_UNHEALTHY:
            reasons.append(f"the last {status.failures_in_a_row} inferences failed")
        overdue, threads = self._overdue()
        if overdue >= threads:
            reasons.append(f"all {threads} imaging threads are past their deadline")
        return reasons

    def _degraded_reasons(self, status: EngineStatus) -> list[str]:
        """Why less is served than was asked for."""
        reasons = list(status.notes)
        overdue, threads = self._overdue()
        if 0 < overdue < threads:
            reasons.append(f"{overdue} of {threads} imaging threads are past their deadline")
        if status.engine.device != "cuda":
            if self._requested.device == "cuda":
                reasons.append("BIREFNET_DEVICE=cuda, but no GPU engine runs here; the CPU serves")
            reasons += [f"{name}=true has no effect on a CPU" for name in self._requested.of_gpu]
        if self._requested.model in ALIASES:
            reasons.append(ALIASES[self._requested.model].note)
        if self._requested.model == "auto" and self._spec.light:
            reasons.append(f"only a light model is registered: {self._spec.name}, not a BiRefNet")
        return reasons
