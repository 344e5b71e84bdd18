"""Cores that nobody uses, lent to a picture that is alone.

A removal runs in one thread: beside others that is the most a machine can do. Where it is alone, a
step that can be cut into large parts is, and idle cores take some of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Lock
from typing import Any, TypeVar

from models.cores import usable_cores

T = TypeVar("T")

_NO_MORE = object()
_MOST_HELPERS = 3  # with more, they would wait for memory


class SpareCores:
    """Counts who uses a core, and lends the others.

    Args:
        n_cores: How many there are.
    """

    def __init__(self, n_cores: int) -> None:
        self._n_cores, self._used = n_cores, 0
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(_MOST_HELPERS, thread_name_prefix="spare")

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """One core is for what is done within, whether or not it works all the time."""
        with self._lock:
            self._used += 1
        try:
            yield
        finally:
            with self._lock:
                self._used -= 1

    def each(self, work: Callable[[T], object], parts: Iterable[T]) -> None:
        """Do work on every part, in this thread and on cores that are free now.

        Args:
            work: Writes what it makes where no other part does.
            parts: They are begun in this order.

        Raises:
            Exception: What the work raised; no further part is then begun.
        """
        left, turn = iter(parts), Lock()

        def next_part() -> Any:
            with turn:
                return next(left, _NO_MORE)

        def work_on() -> None:
            nonlocal left
            try:
                while (part := next_part()) is not _NO_MORE:
                    work(part)
            except BaseException:
                left = iter(())
                raise

        with self._borrowed() as n_helpers:
            helpers = [self._pool.submit(work_on) for _ in range(n_helpers)]
            try:
                work_on()
            finally:
                begun = [one for one in helpers if not one.cancel()]
                wait(begun)
            for one in begun:
                one.result()

    @contextmanager
    def _borrowed(self) -> Iterator[int]:
        """How many cores may help; they are given back afterwards."""
        with self._lock:
            free = self._n_cores - max(1, self._used)  # a script does not say that it uses one
            n_helpers = max(0, min(free, _MOST_HELPERS))
            self._used += n_helpers
        try:
            yield n_helpers
        finally:
            with self._lock:
                self._used -= n_helpers


#: Of this process.
SPARE_CORES = SpareCores(usable_cores())
