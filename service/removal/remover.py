"""Makes a cutout of a picture's bytes and a caller's options: the service's one verb.

guard -> prepare (in a thread) -> matte -> finish (in a thread); the steps are in `pipeline.py`.
Threads, memory and time are bounded: at most `workers` pictures are decoded or encoded at once,
pictures take at most `max_bytes` of memory together, and at most `max_queue` requests are inside.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import ParamSpec, TypeVar

import cv2
import numpy as np

from models.catalog import ALIASES
from service.errors import InvalidRequest, MemoryExhausted, ProcessingTimeout, ServiceBusy
from service.imaging.encode import encode_png
from service.imaging.guard import ImageLimits, inspect
from service.removal.admission import MemoryBudget, Reservation
from service.removal.memory import bytes_of
from service.removal.options import RemovalOptions, RemovalResult
from service.removal.pipeline import FINISH, PREPARE, Removal, inspect_background, run
from service.removal.ports import ServedModel
from service.removal.telemetry import Telemetry
from service.removal.threads import ImagingThreads, StageClock
from service.resources import return_freed_memory

P = ParamSpec("P")
T = TypeVar("T")

_MB = 1024**2
# From here on a picture leaves tens of megabytes behind in the allocator.
_LARGE_PIXELS = 4_000_000
_RETRY_S = 5
# What threads may take to come back after the last deadline.
_COME_BACK_S = 5.0


@dataclass(frozen=True)
class RemoverConfig:
    """Bounds of the remover.

    Attributes:
        limits: How much picture we take.
        timeout_s: Deadline of a small picture; twice over 5 MB, four times over 8 MB.
        workers: Imaging threads.
        max_queue: Most requests inside at once.
        max_bytes: Most memory that pictures take at once.
    """

    limits: ImageLimits = field(default_factory=ImageLimits)
    timeout_s: float = 30.0
    workers: int = 2
    max_queue: int = 64
    max_bytes: int = 2 * 1024**3


class BackgroundRemover:
    """Removes backgrounds; one per process.

    Args:
        models: What makes the alpha mattes; the first serves whoever names none.
        config: Bounds.
        telemetry: Told of every removal that succeeds, whichever entrance it came through.

    Attributes:
        is_warm: Whether everything has run once.
        batch_lane: Held by each picture of a batch, so that batches leave room for everybody else.
        batch_size: How many pictures of batches may hold it at once.
    """

    def __init__(
        self,
        models: Sequence[ServedModel],
        config: RemoverConfig,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.telemetry = telemetry or Telemetry()
        self.models = {model.spec.name: model for model in models}
        self.config = config
        self.is_warm = False
        self.batch_size = 1
        self.batch_lane = asyncio.Semaphore(self.batch_size)
        self._threads = ImagingThreads(config.workers)
        self._budget = MemoryBudget(config.max_bytes)
        self._inside = 0
        self._phases = Counter[str]()
        cv2.setNumThreads(1)  # the pool is the parallelism; OpenCV's own would fight inference

    async def remove(
        self,
        data: bytes,
        options: RemovalOptions,
        media_type: str | None = None,
        *,
        in_batch: bool = False,
        spent_s: float = 0.0,
    ) -> RemovalResult:
        """Remove the background of one picture, and count it.

        Args:
            data: The uploaded file.
            options: What the caller chose.
            media_type: What the caller declared the file to be.
            in_batch: Whether it holds the `batch_lane`, and takes nobody's place in the queue.
            spent_s: Seconds of its deadline that are gone already.

        Returns:
            The cutout, as large as the upright source.

        Raises:
            ImageError: If the file is not a picture we take; the caller's fault.
            InvalidRequest: If the model is not served; the caller's fault.
            ServiceError: If it must be tried again later.
            InferenceFailed: If the forward pass failed; ours.
        """
        started = time.perf_counter()
        result = await self._remove_in_time(
            data, options, media_type, queued=not in_batch, spent_s=spent_s
        )
        self.telemetry.record(result, (time.perf_counter() - started) * 1e3)
        return result

    def deadline_s(self, n_bytes: int) -> float:
        """Seconds a file of so many bytes may take."""
        if n_bytes > 8 * _MB:
            return 4 * self.config.timeout_s
        if n_bytes > 5 * _MB:
            return 2 * self.config.timeout_s
        return self.config.timeout_s

    def load(self) -> dict[str, int]:
        """How many removals wait for memory, wait for or are in a thread, and in inference."""
        return {
            "memory": self._budget.waiting,
            "imaging": self._phases["imaging"],
            "inference": self._phases["inference"],
        }

    async def warm_up(self) -> None:
        """Remove the background of a drawn picture with each model: no caller pays for a start."""
        for name in self.models:
            await self._remove_in_time(_drawn_picture(480, 640), RemovalOptions(model=name))
        self.is_warm = True

    async def try_out(self) -> None:
        """Remove the background of a drawn picture of 1 megapixel, which counts nowhere."""
        await self._remove_in_time(_drawn_picture(720, 1280), RemovalOptions(), queued=False)

    def open_batch_lane(self, batch_size: int) -> None:
        """Let so many pictures of batches in at once."""
        self.batch_size, self.batch_lane = batch_size, asyncio.Semaphore(batch_size)

    @property
    def is_idle(self) -> bool:
        """Whether no request is inside; pictures of batches do not count."""
        return self._inside == 0

    @property
    def overdue(self) -> int:
        """Imaging threads that are past their deadline, of `config.workers`."""
        return self._threads.overdue

    async def close(self) -> bool:
        """Give the threads back; whether all of them came back."""
        return await self._threads.close(_COME_BACK_S)

    async def _remove_in_time(
        self,
        data: bytes,
        options: RemovalOptions,
        media_type: str | None = None,
        *,
        queued: bool = True,
        spent_s: float = 0.0,
    ) -> RemovalResult:
        """One removal within its bounds; see `remove`."""
        if queued and self._inside >= self.config.max_queue:
            raise ServiceBusy("The service is busy; try again shortly", retry_after=1)
        deadline_s = self.deadline_s(len(data))
        started = time.monotonic() - spent_s
        left_s = deadline_s - spent_s
        self._inside += queued
        try:
            async with asyncio.timeout(left_s):
                result = await self._remove(data, options, media_type, StageClock(left_s))
        except (TimeoutError, ProcessingTimeout) as late:
            raise ProcessingTimeout(
                f"Processing timeout exceeded {deadline_s:g} seconds",
                elapsed_seconds=round(time.monotonic() - started, 1),
                suggested_action="Reduce image size or retry with smaller image",
            ) from late
        except MemoryError as short:
            raise MemoryExhausted(retry_after=_RETRY_S) from short
        finally:
            self._inside -= queued
        if result.height * result.width >= _LARGE_PIXELS:
            self._threads.later(return_freed_memory)  # now that its arrays are gone
        return result

    def find(self, name: str | None) -> ServedModel:
        """The model of a name.

        Args:
            name: As the catalogue spells it, in any case and with or without `BiRefNet-`; None and
                `auto` are the first.

        Raises:
            InvalidRequest: If it is not served.
        """
        if name is None or name.lower() == "auto":
            return next(iter(self.models.values()))
        served = ", ".join(self.models)
        wanted = (name.lower(), f"birefnet-{name.lower()}")
        alias = next((alias for known, alias in ALIASES.items() if known.lower() in wanted), None)
        if alias is not None:
            if alias.serves not in self.models:
                raise InvalidRequest(f"model: {alias.note}; served here are {served}")
            return self.models[alias.serves]
        for known, model in self.models.items():
            if known.lower() in wanted:
                return model
        raise InvalidRequest(f"model: It is not served; served are {served}")

    async def _remove(
        self, data: bytes, options: RemovalOptions, media_type: str | None, clock: StageClock
    ) -> RemovalResult:
        model = self.find(options.model)
        limits = self.config.limits
        with clock.stage("guard"):
            header = await self._in_thread(None, inspect, data, limits, media_type)
            behind = None
            if options.bg_image is not None:
                behind = await self._in_thread(None, inspect_background, options.bg_image, limits)
        removal = Removal(data, header, options, model.spec, behind)
        queued = time.perf_counter()
        async with self._budget.hold(bytes_of(removal)) as held:
            clock.note("admission", queued)
            await self._in_thread(held, run, PREPARE, removal, clock)
            with clock.stage("matte"), self._in_phase("inference"):
                matte = await model.client.predict(removal.model_input)
            clock.stages_ms["inference"] = matte.inference_ms
            removal.alpha = matte.alpha
            await self._in_thread(held, run, FINISH, removal, clock)
        return RemovalResult(
            file=removal.file.data,
            media_type=removal.file.media_type,
            suffix=removal.file.suffix,
            height=removal.source.height,
            width=removal.source.width,
            canvas=(removal.pixels.shape[0], removal.pixels.shape[1]),
            subject=removal.subject,
            applied=options.applied,
            model=model.spec.name,
            engine=matte.engine,
            retried_on_cpu=matte.retried_on_cpu,
            stages_ms=clock.stages_ms,
        )

    async def _in_thread(
        self,
        held: Reservation | None,
        work: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run in an imaging thread, and count the removal as being there."""
        with self._in_phase("imaging"):
            return await self._threads.run(held, work, *args, **kwargs)

    @contextmanager
    def _in_phase(self, name: str) -> Iterator[None]:
        """Count a removal as being in a phase."""
        self._phases[name] += 1
        try:
            yield
        finally:
            self._phases[name] -= 1


@cache
def _drawn_picture(height: int, width: int) -> bytes:
    """A disc, as a file."""
    drawn = np.full((height, width, 3), 128, dtype=np.uint8)
    cv2.circle(drawn, (width // 2, height // 2), height // 3, (240, 200, 60), -1)
    return encode_png(drawn)
