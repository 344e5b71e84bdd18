"""Many pictures in a row: a few at once, each with its own result or error, memory flat."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from models.errors import BackgroundRemovalError
from service.errors import ShuttingDown
from service.removal.background import Background
from service.removal.options import RemovalOptions, RemovalResult
from service.removal.remover import BackgroundRemover

log = logging.getLogger(__name__)

#: Pictures at once that are tried; more would only take memory.
SIZES = (1, 2, 3, 4)
_UNMEASURED = 2  # one picture is decoded while another is in the network
_MEASURE_S = 2.0
_GAIN = 1.05  # what one more picture at once must be worth


@dataclass
class Item:
    """One picture of a batch.

    Attributes:
        index: Its place in the batch, from 0.
        filename: The name it came under; untrusted.
        media_type: The type it was declared to be; untrusted.
        data: The file; let go as soon as it is done.
    """

    index: int
    filename: str
    media_type: str | None
    data: bytes


@dataclass(frozen=True)
class Outcome:
    """What became of one picture.

    Attributes:
        item: The picture.
        result: What was made of it, or why nothing was.
    """

    item: Item
    result: RemovalResult | BackgroundRemovalError


async def run_batch(
    remover: BackgroundRemover,
    items: Sequence[Item],
    options: RemovalOptions,
    charge: Callable[[], Awaitable[None]],
    stopping: asyncio.Event,
    background: Background | None = None,
) -> AsyncIterator[Outcome]:
    """Remove the background of many pictures, a few at once.

    Whoever reads slowly slows it down: at most one outcome waits to be read.

    Args:
        remover: Removes one.
        items: The pictures; they are begun in this order.
        options: What the caller chose for all of them.
        charge: Counts a picture; raises where the caller has had its share. The first is counted
            with the request.
        stopping: Set once the process has been told to stop: what has not begun is refused.
        background: The background picture of all of them; decoded once, and let go at the end.

    Yields:
        Every picture's outcome, as it is done.
    """
    done: asyncio.Queue[Outcome] = asyncio.Queue(maxsize=1)
    waiting = iter(items)

    async def remove(item: Item) -> RemovalResult:
        async with remover.batch_lane:
            if stopping.is_set():
                raise ShuttingDown
            return await remover.remove(
                item.data, options, item.media_type, background=background, in_batch=True
            )

    async def work() -> None:
        for item in waiting:  # shared: each picture is taken by one worker
            outcome = Outcome(item, await _attempt(remove, item, charge))
            item.data = b""
            await done.put(outcome)

    workers = [asyncio.create_task(work()) for _ in range(max(SIZES))]
    try:
        for _ in items:
            yield await done.get()
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        if background is not None:
            remover.kept_backgrounds.give_back(background)


async def _attempt(
    remove: Callable[[Item], Awaitable[RemovalResult]],
    item: Item,
    charge: Callable[[], Awaitable[None]],
) -> RemovalResult | BackgroundRemovalError:
    """One picture, whatever happens to it."""
    try:
        if item.index > 0:
            await charge()
        return await remove(item)
    except BackgroundRemovalError as error:
        return error
    except Exception:
        log.exception("unhandled fault at picture %d of a batch", item.index)
        return BackgroundRemovalError()


async def open_batch_lane(remover: BackgroundRemover) -> None:
    """Let batches work on as many pictures at once as are worth it.

    Args:
        remover: Whose lane it is; where a picture fails that is tried out, it stays as it is.
    """
    try:
        remover.open_batch_lane(await measure_batch_size(remover))
    except Exception:
        log.exception("how many pictures of batches at once are worth it is not known")
    log.info("pictures of batches at once: %d", remover.batch_size)


async def measure_batch_size(remover: BackgroundRemover) -> int:
    """How many pictures at once are worth it, by trying, for some seconds at most.

    Args:
        remover: Removes one.

    Returns:
        The smallest number of which one more would not be faster; at least two where more cannot
        be tried, since one takes long or somebody waits for something better.
    """
    best, best_rate, over = SIZES[0], 0.0, time.monotonic() + _MEASURE_S
    for size in SIZES:
        started = time.monotonic()
        too_long = best_rate > 0 and started + size / best_rate > over
        if too_long or not remover.is_idle:
            return max(best, _UNMEASURED)
        await asyncio.gather(*(remover.try_out() for _ in range(size)))
        rate = size / (time.monotonic() - started)
        if rate > best_rate * _GAIN:
            best, best_rate = size, rate
    return best
