"""The one verb: bytes and options in, a cutout out.

guard -> decode -> fit (in a thread) -> matte -> refine -> smooth -> cut out -> encode (in a
thread). Threads, memory and time are bounded: at most `workers` pictures are decoded or encoded at
once, pictures take at most `max_bytes` of memory together, and at most `max_queue` requests are
inside.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

import cv2
import numpy as np

from models.arrays import U8Array
from models.matting.compositing import cutout
from models.matting.foreground import estimate_foreground
from models.matting.postprocess import combine_alpha, smooth_alpha
from models.matting.preprocess import fit
from models.matting.refine import refine_alpha
from models.spec import ModelSpec
from service.errors import MemoryExhausted, ProcessingTimeout, ServiceBusy
from service.imaging.decode import SourceImage, decode
from service.imaging.encode import encode_png
from service.imaging.guard import ImageHeader, ImageLimits, inspect
from service.removal.admission import MemoryBudget, Reservation
from service.removal.options import RemovalOptions, RemovalResult
from service.removal.ports import Matte, MattingClient
from service.removal.threads import ImagingThreads, StageClock
from service.resources import return_freed_memory

P = ParamSpec("P")
T = TypeVar("T")

_MB = 1024**2
# From here on a picture leaves tens of megabytes behind in the allocator.
_LARGE_PIXELS = 4_000_000
# What refining, compositing and encoding take at their peak, per pixel; measured at 24 MP, 19 of a
# picture without transparency and 26 of one with.
_FINISH_BYTES = 26
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
        matting: Makes the alpha mattes.
        spec: The model that makes them: its input size, and how its matte is refined.
        config: Bounds.
    """

    def __init__(self, matting: MattingClient, spec: ModelSpec, config: RemoverConfig) -> None:
        self.spec = spec
        self.config = config
        self._matting = matting
        self._threads = ImagingThreads(config.workers)
        self._budget = MemoryBudget(config.max_bytes)
        self._inside = 0
        self._phases = Counter[str]()
        cv2.setNumThreads(1)  # the pool is the parallelism; OpenCV's own would fight inference

    async def remove(
        self, data: bytes, options: RemovalOptions, media_type: str | None = None
    ) -> RemovalResult:
        """Remove the background of one picture.

        Args:
            data: The uploaded file.
            options: What the caller chose.
            media_type: What the caller declared the file to be.

        Returns:
            The cutout, as large as the upright source.

        Raises:
            ImageError: If the file is not a picture we take; the caller's fault.
            ServiceError: If it must be tried again later.
            InferenceFailed: If the forward pass failed; ours.
        """
        if self._inside >= self.config.max_queue:
            raise ServiceBusy("The service is busy; try again shortly", retry_after=1)
        deadline_s = self.deadline_s(len(data))
        started = time.monotonic()
        self._inside += 1
        try:
            async with asyncio.timeout(deadline_s):
                result = await self._remove(data, options, media_type, StageClock(deadline_s))
        except (TimeoutError, ProcessingTimeout) as late:
            raise ProcessingTimeout(
                f"Processing timeout exceeded {deadline_s:g} seconds",
                elapsed_seconds=round(time.monotonic() - started, 1),
                suggested_action="Reduce image size or retry with smaller image",
            ) from late
        except MemoryError as short:
            raise MemoryExhausted(retry_after=_RETRY_S) from short
        finally:
            self._inside -= 1
        if result.height * result.width >= _LARGE_PIXELS:
            self._threads.later(return_freed_memory)  # now that its arrays are gone
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
        """Remove the background of a drawn picture, so that the first caller pays for nothing."""
        drawn = np.full((480, 640, 3), 128, dtype=np.uint8)
        cv2.circle(drawn, (320, 240), 150, (240, 200, 60), -1)
        await self.remove(encode_png(drawn), RemovalOptions())

    @property
    def overdue(self) -> int:
        """Imaging threads that are past their deadline, of `config.workers`."""
        return self._threads.overdue

    async def close(self) -> bool:
        """Give the threads back; whether all of them came back."""
        return await self._threads.close(_COME_BACK_S)

    async def _remove(
        self, data: bytes, options: RemovalOptions, media_type: str | None, clock: StageClock
    ) -> RemovalResult:
        with clock.stage("guard"):
            header = await self._in_thread(None, inspect, data, self.config.limits, media_type)
        queued = time.perf_counter()
        async with self._budget.hold(_memory_of(header)) as held:
            clock.note("admission", queued)
            source, model_input = await self._in_thread(held, self._prepare, data, header, clock)
            with clock.stage("matte"), self._in_phase("inference"):
                matte = await self._matting.predict(model_input)
            clock.stages_ms["inference"] = matte.inference_ms
            png = await self._in_thread(held, self._finish, source, matte, options, clock)
        return RemovalResult(
            png=png,
            height=source.height,
            width=source.width,
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

    def _prepare(
        self, data: bytes, header: ImageHeader, clock: StageClock
    ) -> tuple[SourceImage, U8Array]:
        """Bytes to the source image and the model input ``[H, W, 3]``."""
        with clock.stage("decode"):
            source = decode(data, header, clock.check)
        with clock.stage("fit"):
            source = source.as_seen()
            model_input = fit(source.pixels, self.spec.input.height, self.spec.input.width)
        return source, model_input

    def _finish(
        self, source: SourceImage, matte: Matte, options: RemovalOptions, clock: StageClock
    ) -> bytes:
        """The matte ``[H, W]`` and the source image to a PNG file."""
        with clock.stage("refine"):
            alpha = refine_alpha(matte.alpha, source.pixels, self.spec.refinement)
        if options.smoothing:
            with clock.stage("smooth"):
                alpha = smooth_alpha(alpha)
        if source.alpha is not None:
            alpha = combine_alpha(alpha, source.alpha)
        with clock.stage("foreground"):
            foreground = estimate_foreground(source.pixels, alpha)
            foreground = source.with_own_colours(foreground)
        with clock.stage("compose"):
            rgba = cutout(foreground, alpha)
        with clock.stage("encode"):
            return encode_png(rgba)


def _memory_of(header: ImageHeader) -> int:
    """Bytes that a picture takes at the peak of its removal."""
    return max(header.decode_bytes, header.height * header.width * _FINISH_BYTES)
