"""The imaging threads: a bounded pool whose work has a deadline, and the clock of one removal.

A thread cannot be killed. So the work asks the clock between its steps, decoders ask it while they
read, and what does not come back all the same is counted, for health to see.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from service.errors import ProcessingTimeout
from service.removal.admission import Reservation
from service.tracing.spans import current

P = ParamSpec("P")
T = TypeVar("T")


class StageClock:
    """Times the stages of one removal, and ends its work once the deadline has passed.

    Args:
        deadline_s: Seconds from now.
        now: Gives seconds; another clock in benchmarks, such as one of CPU time.

    Attributes:
        stages_ms: Milliseconds by stage.
    """

    def __init__(self, deadline_s: float, now: Callable[[], float] = time.perf_counter) -> None:
        self._ends = time.monotonic() + deadline_s
        self._now = now
        self._span = current()
        self.stages_ms: dict[str, float] = {}

    def check(self) -> None:
        """Raise `ProcessingTimeout` if the time is up: nobody waits for this work any more."""
        if time.monotonic() > self._ends:
            raise ProcessingTimeout

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Note how many milliseconds a stage takes; it does not begin after the deadline."""
        self.check()
        started = self._now()
        with self._span.child(name):
            yield
        self.stages_ms[name] = (self._now() - started) * 1e3

    def note(self, name: str, started: float) -> None:
        """Note how many milliseconds have passed since a moment of `now`."""
        lasted_s = self._now() - started
        self._span.past(name, lasted_s)
        self.stages_ms[name] = lasted_s * 1e3


class ImagingThreads:
    """A pool of threads for work on pictures.

    Args:
        n_threads: How many.

    Attributes:
        n_threads: How many.
    """

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self._pool = ThreadPoolExecutor(n_threads, thread_name_prefix="imaging")
        self._at_work: set[Future[Any]] = set()
        self._overdue: set[Future[Any]] = set()

    @property
    def overdue(self) -> int:
        """Threads at work that nobody waits for any more."""
        return len(self._overdue)

    async def run(
        self,
        held: Reservation | None,
        work: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Do work in a thread; a reservation ends no sooner than the thread."""
        future = self._submit(work, *args, **kwargs)
        if held is not None:
            held.work = future
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if future.running():
                self._overdue.add(future)
                future.add_done_callback(self._overdue.discard)
            raise

    def later(self, work: Callable[[], object]) -> None:
        """Do work in a thread, some time."""
        self._submit(work)

    async def close(self, within_s: float) -> bool:
        """Take no more work, and wait for what is under way.

        Returns:
            Whether all threads have come back.
        """
        self._pool.shutdown(wait=False, cancel_futures=True)
        return not (await asyncio.to_thread(wait, set(self._at_work), within_s)).not_done

    def _submit(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future = self._pool.submit(work, *args, **kwargs)
        self._at_work.add(future)
        future.add_done_callback(self._at_work.discard)
        return future
