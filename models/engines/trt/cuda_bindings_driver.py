"""The CUDA driver through `cuda-bindings`, NVIDIA's own package. It can record."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from threading import Lock
from typing import Any

import numpy as np

from models.arrays import U8Array
from models.engines.trt.driver import read_kernel_driver_version
from models.engines.trt.ports import CudaError, DeviceFacts, DeviceMemory, Recording

_NOT_FOUND = 500
_CONTEXT_DESTROYED = 709
_logger = logging.getLogger(__name__)


class CudaBindingsDriver:
    """The primary context of one device; see `models.engines.trt.ports.CudaDriver`.

    Args:
        device: Which one, as CUDA counts them.

    Raises:
        ImportError: If `cuda-bindings` is not installed.
        CudaError: If the device does not open.
    """

    def __init__(self, device: int = 0) -> None:
        self._cuda = import_module("cuda.bindings.driver")
        self._streams: list[int] = []
        self._pinned: list[int] = []
        self._lock = Lock()  # between `close` and another thread's `memory`
        self._call("cuInit", 0)
        self._device = self._call("cuDeviceGet", device)
        self._facts = self._read_facts()
        self._context = self._call("cuDevicePrimaryCtxRetain", self._device)

    @property
    def facts(self) -> DeviceFacts:
        """Which device this is."""
        return self._facts

    @contextmanager
    def current(self) -> Iterator[None]:
        """Makes the context the calling thread's own within; always leaves it as it was."""
        if self._context is None:
            raise CudaError("cuCtxPushCurrent", _CONTEXT_DESTROYED, "the driver is closed")
        self._call("cuCtxPushCurrent", self._context)
        try:
            yield
        finally:
            self._call("cuCtxPopCurrent")

    def memory(self) -> DeviceMemory:
        """Free and total memory now; any thread may ask."""
        with self._lock, self.current():
            free, total = self._call("cuMemGetInfo")
        return DeviceMemory(int(free), int(total))

    def allocate(self, n_bytes: int) -> int:
        """Address of new device memory."""
        return int(self._call("cuMemAlloc", n_bytes))

    def free(self, address: int) -> None:
        """Give device memory back."""
        self._call("cuMemFree", address)

    def pinned(self, shape: tuple[int, ...]) -> U8Array:
        """Page-locked host memory, valid until `close`."""
        size = int(np.prod(shape))
        address = int(self._call("cuMemHostAlloc", size, 0))
        self._pinned.append(address)
        array: U8Array = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
        return array.reshape(shape)

    def create_stream(self) -> int:
        """A stream of its own, which never waits for the default one."""
        flags = self._cuda.CUstream_flags.CU_STREAM_NON_BLOCKING
        self._streams.append(int(self._call("cuStreamCreate", int(flags))))
        return self._streams[-1]

    def upload(self, address: int, source: U8Array, stream: int) -> None:
        """Enqueue a copy to the device."""
        self._call("cuMemcpyHtoDAsync", address, source.ctypes.data, source.nbytes, stream)

    def download(self, target: U8Array, address: int, stream: int) -> None:
        """Enqueue a copy from the device."""
        self._call("cuMemcpyDtoHAsync", target.ctypes.data, address, target.nbytes, stream)

    def synchronize(self, stream: int) -> None:
        """Wait until everything enqueued is done."""
        self._call("cuStreamSynchronize", stream)

    def record(self, stream: int, work: Callable[[], None]) -> Recording | None:
        """Capture what ``work`` enqueues; None where that is not to be had, which is no fault."""
        try:
            graph = self._capture(stream, work)
            try:
                return _Graph(self._call, self._call("cuGraphInstantiate", graph, 0))
            finally:
                self._quietly("cuGraphDestroy", graph)
        except CudaError as failure:
            _logger.warning("a pass cannot be recorded as a CUDA graph: %s", failure)
            return None

    def close(self) -> None:
        """Give streams, pinned memory and the context back. May be called twice."""
        if self._context is None:
            return
        with suppress(CudaError), self.current():
            while self._streams:
                self._quietly("cuStreamDestroy", self._streams.pop())
            while self._pinned:
                self._quietly("cuMemFreeHost", self._pinned.pop())
        with self._lock:
            self._context = None
            self._quietly("cuDevicePrimaryCtxRelease", self._device)

    def _capture(self, stream: int, work: Callable[[], None]) -> Any:
        """What ``work`` enqueues, as a graph. The stream is usable again whatever happens."""
        # Thread-local: what other threads do on the device must not spoil the recording.
        mode = self._cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._call("cuStreamBeginCapture", stream, mode)
        try:
            work()
        except BaseException:
            with suppress(CudaError):
                self._quietly("cuGraphDestroy", self._call("cuStreamEndCapture", stream))
            raise
        return self._call("cuStreamEndCapture", stream)

    def _read_facts(self) -> DeviceFacts:
        names = self._cuda.CUdevice_attribute
        major, minor = (
            int(self._call("cuDeviceGetAttribute", attribute, self._device))
            for attribute in (
                names.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                names.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            )
        )
        name: bytes = self._call("cuDeviceGetName", 256, self._device)
        return DeviceFacts(
            name=name.partition(b"\0")[0].decode(errors="replace"),
            compute_capability=(major, minor),
            cuda_version=int(self._call("cuDriverGetVersion")),
            driver=read_kernel_driver_version(),
            total_bytes=int(self._call("cuDeviceTotalMem", self._device)),
        )

    def _call(self, name: str, *arguments: Any) -> Any:
        """Call the driver; its result without the status.

        Raises:
            CudaError: If the status is none of success.
        """
        try:
            status, *results = getattr(self._cuda, name)(*arguments)
        except RuntimeError as missing:  # an older driver has not got the function
            raise CudaError(name, _NOT_FOUND, str(missing)) from missing
        if int(status):
            raise CudaError(name, int(status), self._text(status))
        if len(results) == 1:
            return results[0]
        return tuple(results) if results else None

    def _quietly(self, name: str, *arguments: Any) -> None:
        """Give something back, or leave it: after a fault the device takes nothing any more."""
        with suppress(CudaError):
            self._call(name, *arguments)

    def _text(self, status: Any) -> str:
        _, text = self._cuda.cuGetErrorString(status)
        return text.decode(errors="replace") if text else "unknown error"


class _Graph:
    """A CUDA graph ready to be launched."""

    def __init__(self, call: Callable[..., Any], graph: Any) -> None:
        self._call = call
        self._graph = graph

    def replay(self, stream: int) -> None:
        """Enqueue all of it at once."""
        self._call("cuGraphLaunch", self._graph, stream)

    def close(self) -> None:
        """Give it back. May be called twice."""
        graph, self._graph = self._graph, None
        if graph is not None:
            self._call("cuGraphExecDestroy", graph)
