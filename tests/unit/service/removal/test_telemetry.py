"""The hour that health shows is exact, and bounded."""

from __future__ import annotations

import pytest

from service.removal.telemetry import LatencySummary, SlidingHour


class FrozenClock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def frozen_clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def hour(frozen_clock: FrozenClock) -> SlidingHour:
    return SlidingHour(frozen_clock)


def test_before_the_first_removal_everything_is_zero(hour: SlidingHour) -> None:
    assert hour.summary() == LatencySummary(0.0, 0.0, 0.0, 0)


def test_a_removal_counts_for_an_hour_and_not_a_second_longer(
    hour: SlidingHour, frozen_clock: FrozenClock
) -> None:
    hour.record(50.0)
    frozen_clock.now += 3599
    assert hour.summary().requests_last_hour == 1
    frozen_clock.now += 1
    assert hour.summary() == LatencySummary(0.0, 0.0, 0.0, 0)


def test_the_count_is_exact_while_the_hour_moves(
    hour: SlidingHour, frozen_clock: FrozenClock
) -> None:
    for _ in range(7200):  # two a second for an hour
        hour.record(10.0)
        frozen_clock.now += 0.5
    assert hour.summary().requests_last_hour == 7198
    frozen_clock.now += 1800
    assert hour.summary().requests_last_hour == 3598


def test_memory_is_bounded_however_many_removals_there_are(
    hour: SlidingHour, frozen_clock: FrozenClock
) -> None:
    for _ in range(50_000):
        hour.record(10.0)
        frozen_clock.now += 0.1
    assert len(hour._seconds) <= 3601
    assert len(hour._latencies) == 1024
    assert hour.summary().requests_last_hour == pytest.approx(36_000, abs=10)


def test_percentiles_are_those_of_the_latest_removals(hour: SlidingHour) -> None:
    for latency_ms in range(1, 101):
        hour.record(float(latency_ms))
    assert hour.summary() == LatencySummary(50.5, 95.0, 99.0, 100)


def test_latencies_of_another_hour_do_not_colour_this_one(
    hour: SlidingHour, frozen_clock: FrozenClock
) -> None:
    hour.record(9999.0)
    frozen_clock.now += 4000
    hour.record(10.0)
    assert hour.summary() == LatencySummary(10.0, 10.0, 10.0, 1)
