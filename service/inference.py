"""Bento service 1, `inference`: adaptive batches of model inputs in, outcomes out; one model."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path
from typing import Any

import bentoml
import numpy as np

from models.engines.trt.open import MACHINE
from models.errors import InferenceFailed, ModelError
from models.serving.failover import label_of
from models.serving.options import CUDA_BATCH
from models.serving.served import FAKE_NOTE, ServedEngines
from service.logs import LogConfig, set_up_logging
from service.processes.bentoml_patches import batch_without_waiting, end_timers_with_requests
from service.processes.own_socket import keep_reachable
from service.processes.workers import end_with_supervisor, listening_address, serving, stop_service
from service.resources import own_usage, return_freed_memory
from service.settings import Settings, read_settings
from service.shutdown import outlive_siblings
from service.startup import choose_model

log = logging.getLogger(__name__)

# Larger than the largest deadline (4 x 120 s), so that only our own ever fires.
LONGER_THAN_ANY_DEADLINE_S = 600
NO_MEMORY = "NO_MEMORY"  # of this machine, not of a device
# A CPU runs pictures one by one: a larger batch only shares the hop.
_CPU_ADAPTIVE_BATCH = 4

batch_without_waiting()
end_timers_with_requests()
_settings = read_settings()
_model = choose_model(_settings)
_on_gpu = _settings.device != "cpu" and MACHINE.probe() is None


@bentoml.service(
    name="inference",
    workers=1,
    threads=1,
    traffic={"timeout": LONGER_THAN_ANY_DEADLINE_S},
    # By default the caller's session is renewed after 100 calls, closing it under those in flight.
    runner_connection={"max_requests": 10**9, "max_age": 1e9},
    logging={"access": {"enabled": False}},
)
class Inference:
    """Runs the network for whoever asks, in batches."""

    model = bentoml.models.BentoModel(_model.tag)

    def __init__(self) -> None:
        set_up_logging(log_config(_settings))
        end_with_supervisor()
        if _settings.engine == "fake":
            log.warning("%s", FAKE_NOTE)
        try:
            self._engines = ServedEngines(_settings.engine_options, _model)
        except ModelError as refused:
            stop_service()
            raise SystemExit(str(refused)) from refused
        self._batch_began: float | None = None
        self._keeping: asyncio.Task[None] | None = None
        return_freed_memory()
        label = label_of(self._engines.engine)
        log.info("serving %s (%s) on %s", _model.tag, _model.spec.network_name, label)

    @bentoml.on_startup
    async def stay_reachable(self) -> None:
        """Outlive whoever sends us pictures, under a name that stays."""
        server, address = serving(), listening_address()
        outlive_siblings(stop_within_s(_settings))
        if server is not None and isinstance(address, str):
            self._keeping = asyncio.create_task(keep_reachable(server, Path(address)))

    @bentoml.api(
        batchable=True,
        batch_dim=0,
        max_batch_size=_settings.batch_size or (CUDA_BATCH if _on_gpu else _CPU_ADAPTIVE_BATCH),
        max_latency_ms=LONGER_THAN_ANY_DEADLINE_S * 1000,
    )
    def predict(self, batch: np.ndarray) -> list[Any]:
        """Make mattes; faults travel as values, since an exception would fail every batch-mate.

        Args:
            batch: Model inputs ``[N, H, W, 3]`` uint8, RGB.

        Returns:
            ``N`` outcomes: `alpha` ``[H, W]`` or None, `fault` or None, `engine`, `inference_ms`,
            `retried_on_cpu`.
        """
        started = self._batch_began = time.perf_counter()
        try:
            made = self._engines.predict(batch)
        except (InferenceFailed, MemoryError) as failure:
            log.exception("a batch of %d failed", len(batch))
            fault = _fault_of(failure)
            nothing = {"alpha": None, "inference_ms": 0.0, "retried_on_cpu": False}
            engine = label_of(self._engines.engine)
            return [{**nothing, "fault": fault, "engine": engine}] * len(batch)
        finally:
            self._batch_began = None
        outcome = {
            "fault": None,
            "engine": made.engine,
            "retried_on_cpu": made.retried_on_cpu,
            "inference_ms": (time.perf_counter() - started) * 1e3,
        }
        return [{**outcome, "alpha": alpha} for alpha in made.alphas]

    @bentoml.api
    async def describe(self) -> dict[str, Any]:
        """What really runs, in which process, and for how long a batch has; feeds health."""
        began = self._batch_began
        busy_s = 0.0 if began is None else time.perf_counter() - began
        own = {"pid": os.getpid(), "busy_s": busy_s, "process": own_usage()}
        return {**self._engines.describe(), **own}

    @bentoml.on_shutdown
    def close(self) -> None:
        """Give the engines back."""
        self._engines.close()


def _fault_of(failure: InferenceFailed | MemoryError) -> dict[str, Any]:
    """A failure as it travels to the public service."""
    if isinstance(failure, MemoryError) or isinstance(failure.__cause__, MemoryError):
        return {"code": NO_MEMORY, "fields": {}}
    return {"code": failure.code, "fields": failure.fields}


def stop_within_s(settings: Settings) -> float:
    """Seconds a worker may take to stop: what the longest deadline allows, and a little more."""
    return 4 * settings.processing_timeout_sec + 30


def log_config(settings: Settings) -> LogConfig:
    """Where inference logs: in a file of its own, since two processes must not rotate one."""
    file = settings.log_file and settings.log_file.with_stem(f"{settings.log_file.stem}.inference")
    return LogConfig(settings.log_level, file, settings.log_format, "inference")
