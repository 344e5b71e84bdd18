"""The state of the service in three words, with the reasons."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from models.catalog import ALIASES
from models.errors import BackgroundRemovalError
from models.spec import ModelSpec
from service.http.metrics import SlidingHour
from service.http.schemas import Health, HealthState, ModelFilesStatus, PerformanceMetrics

log = logging.getLogger(__name__)

API_VERSION = "1.0.0"
_FAILURES_TO_BE_UNHEALTHY = 3


@dataclass(frozen=True)
class Wanted:
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

    async def describe(self) -> Mapping[str, Any]:
        """Engine, precision, device, failures in a row, free GPU memory, use of the machine.

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
        wanted: What the operator asked for.
        hour: The last hour's removals.
        is_warm: Whether one full removal has run.
        overdue: Imaging threads past their deadline, and how many there are.
    """

    def __init__(
        self,
        probe: InferenceProbe,
        spec: ModelSpec,
        wanted: Wanted,
        hour: SlidingHour,
        is_warm: Callable[[], bool],
        overdue: Callable[[], tuple[int, int]] = lambda: (0, 1),
    ) -> None:
        self._probe, self._spec, self._wanted, self._hour = probe, spec, wanted, hour
        self.is_warm, self._overdue = is_warm, overdue
        self._told: HealthState | None = None

    async def report(self) -> Health:
        """The state of the service; see `check`."""
        return (await self.check()).health

    async def check(self) -> Checkup:
        """Ask, judge, tell; a state that differs from the last one is logged."""
        try:
            engine: Mapping[str, Any] = await self._probe.describe()
            ailing = self._ailments(engine)
        except BackgroundRemovalError:
            engine, ailing = {}, ["the inference service does not answer"]
        lacking = self._shortcomings(engine)
        tensorrt = engine.get("engine") == "tensorrt"
        health = Health(
            status="unhealthy" if ailing else "degraded" if lacking else "healthy",
            version=API_VERSION,
            model=self._spec.name,
            architecture=self._spec.network_name,
            device=engine.get("device", "cpu"),
            engine=f"{engine.get('engine', 'none')} {engine.get('precision', '')}".strip(),
            tensorrt_enabled=tensorrt,
            gpu_memory_free_mb=engine.get("gpu_memory_free_mb", 0.0),
            model_files_status=ModelFilesStatus(
                checkpoint=bool(engine.get("graph_present")),
                config=True,
                tensorrt_engine=tensorrt,
            ),
            performance_metrics=PerformanceMetrics(**asdict(self._hour.summary())),
            reasons=[*ailing, *lacking],
            error=ailing[0] if ailing else None,
            detail="; ".join(ailing) if ailing else None,
        )
        self._tell_of_change(health)
        return Checkup(health, engine.get("process", {}))

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
            return self.is_warm() and bool(await self._probe.describe())
        except BackgroundRemovalError:
            return False

    def _ailments(self, engine: Mapping[str, Any]) -> list[str]:
        """Why nothing can be served."""
        reasons = []
        if not self.is_warm():
            reasons.append("the service is warming up")
        if engine["failures_in_a_row"] >= _FAILURES_TO_BE_UNHEALTHY:
            reasons.append(f"the last {engine['failures_in_a_row']} inferences failed")
        overdue, threads = self._overdue()
        if overdue >= threads:
            reasons.append(f"all {threads} imaging threads are past their deadline")
        return reasons

    def _shortcomings(self, engine: Mapping[str, Any]) -> list[str]:
        """Why less is served than was asked for."""
        if not engine:
            return []
        reasons = list(engine["notes"])
        overdue, threads = self._overdue()
        if 0 < overdue < threads:
            reasons.append(f"{overdue} of {threads} imaging threads are past their deadline")
        if engine["device"] != "cuda":
            if self._wanted.device == "cuda":
                reasons.append("BIREFNET_DEVICE=cuda, but no GPU engine runs here; the CPU serves")
            reasons += [f"{name}=true has no effect on a CPU" for name in self._wanted.of_gpu]
        if self._wanted.model in ALIASES:
            reasons.append(ALIASES[self._wanted.model].note)
        if self._wanted.model == "auto" and self._spec.light:
            reasons.append(f"only a light model is registered: {self._spec.name}, not a BiRefNet")
        return reasons
