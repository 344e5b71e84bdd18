"""Limits of time: what stops, what does not, and what blocks within blocks do to each other."""

from __future__ import annotations

import signal
import time
from contextlib import suppress

import pytest

from scripts.gpu_check.limit import TimeIsUp, time_limit


def sleep_through_every_exception() -> None:
    """As an exporter does that tries one way after another."""
    for _ in range(20):
        try:
            time.sleep(1)
        except Exception:
            continue


def test_what_catches_every_exception_is_stopped_all_the_same() -> None:
    started = time.monotonic()
    with pytest.raises(TimeIsUp), time_limit(0.2):
        sleep_through_every_exception()
    assert time.monotonic() - started < 10


def sleep_through_the_first_call() -> None:
    """As Python does itself, in a finaliser."""
    with suppress(TimeIsUp):
        time.sleep(10)
    time.sleep(10)


def sleep_after_a_block_within() -> None:
    with time_limit(60):
        pass
    time.sleep(10)


def test_who_swallows_the_first_call_is_called_again() -> None:
    started = time.monotonic()
    with pytest.raises(TimeIsUp), time_limit(0.2, again_s=0.5):
        sleep_through_the_first_call()
    assert 0.6 < time.monotonic() - started < 8


def test_a_block_within_does_not_free_the_one_around_it() -> None:
    with pytest.raises(TimeIsUp), time_limit(0.3):
        sleep_after_a_block_within()


def test_the_time_of_a_block_within_is_its_own() -> None:
    started = time.monotonic()
    with time_limit(0.5), time_limit(60):
        time.sleep(0.8)
    assert time.monotonic() - started >= 0.8


def test_afterwards_clock_and_handler_are_those_of_before() -> None:
    handler = signal.getsignal(signal.SIGALRM)
    left_s, again_s = signal.getitimer(signal.ITIMER_REAL)  # pytest's own limit
    with time_limit(60):
        assert signal.getsignal(signal.SIGALRM) is not handler
    assert signal.getsignal(signal.SIGALRM) is handler
    assert signal.getitimer(signal.ITIMER_REAL) == (pytest.approx(left_s, abs=1), again_s)
