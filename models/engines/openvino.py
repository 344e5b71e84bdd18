"""OpenVINO on the CPU: uint8 pictures in, uint8 alpha mattes out."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import openvino as ov

from models.engine import EngineConfig, EngineInfo, U8Array
from models.errors import EngineIncompatible, InferenceFailed
from models.spec import Precision

_CAPABILITY = {Precision.F32: "FP32", Precision.BF16: "BF16", Precision.F16: "FP16"}


class OpenVinoEngine:
    """A graph compiled once for any batch size, in the fastest precision model and CPU allow.

    CPU pinning is off: with it, two threads shared one core of a container (measured, see
    `docs/engines.md`).

    Args:
        graph: ONNX file, uint8 in and uint8 alpha out.
        config: How to open it.

    Raises:
        EngineIncompatible: If the CPU has not the precision asked for, or the graph is refused.
    """

    def __init__(self, graph: Path, config: EngineConfig) -> None:
        core = ov.Core()
        precision = _choose_precision(core, config)
        threads = config.threads or len(os.sched_getaffinity(0))
        properties: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": precision.value,
            "ENABLE_CPU_PINNING": False,
        }
        if config.cache_dir is not None:
            properties |= {"CACHE_DIR": str(config.cache_dir), "CACHE_MODE": "OPTIMIZE_SIZE"}
        try:
            compiled = core.compile_model(str(graph), "CPU", properties)
        except RuntimeError as refused:
            raise EngineIncompatible(f"OpenVINO refuses {graph.name}: {refused}") from refused
        self._request: ov.InferRequest | None = compiled.create_infer_request()
        self._lock = Lock()
        self._info = EngineInfo(
            name="openvino",
            runtime=f"openvino {ov.__version__.split('-')[0]}",
            device="cpu",
            precision=precision,
            max_batch=config.max_batch,
        )

    @property
    def info(self) -> EngineInfo:
        """What really runs."""
        return self._info

    def predict(self, batch: U8Array) -> U8Array:
        """Run one batch; see `models.engine.Engine`."""
        with self._lock:
            if self._request is None:
                raise InferenceFailed("the engine is closed")
            try:
                outputs = self._request.infer({0: batch}, share_inputs=True)
            except RuntimeError as failure:
                raise InferenceFailed(f"OpenVINO: {failure}") from failure
            alpha: U8Array = np.array(outputs[0], copy=True)  # [N, S, S]; the request keeps its own
        return alpha

    def close(self) -> None:
        """Drop the compiled model. May be called twice."""
        with self._lock:
            self._request = None


def _choose_precision(core: ov.Core, config: EngineConfig) -> Precision:
    """The precision to run in: the one insisted on, else the first of the model's this CPU has."""
    capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if config.precision is not None:
        if _CAPABILITY[config.precision] not in capabilities:
            raise EngineIncompatible(f"this CPU has no {config.precision.value} arithmetic")
        return config.precision
    return next(p for p in (*config.precisions, Precision.F32) if _CAPABILITY[p] in capabilities)
