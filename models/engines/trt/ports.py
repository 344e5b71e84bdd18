"""What the TensorRT engine stands on: a CUDA device, and a runtime that executes plans.

Both are protocols, so that every fault of theirs can be had in a test without a GPU, and so that
two drivers (`pycuda`, `cuda-bindings`) and two TensorRTs (`tensorrt`, TensorRT-RTX) take the same
path. Addresses and streams are plain integers, as CUDA's own handles are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from models.arrays import U8Array


@dataclass(frozen=True)
class DeviceFacts:
    """A CUDA device and what drives it.

    Attributes:
        name: As the driver calls it, such as `Tesla T4`.
        compute_capability: Major and minor.
        cuda_version: Newest CUDA the driver speaks, as `cuDriverGetVersion` says: 13000 is 13.0.
        driver: Version of the kernel driver, such as `580.65.06`; empty where it does not say.
        total_bytes: Memory of the device.
    """

    name: str
    compute_capability: tuple[int, int]
    cuda_version: int
    driver: str
    total_bytes: int


@dataclass(frozen=True)
class DeviceMemory:
    """The device's own figures, other processes counted.

    Attributes:
        free_bytes: What could be allocated now.
        total_bytes: What there is.
    """

    free_bytes: int
    total_bytes: int


class CudaError(Exception):
    """A call of the driver failed.

    Args:
        call: Name of the call.
        code: Its result, as `cuda.h` numbers them.
        text: What the driver says.
    """

    OUT_OF_MEMORY = 2

    def __init__(self, call: str, code: int, text: str) -> None:
        super().__init__(f"{call}: {text} ({code})")
        self.code = code


class Recording(Protocol):
    """Work on a stream that was recorded as a CUDA graph."""

    def replay(self, stream: int) -> None:
        """Enqueue all of it at once.

        Raises:
            CudaError: If that fails.
        """

    def close(self) -> None:
        """Give it back."""


class CudaDriver(Protocol):
    """The primary context of one device. Every method raises `CudaError` where the driver fails.

    Made, used and closed by one thread, the one that entered `current`; `memory` may be asked by
    any.
    """

    @property
    def facts(self) -> DeviceFacts:
        """Which device this is."""

    def current(self) -> AbstractContextManager[None]:
        """Makes the context the calling thread's own within; always leaves it as it was."""

    def memory(self) -> DeviceMemory:
        """Free and total memory now."""

    def allocate(self, n_bytes: int) -> int:
        """Address of new device memory."""

    def free(self, address: int) -> None:
        """Give device memory back."""

    def pinned(self, shape: tuple[int, ...]) -> U8Array:
        """Page-locked host memory, valid until `close`."""

    def create_stream(self) -> int:
        """A stream of its own, not the default one."""

    def upload(self, address: int, source: U8Array, stream: int) -> None:
        """Enqueue a copy to the device; ``source`` is contiguous and stays until synchronised."""

    def download(self, target: U8Array, address: int, stream: int) -> None:
        """Enqueue a copy from the device; ``target`` is contiguous."""

    def synchronize(self, stream: int) -> None:
        """Wait until everything enqueued is done."""

    def record(self, stream: int, work: Callable[[], None]) -> Recording | None:
        """Capture what ``work`` enqueues on ``stream``, without running it.

        Returns:
            The recording, or None where this driver cannot record or the work cannot be recorded;
            then it is to be enqueued as it is every time.
        """

    def close(self) -> None:
        """Give streams, pinned memory and the context back. May be called twice."""


class PlanContext(Protocol):
    """One profile of a loaded plan with its shapes set; used by one thread."""

    def enqueue(self, stream: int) -> None:
        """Enqueue one pass.

        Raises:
            CudaError: If that fails.
        """


class LoadedPlan(Protocol):
    """A deserialised plan: uint8 `image` in, uint8 `alpha` and `sound` out."""

    @property
    def batches(self) -> Sequence[int]:
        """Batch size of each profile, in the plan's order; each is fixed (min = opt = max)."""

    @property
    def picture(self) -> tuple[int, int]:
        """Rows and columns of the pictures it takes."""

    @property
    def scratch_bytes(self) -> int:
        """Device memory the most demanding profile works in; profiles may share it."""

    def context(
        self, profile: int, addresses: dict[str, int], scratch: int, stream: int
    ) -> PlanContext:
        """Make one profile ready.

        Args:
            profile: Index in `batches`.
            addresses: Device address of every tensor by its name.
            scratch: Address of `scratch_bytes` of device memory.
            stream: Where switching to the profile may enqueue.

        Raises:
            CudaError: If the device does not give what it takes.
        """

    def close(self) -> None:
        """Give the plan back; its contexts first. May be called twice."""


class PlanRuntime(Protocol):
    """Turns the bytes of a plan into something that runs."""

    @property
    def name(self) -> str:
        """Library and version, such as `tensorrt 11.4.0.106`."""

    def load(self, plan: bytes) -> LoadedPlan:
        """Deserialise. A plan is code: only bytes of a verified manifest may come here.

        Raises:
            EngineIncompatible: If the library refuses it.
            CudaError: If the device does.
        """
