"""Does the steps of calls, one call after the other or several at a time."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator
from typing import Any, TypeVar

from birefnet_client.errors import CLOSED, RemovalError
from birefnet_client.steps import Answer, Ask, Step, Steps, Wait

T = TypeVar("T")


class Runner:
    """Does steps in the calling thread, or in a few of its own."""

    def __init__(self) -> None:
        self._closed = threading.Event()
        self._committing = threading.Lock()

    def send(self, ask: Ask) -> Answer:
        """Send a request; a runner that only works here is asked for none."""
        raise NotImplementedError

    def run(self, steps: Steps[T], stop: threading.Event | None = None) -> T:
        """Do the steps of one call.

        Args:
            steps: The call.
            stop: Ends it before its next step.
        """
        try:
            step = next(steps)
            while True:
                try:
                    came = self._do(step, stop or self._closed)
                except Exception as fault:
                    step = steps.throw(fault)
                else:
                    step = steps.send(came)
        except StopIteration as end:
            made: T = end.value
            return made

    def run_many(self, calls: Iterable[Steps[T]], workers: int) -> Generator[T, None, None]:
        """Do several calls at a time; what each returns, as it is done.

        Whoever stops asking, or is interrupted, ends it: nothing is begun or written any more, and
        what is being written is there whole. The threads die with the process.

        Args:
            calls: The calls.
            workers: How many at a time.
        """
        waiting, done = iter(list(calls)), queue.SimpleQueue[Any]()
        stop, taking = threading.Event(), threading.Lock()

        def work() -> None:
            while not stop.is_set():
                with taking:
                    steps = next(waiting, None)
                if steps is None:
                    break
                try:
                    done.put((self.run(steps, stop), None))
                except BaseException as fault:
                    done.put((None, fault))
            done.put(None)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(workers)]
        try:
            for thread in threads:
                thread.start()
            yield from _told(done, workers)
        finally:
            with self._committing:
                stop.set()

    def _do(self, step: Step, stop: threading.Event) -> Any:
        if stop.is_set() or self._closed.is_set():
            raise RemovalError(CLOSED, "the client was closed")
        if isinstance(step, Ask):
            return self.send(step)
        if isinstance(step, Wait):
            if stop.wait(step.seconds):
                raise RemovalError(CLOSED, "the client was closed while it waited")
            return None
        if not step.commits:
            return step.do()
        with self._committing:
            if stop.is_set():
                raise RemovalError(CLOSED, "the client was closed")
            return step.do()


def _told(done: queue.SimpleQueue[Any], workers: int) -> Iterator[Any]:
    """What workers put there, until all of them have ended."""
    while workers:
        told = done.get()
        if told is None:
            workers -= 1
        elif told[1] is not None:
            raise told[1]
        else:
            yield told[0]


class AsyncRunner:
    """Does steps in a loop; files are read and written in threads."""

    async def send(self, ask: Ask) -> Answer:
        """Send a request."""
        raise NotImplementedError

    async def run(self, steps: Steps[T]) -> T:
        """Do the steps of one call."""
        try:
            step = next(steps)
            while True:
                try:
                    came = await self._do(step)
                except Exception as fault:
                    step = steps.throw(fault)
                else:
                    step = steps.send(came)
        except StopIteration as end:
            made: T = end.value
            return made

    async def run_many(self, calls: Iterable[Steps[T]], workers: int) -> AsyncGenerator[T, None]:
        """Do several calls at a time; what each returns, as it is done. Ends as `Runner` does."""
        limit = asyncio.Semaphore(workers)

        async def work(steps: Steps[T]) -> T:
            async with limit:
                return await self.run(steps)

        tasks = [asyncio.create_task(work(steps)) for steps in calls]
        try:
            for ended in asyncio.as_completed(tasks):
                yield await ended
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _do(self, step: Step) -> Any:
        if isinstance(step, Ask):
            return await self.send(step)
        if isinstance(step, Wait):
            return await asyncio.sleep(step.seconds)
        return await asyncio.to_thread(step.do)
