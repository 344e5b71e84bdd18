"""The state of the service in three words, with the reasons."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from models.catalog import ALIASES
from models.errors import BackgroundRemovalError
from models.serving.status import EngineStatus
from service.http.schemas import Health, HealthState, ModelFilesStatus, PerformanceMetrics
from service.removal.ports import InferenceStatus, ServedModel
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


@dataclass(frozen=True)
class Checkup:
    """What was found when the service was asked how it is.

    Attributes:
        health: Its state, with reasons.
        told: What each inference service that answers says of itself, by the name of its model.
    """

    health: Health
    told: Mapping[str, InferenceStatus]


class HealthReporter:
    """Puts the state of the service together.

    Args:
        models: The models that are served, the default one first.
        requested: What the operator asked for.
        hour: The last hour's removals.
        is_warm: Whether one full removal has run.
        overdue: Imaging threads past their deadline, and how many there are.
        batch_size: How many pictures of batches are worked on at once.
        notes: Tells what else is not as it was asked for: keys, limits, storage.
    """

    def __init__(
        self,
        models: Sequence[ServedModel],
        requested: Requested,
        hour: SlidingHour,
        is_warm: Callable[[], bool],
        overdue: Callable[[], tuple[int, int]] = lambda: (0, 1),
        batch_size: Callable[[], int] = lambda: 1,
        notes: Callable[[], Awaitable[list[str]]] | None = None,
    ) -> None:
        self._models, self._requested, self._hour = models, requested, hour
        self.is_warm, self._overdue, self._batch_size = is_warm, overdue, batch_size
        self._notes = notes
        self._told: HealthState | None = None

    async def report(self) -> Health:
        """The state of the service; see `check`."""
        return (await self.check()).health

    async def check(self) -> Checkup:
        """Ask, judge, tell; a state that differs from the last one is logged."""
        answers = await asyncio.gather(*(_ask(model) for model in self._models))
        told = {
            model.spec.name: answer
            for model, answer in zip(self._models, answers, strict=True)
            if answer is not None
        }
        notes = await self._notes() if self._notes else []
        return Checkup(self._judged(told, notes), told)

    def _judged(self, told: Mapping[str, InferenceStatus], notes: Sequence[str]) -> Health:
        """The state by what the engines say; the default model's decides what is unhealthy."""
        spec = self._models[0].spec
        answer = told.get(spec.name)
        status = answer.status if answer else None
        unhealthy = self._unhealthy_reasons(status)
        degraded = [*self._degraded_reasons(told), *notes]
        engine = status.engine if status else None
        tensorrt = engine is not None and engine.is_tensorrt
        health = Health(
            status="unhealthy" if unhealthy else "degraded" if degraded else "healthy",
            version=API_VERSION,
            model=spec.name,
            architecture=spec.network_name,
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
            batch_size=self._batch_size(),
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
        """Whether one full removal has run and the default model's inference answers now."""
        return await _ask(self._models[0]) is not None and self.is_warm()

    def _unhealthy_reasons(self, status: EngineStatus | None) -> list[str]:
        """Why nothing can be served."""
        if status is None:
            return ["the inference service does not answer"]
        reasons = []
        if not self.is_warm():
            reasons.append("the service is warming up")
        if status.failures_in_a_row >= _FAILURES_TO_BE_UNHEALTHY:
            reasons.append(f"the last {status.failures_in_a_row} inferences failed")
        overdue, threads = self._overdue()
        if overdue >= threads:
            reasons.append(f"all {threads} imaging threads are past their deadline")
        return reasons

    def _degraded_reasons(self, told: Mapping[str, InferenceStatus]) -> list[str]:
        """Why less is served than was asked for."""
        default, *others = (model.spec.name for model in self._models)
        reasons = [
            f"{name}: the inference service does not answer" for name in others if name not in told
        ]
        for name, answer in told.items():
            status, of = answer.status, f"{name}: " if others else ""
            reasons += [of + note for note in status.notes]
            if name != default and status.failures_in_a_row >= _FAILURES_TO_BE_UNHEALTHY:
                reasons.append(f"{of}the last {status.failures_in_a_row} inferences failed")
        if default in told:
            reasons += self._lacks(told[default].status)
        return reasons

    def _lacks(self, status: EngineStatus) -> list[str]:
        """What an operator asked for and did not get."""
        reasons = []
        overdue, threads = self._overdue()
        if 0 < overdue < threads:
            reasons.append(f"{overdue} of {threads} imaging threads are past their deadline")
        if status.engine.device != "cuda":
            if self._requested.device == "cuda":
                reasons.append("BIREFNET_DEVICE=cuda, but no GPU engine runs here; the CPU serves")
            reasons += [f"{name}=true has no effect on a CPU" for name in self._requested.of_gpu]
        if self._requested.model in ALIASES:
            reasons.append(ALIASES[self._requested.model].note)
        spec = self._models[0].spec
        if self._requested.model == "auto" and spec.light:
            reasons.append(f"only a light model is registered: {spec.name}, not a BiRefNet")
        return reasons


async def _ask(model: ServedModel) -> InferenceStatus | None:
    """What an inference service says of itself; None if it does not answer."""
    try:
        return await model.client.describe()
    except BackgroundRemovalError:
        return None
