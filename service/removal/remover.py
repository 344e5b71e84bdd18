"""Makes a cutout of a picture's bytes and a caller's options: the service's one verb.

guard -> prepare (in a thread) -> matte -> finish (in a thread); the steps are in `pipeline.py`.
Threads, memory and time are bounded: at most `workers` pictures are decoded or encoded at once,
pictures take at most `max_bytes` of memory together, and at most `max_queue` requests are inside.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import ParamSpec, TypeVar

import cv2

from models.matting.scenes import SCENES
from models.spare_cores import SPARE_CORES
from service.errors import BackgroundNotFound, MemoryExhausted, ProcessingTimeout, ServiceBusy
from service.imaging.guard import inspect
from service.removal.admission import MemoryBudget, Reservation
from service.removal.background import (
    Background,
    KeptBackgrounds,
    StoredPicture,
    bytes_to_store,
    make_stored,
)
from service.removal.bounds import RemoverConfig
from service.removal.choice import find_served
from service.removal.drawn import drawn_picture
from service.removal.memory import bytes_of
from service.removal.options import RemovalOptions, RemovalResult
from service.removal.pipeline import FINISH, PREPARE, Removal, result_of, run
from service.removal.ports import Matte, ServedModel
from service.removal.telemetry import Telemetry, facts_of
from service.removal.threads import ImagingThreads, StageClock
from service.resources import return_freed_memory
from service.tracing.spans import current

P = ParamSpec("P")
T = TypeVar("T")

# From here on a picture leaves tens of megabytes behind in the allocator.
_LARGE_PIXELS = 4_000_000
_RETRY_S = 5
# What threads may take to come back after the last deadline.
_COME_BACK_S = 5.0


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
        kept_backgrounds: Bounds those that stay decoded while their batch runs.
        budget: Bounds the memory of pictures.
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
        self.budget = MemoryBudget(config.max_bytes)
        self.kept_backgrounds = KeptBackgrounds(config.max_bytes // 8)
        self._inside = Counter[str]()
        cv2.setNumThreads(1)  # the pool is the parallelism; OpenCV's own would fight inference

    async def remove(
        self,
        data: bytes,
        options: RemovalOptions,
        media_type: str | None = None,
        *,
        background: Background | None = None,
        in_batch: bool = False,
        spent_s: float = 0.0,
    ) -> RemovalResult:
        """Remove the background of one picture, and count it.

        Args:
            data: The uploaded file.
            options: What the caller chose.
            media_type: What the caller declared the file to be.
            background: The background picture, where it is another than the options bring.
            in_batch: Whether it holds the `batch_lane`, and takes nobody's place in the queue.
            spent_s: Seconds of its deadline that are gone already.

        Returns:
            What was made, with what is known of it.

        Raises:
            ImageError: If the file is not a picture we take; the caller's fault.
            InvalidRequest: If the model is not served; the caller's fault.
            ServiceError: If it must be tried again later.
            InferenceFailed: If the forward pass failed; ours.
        """
        started = time.perf_counter()
        with current().child("removal") as span:
            result = await self._remove_in_time(
                data, options, media_type, background, queued=not in_batch, spent_s=spent_s
            )
            span.tell(facts_of(result))
        self.telemetry.record(result, (time.perf_counter() - started) * 1e3)
        return result

    async def accept(self, background: Background) -> None:
        """Accept or refuse a background picture before its pixels are decoded.

        Raises:
            ImageError: With the option's name; the caller's fault.
            ServiceError: If it must be tried again later.
        """
        work = background.inspect
        await self.in_time(background.n_bytes, lambda _: self.in_thread(None, work))

    async def make_stored(self, background: Background) -> StoredPicture:
        """Make what is stored of a background.

        Raises:
            ImageError: If it is not a picture we take; the caller's fault.
            ServiceError: If it must be tried again later.
        """

        async def work(clock: StageClock) -> StoredPicture:
            await self.in_thread(None, background.inspect)
            async with self.budget.hold(bytes_to_store(background.header)) as held:
                return await self.in_thread(held, make_stored, background, clock.check)

        return await self.in_time(background.n_bytes, work)

    def load(self) -> dict[str, int]:
        """How many removals wait for memory, wait for or are in a thread, and in inference."""
        imaging, inference = self._inside["imaging"], self._inside["inference"]
        return {"memory": self.budget.waiting, "imaging": imaging, "inference": inference}

    def lanes(self) -> dict[str, tuple[int, int]]:
        """How many are in the queue of callers and in the lane of batches, and may be."""
        return {
            "callers": (self._inside["callers"], self.config.max_queue),
            "batches": (self._inside["batches"], self.batch_size),
        }

    async def warm_up(self) -> None:
        """Remove the background of a drawn picture with each model: no caller pays for a start."""
        for name in self.models:
            await self._remove_in_time(drawn_picture(480, 640), RemovalOptions(model=name))
        self.is_warm = True

    async def try_out(self) -> None:
        """Remove the background of a drawn picture of 1 megapixel, which counts nowhere."""
        await self._remove_in_time(drawn_picture(720, 1280), RemovalOptions(), queued=False)

    def open_batch_lane(self, batch_size: int) -> None:
        """Let so many pictures of batches in at once."""
        self.batch_size, self.batch_lane = batch_size, asyncio.Semaphore(batch_size)

    @property
    def is_idle(self) -> bool:
        """Whether no request is inside; pictures of batches do not count."""
        return self._inside["callers"] == 0

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
        background: Background | None = None,
        *,
        queued: bool = True,
        spent_s: float = 0.0,
    ) -> RemovalResult:
        """One removal within its bounds; see `remove`."""
        work = partial(self._remove, data, options, media_type, background)
        result = await self.in_time(len(data), work, queued=queued, spent_s=spent_s)
        if result.height * result.width >= _LARGE_PIXELS:
            self._threads.later(return_freed_memory)  # now that its arrays are gone
        return result

    async def in_time(
        self,
        n_bytes: int,
        work: Callable[[StageClock], Awaitable[T]],
        *,
        queued: bool = True,
        spent_s: float = 0.0,
    ) -> T:
        """Work on a file of so many bytes, within its bounds.

        Args:
            n_bytes: Length of the file.
            work: Given the clock of its deadline.
            queued: Whether it takes a place in the queue.
            spent_s: Seconds of its deadline that are gone already.

        Raises:
            ServiceError: If it must be tried again later, or took too long.
        """
        if queued and self._inside["callers"] >= self.config.max_queue:
            raise ServiceBusy("The service is busy; try again shortly", retry_after=1)
        deadline_s = self.config.deadline_s(n_bytes)
        started, left_s = time.monotonic() - spent_s, deadline_s - spent_s
        try:
            with SPARE_CORES.in_use(), self._counted("callers" if queued else "batches"):
                async with asyncio.timeout(left_s):
                    return await work(StageClock(left_s))
        except (TimeoutError, ProcessingTimeout) as late:
            raise ProcessingTimeout(
                f"Processing timeout exceeded {deadline_s:g} seconds",
                elapsed_seconds=round(time.monotonic() - started, 1),
                suggested_action="Reduce image size or retry with smaller image",
            ) from late
        except MemoryError as short:
            raise MemoryExhausted(retry_after=_RETRY_S) from short

    def find(self, name: str | None) -> ServedModel:
        """The model of a name; see `find_served`."""
        return find_served(self.models, name)

    async def _remove(
        self,
        data: bytes,
        options: RemovalOptions,
        media_type: str | None,
        background: Background | None,
        clock: StageClock,
    ) -> RemovalResult:
        model, limits = self.find(options.model), self.config.limits
        with clock.stage("guard"):
            header = await self.in_thread(None, inspect, data, limits, media_type)
            if background is None and options.bg_image is not None:
                background = Background(options.bg_image, "bg_image", limits)
            if background is not None:
                await self.in_thread(None, background.inspect)
        if background is None and options.background_id not in (None, *SCENES):
            raise BackgroundNotFound  # whoever calls reads it of the library
        removal = Removal(data, header, options, model.spec, background)
        queued = time.perf_counter()
        async with self.budget.hold(bytes_of(removal)) as held:
            clock.note("admission", queued)
            await self.in_thread(held, run, PREPARE, removal, clock)
            matte = await self.make_matte(removal, model, clock)
            await self.in_thread(held, run, FINISH, removal, clock)
        return result_of(removal, matte, clock.stages_ms)

    async def make_matte(self, removal: Removal, model: ServedModel, clock: StageClock) -> Matte:
        """Have the network make a prepared picture's matte."""
        with clock.stage("matte"), self._counted("inference"):
            matte = await model.client.predict(removal.model_input)
        clock.stages_ms["inference"] = matte.inference_ms
        removal.alpha = matte.alpha
        return matte

    async def in_thread(
        self,
        held: Reservation | None,
        work: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run in an imaging thread, and count the removal as being there."""
        with self._counted("imaging"):
            return await self._threads.run(held, work, *args, **kwargs)

    @contextmanager
    def _counted(self, place: str) -> Iterator[None]:
        """Count one as being in a lane or a phase."""
        self._inside[place] += 1
        try:
            yield
        finally:
            self._inside[place] -= 1
