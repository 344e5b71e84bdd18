"""TensorRT as an engine: uint8 pictures in, uint8 alpha mattes out, on a thread of its own.

CUDA's context belongs to a thread, and a stream and its buffers serve one batch at a time. So one
thread makes, uses and closes all of it, and callers wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock

import numpy as np

from models.arrays import U8Array
from models.engine import EngineConfig, EngineInfo, Headroom
from models.engines.trt.device_runner import DeviceRunner
from models.engines.trt.ports import CudaDriver, CudaError, DeviceMemory, PlanRuntime
from models.errors import InferenceFailed, OutOfDeviceMemory
from models.spec import Precision

_MIB = 1024 * 1024


class TensorRtEngine:
    """A plan that runs.

    Args:
        plan: Bytes of a verified plan; a plan is code.
        open_driver: Opens the device; called on the thread that will use it.
        open_runtime: Opens what runs plans; likewise, after the driver.
        config: How to open it.
        precision: What the plan computes in.

    Raises:
        EngineUnavailable: If the device fails or has too little memory; says how much.
        EngineIncompatible: If the runtime refuses the plan, or it is for pictures of another size.
    """

    def __init__(
        self,
        plan: bytes,
        open_driver: Callable[[], CudaDriver],
        open_runtime: Callable[[], PlanRuntime],
        config: EngineConfig,
        precision: Precision,
    ) -> None:
        self._shape = (config.height, config.width, 3)
        self._lock = Lock()
        self._closed = False
        self._broken = ""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tensorrt")
        try:
            self._runner = self._thread.submit(
                DeviceRunner, plan, open_driver, open_runtime, config
            ).result()
        except BaseException:
            self._thread.shutdown()
            raise
        self._info = EngineInfo(
            name="tensorrt",
            runtime=self._runner.runtime_name,
            device="cuda",
            precision=precision,
            max_batch=self._runner.max_batch,
        )

    @property
    def info(self) -> EngineInfo:
        """What really runs."""
        return self._info

    def predict(self, batch: U8Array) -> U8Array:
        """Run one batch; see `models.engine.Engine`. Any thread may call."""
        most, shape = self._info.max_batch, self._shape
        fits = batch.dtype == np.uint8 and batch.shape[1:] == shape and 1 <= len(batch) <= most
        if not fits:
            raise InferenceFailed(
                f"expected 1 to {most} x {list(shape)} bytes, got {batch.dtype} {list(batch.shape)}"
            )
        with self._lock:  # nothing comes after `close`: what is in the queue by then is answered
            if self._closed:
                raise InferenceFailed("the engine is closed")
            answer = self._thread.submit(self._run, batch)
        return answer.result()

    def memory(self) -> DeviceMemory | None:
        """The device's own figures; None once it failed or is closed. Any thread may ask."""
        with self._lock:  # not while it is closed
            if self._closed or self._broken:
                return None
            return self._runner.memory()

    def headroom(self, batch: int) -> Headroom | None:
        """What is free; nothing more is needed: all a batch takes was taken when it was opened."""
        memory = self.memory()
        return None if memory is None else Headroom(memory.free_bytes / _MIB, 0.0)

    def close(self) -> None:
        """Give everything back, after what waits. Never raises; may be called twice."""
        with self._lock:
            if not self._closed:
                self._closed = True
                with suppress(RuntimeError):  # the interpreter is ending
                    self._thread.submit(self._runner.close)
        self._thread.shutdown()

    def _run(self, batch: U8Array) -> U8Array:
        """One batch, on the GPU's thread.

        Raises:
            InferenceFailed: If it fails. After any fault but a lack of memory the context is of no
                use, to anybody: every later batch fails at once.
        """
        if self._broken:
            raise InferenceFailed(f"the CUDA device failed before: {self._broken}")
        try:
            return self._runner.run(batch)
        except CudaError as failure:
            if failure.code == CudaError.OUT_OF_MEMORY:
                raise OutOfDeviceMemory(
                    f"TensorRT: {failure}", **self._runner.shortage().fields
                ) from failure
            self._broken = str(failure)
            raise InferenceFailed(f"TensorRT: {failure}") from failure
