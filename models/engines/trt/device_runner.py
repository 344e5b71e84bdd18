"""A plan on a device, with its buffers: everything that only the GPU's own thread may touch."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np

from models.arrays import U8Array
from models.engine import EngineConfig
from models.engines.trt.ports import (
    CudaDriver,
    CudaError,
    DeviceMemory,
    LoadedPlan,
    PlanContext,
    PlanRuntime,
    Recording,
)
from models.errors import (
    EngineIncompatible,
    EngineUnavailable,
    InferenceFailed,
    NetworkOverflowed,
    Shortage,
)

_MIB = 1024 * 1024
_logger = logging.getLogger(__name__)


class DeviceRunner:
    """Made, used and closed on one thread.

    Args:
        plan: Bytes of a verified plan.
        open_driver: Opens the device.
        open_runtime: Opens what runs plans; called with the device's context current.
        config: Size, largest batch, and whether buffers are pinned.

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
    ) -> None:
        self._driver: CudaDriver | None = None
        self._plan: LoadedPlan | None = None
        self._blocks: list[int] = []
        self._ready: dict[int, _Profile] = {}
        self._image = self._alpha = self._sound = _pageable((0,))
        self._needed_bytes = len(plan)
        try:
            self._driver = open_driver()
            with self._driver.current():
                self._refuse_if_short("the plan", len(plan))
                self._load(plan, open_runtime(), config)
                self._allocate(config)
        except CudaError as failure:
            figures = self._shortage_after(failure)
            self.close()
            raise EngineUnavailable(f"the CUDA device fails: {failure}{figures}") from failure
        except BaseException:
            self.close()
            raise

    def run(self, batch: U8Array) -> U8Array:
        """Run one batch.

        Args:
            batch: At most `max_batch` pictures of the plan's size.

        Returns:
            Alpha mattes, the caller's own.

        Raises:
            CudaError: If the device fails.
            NetworkOverflowed: If a value left its range on a picture.
        """
        n = len(batch)
        size = next(size for size in self._profiles if size >= n)
        self._image[:n] = batch
        self._image[n:size] = batch[-1]
        driver = self._open_driver
        with driver.current():
            try:
                driver.upload(self._addresses["image"], self._image[:size], self._stream)
                profile = self._enqueue(size)
                driver.download(self._alpha[:n], self._addresses["alpha"], self._stream)
                driver.download(self._sound[:n], self._addresses["sound"], self._stream)
                driver.synchronize(self._stream)
            except CudaError as failure:
                if failure.code == CudaError.OUT_OF_MEMORY:  # copies may be on their way still
                    with suppress(CudaError):
                        driver.synchronize(self._stream)
                raise
            self._record_once(profile)
        unsound = int(n - np.count_nonzero(self._sound[:n]))
        if unsound:
            raise NetworkOverflowed(f"the network overflowed on {unsound} of {n} pictures")
        return self._alpha[:n].copy()

    def memory(self) -> DeviceMemory | None:
        """The device's own figures, if it gives them; any thread may ask until `close`."""
        driver = self._driver
        if driver is not None:
            with suppress(CudaError):
                return driver.memory()
        return None

    def shortage(self) -> Shortage:
        """What running takes, at least, and what there is."""
        memory = self.memory()
        free = 0 if memory is None else memory.free_bytes
        # At least what was free: that much did not do.
        return Shortage(max(self._needed_bytes, free), free)

    def close(self) -> None:
        """Give everything back. Never raises; may be called twice."""
        driver, self._driver = self._driver, None
        if driver is None:
            return
        profiles, self._ready = self._ready.values(), {}
        try:
            with driver.current():
                for recording in (profile.recording for profile in profiles):
                    if recording is not None:
                        _quietly(recording.close)
                if self._plan is not None:
                    _quietly(self._plan.close)
                for address in self._blocks:
                    _quietly(partial(driver.free, address))
        except CudaError:
            _logger.warning("the CUDA device takes nothing back", exc_info=True)
        self._plan = None
        self._blocks = []
        self._image = self._alpha = self._sound = _pageable((0,))
        _quietly(driver.close)

    def _load(self, plan: bytes, runtime: PlanRuntime, config: EngineConfig) -> None:
        """Put the plan on the device and choose what of it will be used."""
        self.runtime_name = runtime.name
        self._plan = runtime.load(plan)
        if self._plan.picture != (config.height, config.width):
            raise EngineIncompatible(f"the plan is for pictures of {self._plan.picture}")
        by_size = sorted((size, i) for i, size in enumerate(self._plan.batches))
        fitting = [(size, i) for size, i in by_size if size <= config.max_batch]
        self._profiles = dict(fitting or by_size[:1])
        self.max_batch = max(self._profiles)

    def _allocate(self, config: EngineConfig) -> None:
        """Buffers for the largest batch, once and for all."""
        driver, plan = self._open_driver, self._open_plan
        shape = (self.max_batch, config.height, config.width)
        sizes = {
            "image": int(np.prod(shape)) * 3,
            "alpha": int(np.prod(shape)),
            "sound": self.max_batch,
            "scratch": max(1, plan.scratch_bytes),
        }
        self._needed_bytes += sum(sizes.values())
        self._refuse_if_short("what the loaded plan works in", sum(sizes.values()))
        self._stream = driver.create_stream()
        host = driver.pinned if config.pin_memory else _pageable
        self._image = host((*shape, 3))
        self._alpha = host(shape)
        self._sound = host(shape[:1])
        self._addresses = {name: self._take(size) for name, size in sizes.items()}
        self._scratch = self._addresses.pop("scratch")
        # A plan that does not say whether its mattes are sound leaves this as it is.
        self._sound[:] = 1
        driver.upload(self._addresses["sound"], self._sound, self._stream)
        driver.synchronize(self._stream)

    def _take(self, size: int) -> int:
        self._blocks.append(self._open_driver.allocate(size))
        return self._blocks[-1]

    def _enqueue(self, size: int) -> _Profile:
        """Enqueue one pass, of a recording if there is one."""
        profile = self._ready.get(size)
        if profile is None:
            context = self._open_plan.context(
                self._profiles[size], self._addresses, self._scratch, self._stream
            )
            profile = self._ready[size] = _Profile(context)
        if profile.recording is None:
            profile.context.enqueue(self._stream)
        else:
            profile.recording.replay(self._stream)
        return profile

    def _record_once(self, profile: _Profile) -> None:
        """Record a profile that has run: its first pass does what cannot be recorded."""
        if profile.tried_recording:
            return
        profile.tried_recording = True
        try:
            profile.recording = self._open_driver.record(
                self._stream, lambda: profile.context.enqueue(self._stream)
            )
        except CudaError as failure:  # without memory for a recording it runs as it did
            if failure.code != CudaError.OUT_OF_MEMORY:
                raise

    def _refuse_if_short(self, what: str, needed: int) -> None:
        """Refuse before the device does: it would do so in the middle of something.

        Raises:
            EngineUnavailable: If less is free, other processes counted.
        """
        free = self._open_driver.memory().free_bytes
        if free < needed:
            shortage = Shortage(needed, free)
            raise EngineUnavailable(f"{what} does not fit the GPU: {shortage}", **shortage.fields)

    def _shortage_after(self, failure: CudaError) -> str:
        if failure.code != CudaError.OUT_OF_MEMORY or self._driver is None:
            return ""
        return f"; {self.shortage()}"

    @property
    def _open_driver(self) -> CudaDriver:
        if self._driver is None:
            raise InferenceFailed("the engine is closed")
        return self._driver

    @property
    def _open_plan(self) -> LoadedPlan:
        if self._plan is None:
            raise InferenceFailed("the engine is closed")
        return self._plan


@dataclass
class _Profile:
    """One profile, ready to run."""

    context: PlanContext
    recording: Recording | None = None
    tried_recording: bool = False


def _pageable(shape: tuple[int, ...]) -> U8Array:
    return np.empty(shape, np.uint8)


def _quietly(give_back: Callable[[], None]) -> None:
    """Give one thing back; the others must go whatever becomes of it."""
    try:
        give_back()
    except Exception:
        _logger.warning("the CUDA device does not take something back", exc_info=True)
