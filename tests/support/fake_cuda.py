"""A CUDA device and a plan runtime in host memory: whole, strict, and able to fail anywhere.

Work on a stream is queued and happens when the stream is synchronised, as late as CUDA may do it.
Breaking a rule is an `AssertionError`, and stays in `FakeDevice.violations` where one is swallowed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Event, get_ident
from typing import Any

import numpy as np
from onnxruntime import InferenceSession

from models.arrays import U8Array
from models.engines.trt.ports import CudaError, DeviceFacts, DeviceMemory
from models.errors import EngineIncompatible

MIB = 1024 * 1024
# A picture that begins with this pixel overflows the network.
UNSOUND_PIXEL = (1, 2, 3)
_MAGIC = b"FAKEPLAN"
# From here on CUDA's errors destroy the context (illegal address, launch failure, ...).
_STICKY = range(700, 1000)


def make_fake_plan(
    batches: Sequence[int],
    height: int,
    width: int,
    *,
    sound: bool = True,
    weight_bytes: int = 4096,
    scratch_bytes: int = 4096,
    graph: Path | None = None,
) -> bytes:
    """A plan for `FakePlanRuntime`.

    Args:
        batches: Batch size of each profile.
        height: Rows of a picture.
        width: Columns of a picture.
        sound: Whether it says which mattes are sound.
        weight_bytes: Device memory its weights take.
        scratch_bytes: Device memory it works in.
        graph: The network it was built of, which then computes its mattes; without one, alpha is
            the mean over red, green and blue.
    """
    values = {
        "graph": graph and str(graph),
        "batches": list(batches),
        "height": height,
        "width": width,
        "sound": sound,
        "weight_bytes": weight_bytes,
        "scratch_bytes": scratch_bytes,
    }
    return _MAGIC + json.dumps(values).encode()


@dataclass
class FakeDevice:
    """What outlives a driver: the memory, what is in it, and the faults to come.

    Attributes:
        capacity: Memory of the device, in bytes.
        taken: What other processes have of it.
        can_record: Whether the driver records.
        garbage: What is in new memory, host and device: nobody promised zeros.
        gate: Work on streams waits for it.
        pinned_bytes: Page-locked host memory in use.
        broken: The sticky error the context died of, or 0.
        forgotten: Memory nobody tried to give back.
        violations: Rules that were broken.
        calls: How often each call was made.
    """

    capacity: int = 64 * MIB
    taken: int = 0
    can_record: bool = True
    garbage: int = 0xCD
    gate: Event = field(default_factory=Event)
    memory: dict[int, U8Array] = field(default_factory=dict)
    pinned_bytes: int = 0
    streams: dict[int, list[Callable[[], None]]] = field(default_factory=dict)
    n_recordings: int = 0
    n_plans: int = 0
    n_drivers: int = 0
    broken: int = 0
    forgotten: list[int] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    _faults: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    _handles: Iterator[int] = field(default_factory=lambda: count(0x1000, 0x1000))

    def __post_init__(self) -> None:
        self.gate.set()

    def fail(self, call: str, code: int, nth: int = 1) -> None:
        """Let the n-th call of that name from now on fail."""
        self._faults.setdefault(call, []).append((self.calls[call] + nth, code))

    def entered(self, call: str) -> None:
        """Count a call, and fail it if it shall.

        Raises:
            CudaError: If so, or if the context is dead.
        """
        self.calls[call] += 1
        for number, code in self._faults.get(call, ()):
            if number == self.calls[call]:
                self.broken = code if code in _STICKY else self.broken
                raise CudaError(call, code, "injected")
        if self.broken and call != "current":  # a dead context can be entered
            raise CudaError(call, self.broken, "the context is dead")

    def insist(self, kept: bool, rule: str) -> None:
        """Hold a rule."""
        if not kept:
            self.violations.append(rule)
            raise AssertionError(rule)

    def handle(self) -> int:
        """A number that was never given out."""
        return next(self._handles)

    def take(self, n_bytes: int) -> int:
        """Address of new memory.

        Raises:
            CudaError: If there is not enough.
        """
        if n_bytes > self.free_bytes:
            raise CudaError("cuMemAlloc", CudaError.OUT_OF_MEMORY, "out of memory")
        address = self.handle()
        self.memory[address] = np.full(n_bytes, self.garbage, np.uint8)
        return address

    def at(self, address: int, n_bytes: int) -> U8Array:
        """What lies at an address."""
        self.insist(address in self.memory, f"nothing is at address {address:#x}")
        block = self.memory[address]
        self.insist(n_bytes <= len(block), f"{n_bytes} bytes reach beyond {len(block)}")
        return block[:n_bytes]

    @property
    def free_bytes(self) -> int:
        """What could be taken now."""
        used = sum(len(block) for block in list(self.memory.values()))
        return max(0, self.capacity - self.taken - used)

    def assert_clean(self) -> None:
        """Nothing is left on the device, and no rule was broken."""
        assert not self.violations
        assert not self.forgotten
        assert not self.memory
        assert not self.streams
        assert self.pinned_bytes == self.n_recordings == self.n_plans == self.n_drivers == 0


class FakeRecording:
    """Work that can be enqueued again."""

    def __init__(self, driver: FakeDriver, work: list[Callable[[], None]]) -> None:
        self._driver = driver
        self._work: list[Callable[[], None]] | None = work
        driver.device.n_recordings += 1

    def replay(self, stream: int) -> None:
        """Enqueue all of it at once."""
        self._driver.guard("replay")
        self._driver.device.insist(self._work is not None, "a closed recording was replayed")
        self._driver.device.streams[stream] += self._work or []

    def close(self) -> None:
        """Give it back."""
        self._driver.device.insist(self._work is not None, "a recording was closed twice")
        self._work = None
        self._driver.device.n_recordings -= 1
        self._driver.guard("recording.close")


class FakeDriver:
    """The primary context of a `FakeDevice`; see `models.engines.trt.ports.CudaDriver`."""

    def __init__(self, device: FakeDevice) -> None:
        device.entered("open")
        self.device = device
        self._owner = get_ident()
        self._depth = 0
        self._closed = False
        self._addresses: list[int] = []
        self._streams: list[int] = []
        self._pinned_bytes = 0
        self._capturing = False
        device.n_drivers += 1

    def guard(self, call: str) -> None:
        """What holds for every call: the owner's thread, the context current, not closed."""
        self.device.insist(get_ident() == self._owner, f"{call} on another thread")
        self.device.insist(self._depth > 0, f"{call} without the context")
        self.device.insist(not self._closed, f"{call} after close")
        self.device.entered(call)

    @property
    def facts(self) -> DeviceFacts:
        """Which device this is."""
        return DeviceFacts("Fake T4", (7, 5), 13000, "580.65.06", self.device.capacity)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Makes the context the calling thread's own within."""
        self.device.insist(get_ident() == self._owner, "current on another thread")
        self.device.insist(not self._closed, "current after close")
        self.device.entered("current")
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def memory(self) -> DeviceMemory:
        """Free and total memory now; any thread may ask."""
        self.device.insist(not self._closed, "memory after close")
        self.device.entered("memory")
        return DeviceMemory(self.device.free_bytes, self.device.capacity)

    def allocate(self, n_bytes: int) -> int:
        """Address of new device memory."""
        self.guard("allocate")
        self.device.insist(n_bytes > 0, "CUDA allocates no empty memory")
        return self.take(n_bytes)

    def take(self, n_bytes: int) -> int:
        """Address of new memory, for whoever runs on this driver."""
        self._addresses.append(self.device.take(n_bytes))
        return self._addresses[-1]

    def free(self, address: int) -> None:
        """Give device memory back."""
        self.device.insist(address in self.device.memory, "what is not there was freed")
        del self.device.memory[address]  # also where the call fails: then the context's end does it
        self.guard("free")

    def pinned(self, shape: tuple[int, ...]) -> U8Array:
        """Page-locked host memory."""
        self.guard("pinned")
        array = np.full(shape, self.device.garbage, np.uint8)
        self._pinned_bytes += array.nbytes
        self.device.pinned_bytes += array.nbytes
        return array

    def create_stream(self) -> int:
        """A stream of its own."""
        self.guard("create_stream")
        stream = self.device.handle()
        self.device.streams[stream] = []
        self._streams.append(stream)
        return stream

    def upload(self, address: int, source: U8Array, stream: int) -> None:
        """Enqueue a copy to the device."""
        self.guard("upload")
        self.device.insist(source.flags.c_contiguous, "the source is not contiguous")
        self._queue(stream, lambda: np.copyto(self._at(address, source), source.reshape(-1)))

    def download(self, target: U8Array, address: int, stream: int) -> None:
        """Enqueue a copy from the device."""
        self.guard("download")
        self.device.insist(target.flags.c_contiguous, "the target is not contiguous")
        self._queue(stream, lambda: np.copyto(target.reshape(-1), self._at(address, target)))

    def synchronize(self, stream: int) -> None:
        """Do everything enqueued."""
        self.guard("synchronize")
        self.device.insist(not self._capturing, "a recording was synchronised")
        self.device.insist(stream in self.device.streams, "no such stream")
        self.device.gate.wait(30)
        queue = self.device.streams[stream]
        while queue:
            queue.pop(0)()

    def record(self, stream: int, work: Callable[[], None]) -> FakeRecording | None:
        """Capture what ``work`` enqueues."""
        self.guard("record")
        if not self.device.can_record:
            return None
        waiting, self.device.streams[stream] = self.device.streams[stream], []
        self._capturing = True
        try:
            work()
            return FakeRecording(self, self.device.streams[stream])
        finally:
            self._capturing = False
            self.device.streams[stream] = waiting

    def close(self) -> None:
        """Give streams, pinned memory and the context back; with it goes what was forgotten."""
        if self._closed:
            return
        self.device.insist(get_ident() == self._owner, "close on another thread")
        self.device.insist(self._depth == 0, "close with the context in use")
        self._closed = True
        self.device.n_drivers -= 1
        self.device.pinned_bytes -= self._pinned_bytes
        for stream in self._streams:
            del self.device.streams[stream]
        for address in self._addresses:
            if self.device.memory.pop(address, None) is not None:
                self.device.forgotten.append(address)
        self.device.entered("close")

    def _queue(self, stream: int, work: Callable[[], None]) -> None:
        self.device.insist(stream in self.device.streams, "no such stream")
        self.device.streams[stream].append(work)

    def _at(self, address: int, array: U8Array) -> U8Array:
        return self.device.at(address, array.nbytes)


class FakePlanRuntime:
    """Runs plans of `make_fake_plan`; see `models.engines.trt.ports.PlanRuntime`.

    Args:
        driver: The driver whose device it runs on.
        off_by: How far its mattes are off, in levels of 255.
        overflows: Whether the network overflows on every picture.
        refuses: Whether it takes no plan.
    """

    def __init__(
        self,
        driver: FakeDriver,
        off_by: int = 0,
        overflows: bool = False,
        refuses: bool = False,
    ) -> None:
        driver.guard("open_runtime")
        self.refuses = refuses
        self.driver = driver
        self.off_by = off_by
        self.overflows = overflows

    @property
    def name(self) -> str:
        """Library and version."""
        return "fake_tensorrt 11.4"

    def load(self, plan: bytes) -> FakeLoadedPlan:
        """Deserialise."""
        self.driver.guard("load")
        if self.refuses or not plan.startswith(_MAGIC):
            raise EngineIncompatible("this is no plan")
        return FakeLoadedPlan(self, json.loads(plan.removeprefix(_MAGIC)))


class FakeLoadedPlan:
    """A plan on the device; see `models.engines.trt.ports.LoadedPlan`."""

    def __init__(self, runtime: FakePlanRuntime, values: dict[str, Any]) -> None:
        self.runtime = runtime
        self.values = values
        self.network = _network_of(values)
        self._blocks = [runtime.driver.take(values["weight_bytes"])]
        self.closed = False
        runtime.driver.device.n_plans += 1

    @property
    def batches(self) -> Sequence[int]:
        """Batch size of each profile."""
        return tuple(self.values["batches"])

    @property
    def picture(self) -> tuple[int, int]:
        """Rows and columns of the pictures it takes."""
        return self.values["height"], self.values["width"]

    @property
    def scratch_bytes(self) -> int:
        """Device memory the most demanding profile works in."""
        return self.values["scratch_bytes"]

    def context(
        self, profile: int, addresses: dict[str, int], scratch: int, stream: int
    ) -> FakeContext:
        """Make one profile ready; it takes a little memory of its own."""
        self.runtime.driver.guard("context")
        device = self.runtime.driver.device
        device.insist(not self.closed, "a context of a closed plan")
        device.at(scratch, self.scratch_bytes)
        device.insist(stream in device.streams, "no such stream")
        self._blocks.append(self.runtime.driver.take(1024))
        return FakeContext(self, self.batches[profile], dict(addresses))

    def close(self) -> None:
        """Give the plan back."""
        if self.closed:
            return
        self.closed = True
        device = self.runtime.driver.device
        device.n_plans -= 1
        for block in self._blocks:
            del device.memory[block]
        self.runtime.driver.guard("plan.close")


class FakeContext:
    """One profile; see `models.engines.trt.ports.PlanContext`."""

    def __init__(self, plan: FakeLoadedPlan, batch: int, addresses: dict[str, int]) -> None:
        self._plan = plan
        self._batch = batch
        self._addresses = addresses

    def enqueue(self, stream: int) -> None:
        """Enqueue one pass."""
        driver = self._plan.runtime.driver
        driver.guard("enqueue")
        driver.device.insist(not self._plan.closed, "a pass of a closed plan")
        driver.device.insist(stream in driver.device.streams, "no such stream")
        driver.device.streams[stream].append(self._compute)

    def _compute(self) -> None:
        runtime, (height, width) = self._plan.runtime, self._plan.picture
        n, pixels = self._batch, self._plan.values["height"] * self._plan.values["width"]
        at = runtime.driver.device.at
        image = at(self._addresses["image"], n * pixels * 3).reshape(n, height, width, 3)
        alpha = np.clip(self._plan.network(image).astype(int) + runtime.off_by, 0, 255)
        at(self._addresses["alpha"], n * pixels)[:] = alpha.reshape(-1)
        if self._plan.values["sound"]:
            unsound = (image[:, 0, 0] == UNSOUND_PIXEL).all(axis=-1) | runtime.overflows
            at(self._addresses["sound"], n)[:] = ~unsound


def _network_of(values: dict[str, Any]) -> Callable[[U8Array], U8Array]:
    """What computes a plan's mattes."""
    if values["graph"] is None:
        return expected_alpha
    session = InferenceSession(values["graph"], providers=["CPUExecutionProvider"])
    return lambda batch: np.asarray(session.run(["alpha"], {"image": batch})[0])


def expected_alpha(batch: U8Array) -> U8Array:
    """What a fake plan makes of pictures ``[N, H, W, 3]``."""
    return np.round(batch.mean(axis=-1)).astype(np.uint8)
