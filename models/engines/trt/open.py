"""Opens TensorRT on a plan that was built before, or says why it cannot.

What a machine has is looked at in an order that keeps the process alive: the driver through its C
library first, TensorRT's objects only once that answered.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.artifacts import ModelFiles, StoredPlan
from models.engine import EngineConfig, Progress, batch_sizes
from models.engines.trt.build import BATCHES, PLANS_FOLDER, PlanBuilder, PlanRequest
from models.engines.trt.cache import PlanCache, read_plan
from models.engines.trt.driver import open_driver, probe
from models.engines.trt.engine import TensorRtEngine
from models.engines.trt.library import Library, find_library
from models.engines.trt.plan import PlanManifest
from models.engines.trt.ports import CudaDriver, CudaError, PlanRuntime
from models.engines.trt.runtime import open_runtime
from models.errors import (
    EngineIncompatible,
    EngineNotBuilt,
    EngineUnavailable,
    OutOfDeviceMemory,
)

log = logging.getLogger(__name__)

# Device memory one 1024 x 1024 picture of a batch may take in half precision, generously, until a
# device has been measured: 16 GB are good for 4.
_BYTES_PER_PICTURE = 2_200_000_000
_PIXELS = 1024 * 1024
_DEATHS = 2


@dataclass
class Machine:
    """What TensorRT stands on; tests put their own implementations of the ports here."""

    probe: Callable[[], str | None] = probe
    open_driver: Callable[[], CudaDriver] = open_driver
    find_library: Callable[[], Library] = find_library
    open_runtime: Callable[[Library], PlanRuntime] = open_runtime


MACHINE = Machine()


def why_no_gpu() -> str | None:
    """Why no CUDA device can be used here, or None; nothing of CUDA is imported."""
    return MACHINE.probe()


def why_no_tensorrt() -> str | None:
    """What to install where TensorRT is missing, or None; nothing is imported."""
    try:
        MACHINE.find_library()
    except EngineUnavailable as lacking:
        return str(lacking)
    return None


def request_plan(
    files: ModelFiles,
    config: EngineConfig,
    library: Library | None = None,
    batches: Sequence[int] = BATCHES,
) -> PlanRequest:
    """Say which plan a model needs here.

    Args:
        files: The model.
        config: How it will be opened.
        library: What shall build and run it; None for the best that is installed.
        batches: Batch sizes to have a profile for, smallest first; those the device has no memory
            for are left out.

    Raises:
        EngineUnavailable: If there is no device, no driver for it or no TensorRT; says what to do.
    """
    reason = MACHINE.probe()
    if reason is not None:
        raise EngineUnavailable(f"TensorRT needs a CUDA device: {reason}")
    library = library or MACHINE.find_library()
    try:
        driver = MACHINE.open_driver()
        try:
            device = driver.facts
        finally:
            driver.close()
    except CudaError as refused:
        raise EngineUnavailable(f"the CUDA driver refuses: {refused}") from refused
    area = config.height * config.width / _PIXELS
    most = min(config.max_batch, device.total_bytes // (_BYTES_PER_PICTURE * area))
    fitting = tuple(n for n in batches if n <= most) or tuple(batches[:1])
    return PlanRequest(files, config.height, config.width, library, device, fitting)


def open_tensorrt(files: ModelFiles, config: EngineConfig) -> TensorRtEngine:
    """Open the plan that fits, from the model store or the cache; nothing is built.

    Raises:
        EngineUnavailable: If the machine has not what it takes.
        EngineNotBuilt: If no plan fits, or the one in the cache is not what its manifest says.
        EngineIncompatible: If the plan does not open.
        InferenceFailed: If it opens and does not run.
    """
    return open_requested(request_plan(files, config), config)


def open_requested(request: PlanRequest, config: EngineConfig) -> TensorRtEngine:
    """Open the plan of an request; see `open_tensorrt`."""
    if config.precision not in (None, request.precision):
        raise EngineIncompatible(f"TensorRT runs this model in {request.precision.value} only")
    folder = _folder(config)
    cache = PlanCache(folder / PLANS_FOLDER)
    plan = _stored_plan(request, request.files.plans) or _cached_plan(request, cache)
    with _crash_marker(_mark_of(folder / PLANS_FOLDER, request)):
        engine = TensorRtEngine(
            plan,
            MACHINE.open_driver,
            lambda: MACHINE.open_runtime(request.library),
            config,
            request.precision,
        )
        try:
            _run_every_profile(engine, config)
        except BaseException:
            engine.close()
            raise
    return engine


def _run_every_profile(engine: TensorRtEngine, config: EngineConfig) -> None:
    """Run each once: much of what a plan takes, and may die of, is taken by a profile's first pass.

    Raises:
        InferenceFailed: If one fails, but for want of memory for more than one picture.
    """
    for size in batch_sizes(engine.info.max_batch):
        try:
            engine.predict(np.zeros((size, config.height, config.width, 3), np.uint8))
        except OutOfDeviceMemory:
            if size == 1:
                raise
            return


class TensorRtBuild:
    """The build of the plan a model needs here; see `models.engine.EngineBuild`.

    Args:
        files: The model.
        config: How it will be opened.
        progress: Told how far the build is.
    """

    def __init__(self, files: ModelFiles, config: EngineConfig, progress: Progress) -> None:
        self._files, self._config = files, config
        self._plans = PlanBuilder(_folder(config), progress)

    def run(self) -> None:
        """Build the plan, unless it is there."""
        self._plans.plan(request_plan(self._files, self._config))

    def cancel(self) -> None:
        """End the build; nothing of it stays."""
        self._plans.cancel()


def clear_crash_marker(folder: Path, request: PlanRequest) -> None:
    """Let an engine be opened again that has ended processes."""
    _mark_of(folder, request).unlink(missing_ok=True)


def _stored_plan(request: PlanRequest, plans: tuple[StoredPlan, ...]) -> bytes | None:
    """The plan of the model store that fits, if there is one."""
    for stored in plans:
        try:
            manifest = PlanManifest.from_metadata(stored.metadata)
        except EngineIncompatible:
            continue
        if manifest.key != request.key:
            continue
        try:
            return read_plan(stored.file, manifest, request.key, in_store=True)
        except EngineIncompatible as refused:  # the cache may have a good one
            log.error("a TensorRT engine of the model store is refused: %s", refused)
    return None


def _cached_plan(request: PlanRequest, cache: PlanCache) -> bytes:
    """The plan that was built here.

    Raises:
        EngineNotBuilt: If there is none, or it is refused: then it is to be built anew.
    """
    why = f"no TensorRT engine was built for {request.device.name} with {request.library.label}"
    try:
        plan = cache.find(request.key)
    except EngineIncompatible as refused:
        plan, why = None, f"the TensorRT engine that was built is refused: {refused}"
    if plan is None:
        raise EngineNotBuilt(f"{why}; run: python -m scripts.build_engine")
    return plan


def _folder(config: EngineConfig) -> Path:
    if config.cache_dir is None:
        raise EngineUnavailable("TensorRT needs a folder for its plans")
    return config.cache_dir


def _mark_of(folder: Path, request: PlanRequest) -> Path:
    return folder / f"opening-{request.key.digest[:32]}"


@contextmanager
def _crash_marker(mark: Path) -> Iterator[None]:
    """Do not open again what ended the process that opened it, twice.

    Raises:
        EngineIncompatible: If that was so.
    """
    deaths = len(mark.read_bytes()) if mark.is_file() else 0
    if deaths >= _DEATHS:
        raise EngineIncompatible(
            f"the process ended {deaths} times while opening this TensorRT engine; "
            "to build it anew run: python -m scripts.build_engine --again"
        )
    mark.write_bytes(b"x" * (deaths + 1))
    try:
        yield
    finally:
        mark.unlink(missing_ok=True)
