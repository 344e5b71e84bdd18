"""Bento service 1, `inference`: adaptive batches of model inputs in, outcomes out; one model."""

from __future__ import annotations

import logging
import time
from typing import Any

import bentoml
import numpy as np

from models.engine import CPU_ENGINES, Engine, EngineConfig, open_engine
from models.errors import EngineError, InferenceFailed
from models.predictor import MattePredictor
from models.spec import Precision
from service.batching import batch_without_waiting
from service.lifecycle import end_with_supervisor, outlive_siblings, stop_service
from service.logs import LogConfig, set_up_logging
from service.model_choice import choose_model
from service.removal.admission import return_freed_memory
from service.settings import Settings, read_settings

log = logging.getLogger(__name__)

# Larger than the largest deadline (4 x 120 s), so that only our own ever fires.
LONGER_THAN_ANY_DEADLINE_S = 600
# A CPU gains 6% from a batch of four and pays for it in memory: larger batches only share the hop.
_CPU_ENGINE_BATCH = 1
_CPU_ADAPTIVE_BATCH = 4

batch_without_waiting()
_settings = read_settings()
_model = choose_model(_settings)


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
        self._notes: list[str] = []
        engine = self._open_engine(_settings)
        self._predictor = MattePredictor(engine, _model.spec.input.height, _model.spec.input.width)
        self._predictor.warm_up()
        return_freed_memory()
        outlive_siblings()
        log.info("serving %s (%s) on %s %s", _model.tag, _model.spec.network_name, *_short(engine))

    @bentoml.api(
        batchable=True,
        batch_dim=0,
        max_batch_size=_settings.batch_size or _CPU_ADAPTIVE_BATCH,
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
        started = time.perf_counter()
        engine = " ".join(_short(self._predictor.engine))
        outcome = {"engine": engine, "retried_on_cpu": False, "fault": None}
        try:
            alphas = self._predictor.predict(batch)
        except InferenceFailed as failure:
            log.exception("a batch of %d failed", len(batch))
            fault = {"code": failure.code, "fields": failure.fields}
            return [{**outcome, "alpha": None, "inference_ms": 0.0, "fault": fault}] * len(batch)
        elapsed_ms = (time.perf_counter() - started) * 1e3
        return [{**outcome, "alpha": alpha, "inference_ms": elapsed_ms} for alpha in alphas]

    @bentoml.api
    async def describe(self) -> dict[str, Any]:
        """What really runs; feeds health."""
        info = self._predictor.engine.info
        return {
            "engine": info.name,
            "runtime": info.runtime,
            "device": info.device,
            "precision": info.precision.value,
            "failures_in_a_row": self._predictor.failures_in_a_row,
            "gpu_memory_free_mb": 0.0,
            "graph_present": _model.files.graph.is_file(),
            "notes": self._notes,
        }

    @bentoml.on_shutdown
    def close(self) -> None:
        """Give the engine back."""
        self._predictor.close()

    def _open_engine(self, settings: Settings) -> Engine:
        """The engine asked for, or with `auto` the first that opens; health hears of a fallback."""
        if settings.engine == "fake":
            log.warning("BIREFNET_ENGINE=fake: NO MODEL RUNS, mattes are made up")
            self._notes.append("BIREFNET_ENGINE=fake: no model runs, mattes are made up")
        names = CPU_ENGINES if settings.engine == "auto" else (settings.engine,)
        for name in names:
            try:
                return open_engine(name, _model.files, _engine_config(settings))
            except EngineError as refused:
                log.error("engine %s: %s", name, refused)
                self._notes.append(f"engine {name} could not be opened")
        stop_service()
        raise SystemExit(f"no engine could be opened: {'; '.join(self._notes)}")


def _engine_config(settings: Settings) -> EngineConfig:
    settings.cache_dir.mkdir(parents=True, exist_ok=True)
    return EngineConfig(
        height=_model.spec.input.height,
        width=_model.spec.input.width,
        precisions=tuple(_model.spec.precisions),
        precision=None if settings.precision == "auto" else Precision(settings.precision),
        max_batch=_CPU_ENGINE_BATCH,
        cache_dir=settings.cache_dir,
        device=settings.device,
        pin_memory=settings.pin_memory,
        cudnn_benchmark=settings.cudnn_benchmark,
    )


def log_config(settings: Settings) -> LogConfig:
    """Where inference logs: in a file of its own, since two processes must not rotate one."""
    file = settings.log_file
    return LogConfig(settings.log_level, file and file.with_stem(f"{file.stem}.inference"))


def _short(engine: Engine) -> tuple[str, str]:
    return engine.info.name, engine.info.precision.value
