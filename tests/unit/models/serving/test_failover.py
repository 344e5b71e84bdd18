"""What a GPU cannot do the CPU does, a better engine takes over, and no request is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.artifacts import ModelFiles
from models.engine import EngineConfig, EngineInfo, Headroom
from models.engines.fake import FakeEngine
from models.errors import EngineUnavailable, InferenceFailed, NetworkOverflowed, OutOfDeviceMemory
from models.serving.failover import FailoverPredictor
from models.spec import Precision

HEIGHT, WIDTH = 16, 24
BATCH = np.random.default_rng(0).integers(0, 256, (3, HEIGHT, WIDTH, 3), dtype=np.uint8)
NO_MEMORY = OutOfDeviceMemory("no", gpu_memory_required_mb=900, gpu_memory_available_mb=100)


class FaultyEngine(FakeEngine):
    """An engine of a device, whose next passes fail as told."""

    def __init__(self, name: str = "tensorrt", device: str = "cuda") -> None:
        super().__init__(ModelFiles(Path("none")), EngineConfig(HEIGHT, WIDTH, max_batch=4))
        self._info = replace(self._info, name=name, device=device, precision=Precision.F16)
        self.faults: list[Exception] = []
        self.room: Headroom | None = None
        self.passes = 0
        self.gate: threading.Event | None = None
        self.inside = threading.Event()
        self.closed_during_a_pass = False
        self._running = 0

    @property
    def info(self) -> EngineInfo:
        return self._info

    @property
    def closed(self) -> bool:
        return self._closed

    def headroom(self, batch: int) -> Headroom | None:
        return self.room

    def predict(self, batch: np.ndarray) -> np.ndarray:
        self.passes += 1
        self._running += 1
        try:
            if self.gate is not None:
                self.inside.set()
                self.gate.wait(10)
            if self.faults:
                raise self.faults.pop(0)
            return super().predict(batch)
        finally:
            self._running -= 1

    def close(self) -> None:
        self.closed_during_a_pass |= self._running > 0
        super().close()


def cpu_engine() -> FaultyEngine:
    return FaultyEngine("openvino", "cpu")


def no_fallback() -> FaultyEngine:
    raise EngineUnavailable("there is none")


def make_chain(
    engine: FaultyEngine, open_fallback: Callable[[], FaultyEngine] = cpu_engine
) -> FailoverPredictor:
    chain = FailoverPredictor(engine, open_fallback, HEIGHT, WIDTH)
    engine.passes = 0
    return chain


def test_what_serves_is_named() -> None:
    outcome = make_chain(FaultyEngine()).predict(BATCH)
    assert (outcome.engine.label, outcome.retried_on_cpu) == ("tensorrt f16", False)
    assert np.array_equal(outcome.alphas, BATCH[..., 1])


@pytest.mark.parametrize("fault", [NO_MEMORY, InferenceFailed("a value left its range")])
def test_a_device_that_fails_costs_one_pass_on_the_cpu_and_says_so(fault: Exception) -> None:
    engine, spare = FaultyEngine(), cpu_engine()
    chain = make_chain(engine, lambda: spare)
    engine.faults = [fault]
    outcome = chain.predict(BATCH)
    assert (outcome.engine.label, outcome.retried_on_cpu) == ("openvino f16", True)
    assert np.array_equal(outcome.alphas, BATCH[..., 1])
    assert (engine.passes, spare.passes) == (1, 1)
    assert chain.failures_in_a_row == 0
    assert chain.predict(BATCH).engine.label == "tensorrt f16"


def test_a_picture_that_overflows_the_network_turns_the_device_off_for_nobody() -> None:
    engine = FaultyEngine()
    chain = make_chain(engine)
    for _ in range(5):
        engine.faults = [NetworkOverflowed("a value left its range")]
        assert chain.predict(BATCH).retried_on_cpu
    assert chain.predict(BATCH).engine.label == "tensorrt f16"
    assert chain.notes == []


def test_the_fallback_engine_is_opened_once_and_only_when_needed() -> None:
    opened: list[FaultyEngine] = []

    def open_fallback() -> FaultyEngine:
        opened.append(cpu_engine())
        return opened[-1]

    engine = FaultyEngine()
    chain = make_chain(engine, open_fallback)
    chain.predict(BATCH)
    assert opened == []
    for _ in range(2):
        engine.faults = [NO_MEMORY]
        chain.predict(BATCH)
    assert len(opened) == 1
    chain.close()
    assert engine.closed
    assert opened[0].closed


def test_where_the_cpu_does_not_do_either_the_devices_lack_is_reported_with_its_fields() -> None:
    engine, spare = FaultyEngine(), cpu_engine()
    chain = make_chain(engine, lambda: spare)
    engine.faults, spare.faults = [NO_MEMORY], [InferenceFailed("nor this")]
    with pytest.raises(OutOfDeviceMemory) as caught:
        chain.predict(BATCH)
    assert caught.value.fields == {
        "gpu_memory_required_mb": 900,
        "gpu_memory_available_mb": 100,
    }


def test_without_a_fallback_engine_the_devices_own_failure_is_reported() -> None:
    engine = FaultyEngine()
    chain = make_chain(engine, no_fallback)
    engine.faults = [InferenceFailed("first")]
    with pytest.raises(InferenceFailed, match="first"):
        chain.predict(BATCH)
    assert chain.failures_in_a_row == 1


def test_a_cpu_engine_that_fails_is_not_tried_twice() -> None:
    engine = cpu_engine()
    chain = make_chain(engine, no_fallback)
    engine.faults = [InferenceFailed("no")]
    with pytest.raises(InferenceFailed, match="no"):
        chain.predict(BATCH)
    assert engine.passes == 1


def test_memory_is_looked_at_before_the_work() -> None:
    engine, spare = FaultyEngine(), cpu_engine()
    chain = make_chain(engine, lambda: spare)
    engine.room = Headroom(free_mb=847.4, required_mb=1200.2)
    with pytest.raises(OutOfDeviceMemory) as caught:
        chain.predict(BATCH)
    assert caught.value.fields == {
        "gpu_memory_required_mb": 1201,
        "gpu_memory_available_mb": 847,
    }
    assert (engine.passes, spare.passes) == (0, 0)
    engine.room = Headroom(free_mb=1300, required_mb=1200.2)
    assert chain.predict(BATCH).engine.label == "tensorrt f16"


def test_an_engine_that_keeps_failing_makes_way() -> None:
    engine, spare = FaultyEngine(), cpu_engine()
    chain = make_chain(engine, lambda: spare)
    engine.faults = [InferenceFailed("no")] * 3
    for _ in range(3):
        assert chain.predict(BATCH).retried_on_cpu
    assert engine.closed
    outcome = chain.predict(BATCH)
    assert (outcome.engine.label, outcome.retried_on_cpu) == ("openvino f16", False)
    assert chain.notes == [
        "tensorrt f16 kept failing; openvino f16 serves until the service is started again"
    ]


def test_a_lack_of_memory_however_often_makes_nobody_give_way() -> None:
    engine = FaultyEngine()
    chain = make_chain(engine)
    for _ in range(5):
        engine.faults = [NO_MEMORY]
        assert chain.predict(BATCH).retried_on_cpu
    assert not engine.closed
    assert chain.notes == []


def test_failures_in_between_successes_make_nobody_give_way() -> None:
    engine = FaultyEngine()
    chain = make_chain(engine)
    for _ in range(5):
        engine.faults = [InferenceFailed("no")]
        chain.predict(BATCH)
        chain.predict(BATCH)
    assert not engine.closed


def test_a_better_engine_takes_over_after_the_batch_under_way() -> None:
    old, new = cpu_engine(), FaultyEngine()
    chain = make_chain(old)
    old.gate = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        under_way = pool.submit(chain.predict, BATCH)
        assert old.inside.wait(10)
        swapping = pool.submit(chain.swap, new)
        time.sleep(0.2)
        assert not swapping.done()
        assert not old.closed
        old.gate.set()
        assert under_way.result(10).engine.label == "openvino f16"
        swapping.result(10)
    assert old.closed
    assert not old.closed_during_a_pass
    assert chain.predict(BATCH).engine.label == "tensorrt f16"


def test_no_request_is_lost_to_a_swap() -> None:
    chain = make_chain(cpu_engine())
    with ThreadPoolExecutor(8) as pool:
        outcomes = [pool.submit(chain.predict, BATCH) for _ in range(200)]
        for _ in range(5):
            chain.swap(FaultyEngine())
        for outcome in outcomes:
            assert np.array_equal(outcome.result(10).alphas, BATCH[..., 1])


def test_an_engine_that_fails_its_first_picture_does_not_take_over() -> None:
    old, new = cpu_engine(), FaultyEngine()
    chain = make_chain(old)
    new.faults = [InferenceFailed("no")]
    with pytest.raises(InferenceFailed):
        chain.swap(new)
    assert new.closed
    assert not old.closed
    assert chain.predict(BATCH).engine.label == "openvino f16"
