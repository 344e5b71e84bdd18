"""Bento service 1, `inference`: runs one model, in adaptive batches."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import bentoml
import numpy as np
from bentoml import Service

from models.errors import InferenceFailed, ModelError, OutOfDeviceMemory
from models.serving.served import FAKE_NOTE, ServedEngines
from models.store.entries import bundled_services
from models.store.registered import RegisteredModel
from service.errors import CannotStart, MemoryExhausted
from service.http.span_middleware import SpanMiddleware
from service.http.token_check import TokenCheckMiddleware
from service.logs import LogConfig, set_up_logging
from service.processes.batch_spans import tell_spans_of_batches
from service.processes.bentoml_patches import batch_without_waiting, end_timers_with_requests
from service.processes.own_socket import keep_reachable
from service.processes.workers import end_with_supervisor, listening_address, serving, stop_service
from service.removal.ports import Fault, FaultKind, InferenceStatus, Matte
from service.resources import has_room_for_as_much, own_usage, return_freed_memory
from service.settings import Settings
from service.shutdown import stop_after_public
from service.supervision import check_inference, stop_within_s
from service.tracing.opening import start_tracing
from service.tracing.spans import current

log = logging.getLogger(__name__)

# Larger than the largest deadline (4 x 120 s), so that only our own ever fires.
LONGER_THAN_ANY_DEADLINE_S = 600
# BentoML's own spans say what a caller's address was, and cost time where nobody collects them.
NO_TRACING: Any = {"excluded_urls": [".*"]}

batch_without_waiting()
end_timers_with_requests()


class InferenceService:
    """Runs one model for whoever asks, in batches; `create_inference` makes a service of it.

    Attributes:
        name: Name of the service.
        settings: What the operator asked for.
        served: The model.
    """

    name: str
    settings: Settings
    served: RegisteredModel

    def __init__(self) -> None:
        settings, served = self.settings, self.served
        set_up_logging(log_config(settings, self.name))
        end_with_supervisor()
        if settings.engine == "fake":
            log.warning("%s", FAKE_NOTE)
        try:
            self._engines = ServedEngines(settings.engine_options, served)
        except ModelError as refused:
            stop_service()
            raise SystemExit(str(refused)) from refused
        self._batch_began: float | None = None
        self._keeping: asyncio.Task[None] | None = None
        return_freed_memory()
        self._engines.try_faster_precision(has_room_for_as_much)
        label = self._engines.engine.info.label
        log.info("serving %s (%s) on %s", served.tag, served.spec.network_name, label)

    @bentoml.on_startup
    async def stay_reachable(self) -> None:
        """Outlive whoever sends us pictures, under a name that stays."""
        server, address = serving(), listening_address()
        settings = self.settings
        self._stop_tracing = start_tracing(settings.otlp_endpoint, settings.trace_ratio, self.name)
        stop_after_public(stop_within_s(self.settings))
        if server is not None and isinstance(address, str):
            self._keeping = asyncio.create_task(keep_reachable(server, Path(address)))

    def predict(self, batch: np.ndarray) -> list[Any]:
        """Make mattes; faults travel as values, since an exception would fail every batch-mate.

        Args:
            batch: Model inputs ``[N, H, W, 3]`` uint8, RGB.

        Returns:
            ``N`` times a `service.removal.ports.Outcome`.
        """
        started = self._batch_began = time.perf_counter()
        try:
            with current().child("inference") as span:
                made = self._engines.predict(batch)
                span.tell({"birefnet.engine": made.engine.label})
        except (InferenceFailed, MemoryError) as failure:
            log.exception("a batch of %d failed", len(batch))
            return [_fault_of(failure)] * len(batch)
        finally:
            self._batch_began = None
        took_ms = (time.perf_counter() - started) * 1e3
        return [Matte(alpha, made.engine, took_ms, made.retried_on_cpu) for alpha in made.alphas]

    @bentoml.api
    async def describe(self) -> Any:
        """What really runs, in which process, and for how long a batch has; feeds health."""
        began = self._batch_began
        busy_s = 0.0 if began is None else time.perf_counter() - began
        status = self._engines.describe()
        return InferenceStatus(status, os.getpid(), busy_s, own_usage(), self.name)

    @bentoml.on_shutdown
    async def close(self) -> None:
        """Give the engines back."""
        self._engines.close()
        await self._stop_tracing()


def create_inference(
    settings: Settings, served: RegisteredModel, name: str = "inference"
) -> Service[InferenceService]:
    """Make the Bento service that runs a model.

    Args:
        settings: What the operator asked for.
        served: The model.
        name: Name of the service, in the Bento and in the log.
    """
    batched = bentoml.api(
        batchable=True,
        batch_dim=0,
        max_batch_size=settings.engine_options.adaptive_batch,
        max_latency_ms=LONGER_THAN_ANY_DEADLINE_S * 1000,
    )
    members = {
        "__doc__": InferenceService.__doc__,
        "__module__": __name__,
        "name": name,
        "settings": settings,
        "served": served,
        "model": bentoml.models.BentoModel(served.tag),
        "predict": batched(InferenceService.predict),
        "check_surroundings": bentoml.on_deployment(
            staticmethod(partial(check_inference, settings, served, name))
        ),
    }
    as_service = bentoml.service(
        name=name,
        workers=1,
        threads=1,
        traffic={"timeout": LONGER_THAN_ANY_DEADLINE_S},
        # By default the caller's session is renewed after 100 calls, closing it under those in
        # flight.
        runner_connection={"max_requests": 10**9, "max_age": 1e9},
        logging={"access": {"enabled": False}},
        tracing=NO_TRACING,
    )
    service = as_service(type("Inference", (InferenceService,), members))
    if settings.otlp_endpoint:
        tell_spans_of_batches()
        service.add_asgi_middleware(SpanMiddleware)
    if settings.inference_token:
        service.add_asgi_middleware(TokenCheckMiddleware, token=settings.inference_token)
    return service


def _fault_of(failure: InferenceFailed | MemoryError) -> Fault:
    """A failure as it travels to the public service."""
    if isinstance(failure, MemoryError) or isinstance(failure.__cause__, MemoryError):
        return Fault(FaultKind.MACHINE_MEMORY, MemoryExhausted.code, {})
    lacks_memory = isinstance(failure, OutOfDeviceMemory)
    kind = FaultKind.DEVICE_MEMORY if lacks_memory else FaultKind.ENGINE
    return Fault(kind, failure.code, failure.fields)


def log_config(settings: Settings, name: str) -> LogConfig:
    """Where an inference service logs: a file of its own, since two processes must not rotate one.

    Args:
        settings: What the operator asked for.
        name: Name of the service.
    """
    file = settings.log_file and settings.log_file.with_stem(f"{settings.log_file.stem}.{name}")
    return LogConfig(settings.log_level, file, settings.log_format, name)


def inference_services(
    models: Sequence[RegisteredModel],
) -> Mapping[str, RegisteredModel]:
    """The models by the names of their services: `inference`, or one name for each of several.

    Raises:
        CannotStart: If our Bento has no such services; BentoML would end in a traceback.
    """
    there = bundled_services()
    if len(models) == 1 and (not there or "inference" in there):
        return {"inference": models[0]}
    named = {f"inference_{model.spec.name.lower().replace('-', '_')}": model for model in models}
    if there and not named.keys() <= there:
        names = ",".join(model.spec.name for model in models)
        raise CannotStart(
            f"this Bento was not built to serve {names} at once; build one that is: "
            f"make bento BIREFNET_MODELS={names} (or make image)"
        )
    return named
