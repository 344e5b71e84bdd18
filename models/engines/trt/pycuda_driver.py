"""The CUDA driver through `pycuda`. It has no graphs, so it cannot record."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from threading import Lock
from typing import Any

import numpy as np

from models.arrays import U8Array
from models.engines.trt.driver import read_kernel_driver_version
from models.engines.trt.ports import CudaError, DeviceFacts, DeviceMemory, Recording

_LAUNCH_FAILED, _CONTEXT_DESTROYED, _UNKNOWN = 719, 709, 999
_NON_BLOCKING = 1


class PyCudaDriver:
    """The primary context of one device; see `models.engines.trt.ports.CudaDriver`.

    The primary one, never `pycuda.autoinit`'s: PyTorch and TensorRT are in the primary one too.

    Args:
        device: Which one, as CUDA counts them.

    Raises:
        ImportError: If `pycuda` is not installed.
        CudaError: If the device does not open.
    """

    def __init__(self, device: int = 0) -> None:
        self._cuda = import_module("pycuda.driver")
        self._streams: dict[int, Any] = {}
        self._allocations: dict[int, Any] = {}
        self._pinned: list[Any] = []
        self._lock = Lock()  # between `close` and another thread's `memory`
        with self._translated("cuInit"):
            self._cuda.init()
            opened = self._cuda.Device(device)
            self._facts = DeviceFacts(
                name=opened.name(),
                compute_capability=tuple(opened.compute_capability()),
                cuda_version=self._cuda.get_driver_version(),
                driver=read_kernel_driver_version(),
                total_bytes=int(opened.total_memory()),
            )
            self._context = opened.retain_primary_context()

    @property
    def facts(self) -> DeviceFacts:
        """Which device this is."""
        return self._facts

    @contextmanager
    def current(self) -> Iterator[None]:
        """Makes the context the calling thread's own within; always leaves it as it was."""
        if self._context is None:
            raise CudaError("cuCtxPushCurrent", _CONTEXT_DESTROYED, "the driver is closed")
        with self._translated("cuCtxPushCurrent"):
            self._context.push()
        try:
            yield
        finally:
            with self._translated("cuCtxPopCurrent"):
                self._context.pop()

    def memory(self) -> DeviceMemory:
        """Free and total memory now; any thread may ask."""
        with self._lock, self.current(), self._translated("cuMemGetInfo"):
            free, total = self._cuda.mem_get_info()
        return DeviceMemory(int(free), int(total))

    def allocate(self, n_bytes: int) -> int:
        """Address of new device memory."""
        with self._translated("cuMemAlloc"):
            allocation = self._cuda.mem_alloc(n_bytes)
        self._allocations[int(allocation)] = allocation
        return int(allocation)

    def free(self, address: int) -> None:
        """Give device memory back."""
        with self._translated("cuMemFree"):
            self._allocations.pop(address).free()

    def pinned(self, shape: tuple[int, ...]) -> U8Array:
        """Page-locked host memory, valid until `close`."""
        with self._translated("cuMemHostAlloc"):
            array: U8Array = self._cuda.pagelocked_empty(shape, np.uint8)
        self._pinned.append(array.base)
        return array

    def create_stream(self) -> int:
        """A stream of its own, which never waits for the default one."""
        with self._translated("cuStreamCreate"):
            stream = self._cuda.Stream(_NON_BLOCKING)
        self._streams[int(stream.handle)] = stream
        return int(stream.handle)

    def upload(self, address: int, source: U8Array, stream: int) -> None:
        """Enqueue a copy to the device."""
        with self._translated("cuMemcpyHtoDAsync"):
            self._cuda.memcpy_htod_async(address, source, self._streams[stream])

    def download(self, target: U8Array, address: int, stream: int) -> None:
        """Enqueue a copy from the device."""
        with self._translated("cuMemcpyDtoHAsync"):
            self._cuda.memcpy_dtoh_async(target, address, self._streams[stream])

    def synchronize(self, stream: int) -> None:
        """Wait until everything enqueued is done."""
        with self._translated("cuStreamSynchronize"):
            self._streams[stream].synchronize()

    def record(self, stream: int, work: Callable[[], None]) -> Recording | None:
        """None: no release up to 2026.1 can capture a stream."""
        return None

    def close(self) -> None:
        """Give streams, pinned memory and the context back. May be called twice."""
        if self._context is None:
            return
        with suppress(CudaError), self.current():
            self._streams.clear()  # their destructors give them back, while the context is current
            self._allocations.clear()
            while self._pinned:
                with suppress(CudaError), self._translated("cuMemFreeHost"):
                    self._pinned.pop().free()
        with self._lock:
            context, self._context = self._context, None
            with suppress(CudaError), self._translated("cuDevicePrimaryCtxRelease"):
                context.detach()
                # `detach` leaves the context current: it believes that releasing a primary
                # context pops it, as destroying another one does.
                _pop_current()

    @contextmanager
    def _translated(self, call: str) -> Iterator[None]:
        """Its exceptions carry no number, only a class and what the driver said.

        Raises:
            CudaError: In their place.
        """
        try:
            yield
        except self._cuda.Error as failure:
            code = _UNKNOWN
            if isinstance(failure, self._cuda.MemoryError):
                code = CudaError.OUT_OF_MEMORY
            elif isinstance(failure, self._cuda.LaunchError):
                code = _LAUNCH_FAILED
            raise CudaError(call, code, str(failure)) from failure


def _pop_current() -> None:
    """Take the topmost context off the calling thread."""
    ctypes.CDLL("libcuda.so.1").cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))
