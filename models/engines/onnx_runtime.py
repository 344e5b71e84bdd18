"""ONNX Runtime on the CPU: uint8 pictures in, uint8 alpha mattes out. The portable fallback."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort

from models.arrays import U8Array
from models.artifacts import ModelFiles
from models.cores import usable_cores
from models.engine import EngineConfig, EngineInfo, Headroom
from models.errors import EngineIncompatible, InferenceFailed
from models.spec import Precision


class OnnxRuntimeEngine:
    """A session in float32.

    Args:
        files: The model; its graph is what runs.
        config: How to open it.

    Raises:
        EngineIncompatible: If another precision than f32 is asked for, or the graph is refused.
    """

    def __init__(self, files: ModelFiles, config: EngineConfig) -> None:
        if config.precision not in (None, Precision.F32):
            raise EngineIncompatible("ONNX Runtime runs in f32 on a CPU")
        options = ort.SessionOptions()
        options.intra_op_num_threads = config.threads or usable_cores()
        options.enable_cpu_mem_arena = False  # keeps the peak of the largest batch otherwise
        options.log_severity_level = 3
        try:
            self._session: ort.InferenceSession | None = ort.InferenceSession(
                str(files.graph), options, providers=["CPUExecutionProvider"]
            )
        except Exception as refused:  # its exceptions share no base class
            raise EngineIncompatible(
                f"ONNX Runtime refuses {files.graph.name}: {refused}"
            ) from refused
        self._info = EngineInfo(
            name="onnxruntime",
            runtime=f"onnxruntime {ort.__version__}",
            device="cpu",
            precision=Precision.F32,
            max_batch=config.max_batch,
        )

    @property
    def info(self) -> EngineInfo:
        """What really runs."""
        return self._info

    def predict(self, batch: U8Array) -> U8Array:
        """Run one batch; see `models.engine.Engine`."""
        session = self._session
        if session is None:
            raise InferenceFailed("the engine is closed")
        try:
            outputs = session.run(["alpha"], {"image": batch})
        except Exception as failure:  # its exceptions share no base class
            raise InferenceFailed(f"ONNX Runtime: {failure}") from failure
        return np.asarray(outputs[0], dtype=np.uint8)

    def headroom(self, batch: int) -> Headroom | None:
        """Nothing to tell on a CPU."""
        return None

    def close(self) -> None:
        """Drop the session. May be called twice."""
        self._session = None
