"""Idle cores take parts of a picture that is alone, and of no other."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from models.spare_cores import SpareCores

PARTS = range(40)


def threads_of(cores: SpareCores, rounds: int = 4) -> int:
    """How many threads did parts, which all wait until that many are there or nobody comes."""
    seen: set[int] = set()
    done: list[int] = []
    meeting = threading.Event()

    def work(part: int) -> None:
        seen.add(threading.get_ident())
        meeting.wait(0.01)
        done.append(part)

    cores.each(work, PARTS)
    assert sorted(done) == list(PARTS)
    return len(seen)


@pytest.mark.parametrize(("n_cores", "threads"), [(1, 1), (2, 2), (4, 4), (64, 4)])
def test_a_picture_that_is_alone_gets_them(n_cores: int, threads: int) -> None:
    cores = SpareCores(n_cores)
    assert threads_of(cores) == threads
    with cores.in_use():
        assert threads_of(cores) == threads
    assert threads_of(cores) == threads, "they were given back"


def test_a_picture_among_others_gets_none_of_theirs() -> None:
    cores = SpareCores(2)
    with cores.in_use(), cores.in_use():
        assert threads_of(cores) == 1
    with cores.in_use(), cores.in_use(), cores.in_use():
        assert threads_of(cores) == 1
    assert threads_of(cores) == 2


def test_a_fault_ends_the_work_and_is_told() -> None:
    cores, done = SpareCores(2), []

    def work(part: int) -> None:
        if part == 5:
            raise MemoryError(part)
        done.append(part)

    with pytest.raises(MemoryError):
        cores.each(work, PARTS)
    assert len(done) < len(PARTS)
    assert threads_of(cores) == 2


def test_a_fault_of_whoever_makes_the_parts_is_told() -> None:
    def parts() -> object:
        yield 1
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        SpareCores(2).each(lambda _: None, parts())  # type: ignore[arg-type]


def test_nothing_to_do() -> None:
    SpareCores(4).each(_never, ())


_never: Callable[[object], None] = lambda _: pytest.fail("there is no part")  # noqa: E731
