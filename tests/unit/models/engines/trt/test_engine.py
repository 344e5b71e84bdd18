"""The TensorRT engine on a device that can fail anywhere, and on a real one where there is one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from models.engine import Engine, EngineConfig
from models.engines.trt.engine import TensorRtEngine
from models.engines.trt.ports import CudaError
from models.errors import (
    EngineIncompatible,
    EngineUnavailable,
    InferenceFailed,
    OutOfDeviceMemory,
)
from models.spec import Precision
from tests.support.fake_cuda import (
    MIB,
    UNSOUND_PIXEL,
    FakeDevice,
    FakeDriver,
    FakePlanRuntime,
    expected_alpha,
    make_fake_plan,
)
from tests.support.plans import write_mean_graph

HEIGHT, WIDTH = 6, 10
BATCHES = (1, 2, 4, 8)
OUT_OF_MEMORY, INVALID_VALUE, ILLEGAL_ADDRESS = CudaError.OUT_OF_MEMORY, 1, 700
# Every call there is between construction and the end of the first batch.
WHILE_OPENING = (
    *("open", "current", "memory", "open_runtime", "load"),
    *("create_stream", "pinned", "allocate", "upload", "synchronize"),
)
WHILE_RUNNING = ("current", "upload", "context", "enqueue", "download", "synchronize")
GIVING_BACK = ("current", "recording.close", "plan.close", "free", "close")


def make_batch(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(10, 256, (n, HEIGHT, WIDTH, 3), dtype=np.uint8)


def open_on(
    device: FakeDevice, plan: bytes | None = None, overflows: bool = False, **changes: object
) -> TensorRtEngine:
    drivers: list[FakeDriver] = []

    def open_driver() -> FakeDriver:
        drivers.append(FakeDriver(device))
        return drivers[0]

    values = {"height": HEIGHT, "width": WIDTH, "pin_memory": True, **changes}
    return TensorRtEngine(
        plan or make_fake_plan(BATCHES, HEIGHT, WIDTH),
        open_driver,
        lambda: FakePlanRuntime(drivers[0], overflows=overflows),
        EngineConfig(**values),  # type: ignore[arg-type]
        Precision.F16,
    )


@pytest.fixture
def device() -> Iterator[FakeDevice]:
    """A device that must be clean at the end of every test."""
    fresh = FakeDevice()
    yield fresh
    fresh.assert_clean()
    assert not [it for it in threading.enumerate() if it.name.startswith("tensorrt")]


@pytest.fixture
def engine(device: FakeDevice) -> Iterator[TensorRtEngine]:
    opened = open_on(device)
    yield opened
    opened.close()


def test_it_is_an_engine_and_says_what_runs(engine: TensorRtEngine) -> None:
    assert isinstance(engine, Engine)
    assert engine.info.name == "tensorrt"
    assert engine.info.runtime == "fake_tensorrt 11.4"
    assert (engine.info.device, engine.info.precision) == ("cuda", Precision.F16)
    assert engine.info.max_batch == 8


@pytest.mark.parametrize("pin_memory", [True, False])
@pytest.mark.parametrize("n", range(1, 9))
def test_a_batch_gives_what_its_items_give_alone(
    device: FakeDevice, n: int, pin_memory: bool
) -> None:
    opened = open_on(device, pin_memory=pin_memory)
    batch = make_batch(n)
    alone = np.concatenate([opened.predict(item[None]) for item in batch])
    for _ in range(3):  # as it is, and as a recording
        assert np.array_equal(opened.predict(batch), alone)
    assert np.array_equal(alone, expected_alpha(batch))
    opened.close()


@pytest.mark.parametrize(
    ("asked", "batches", "most"),
    [(8, BATCHES, 8), (7, BATCHES, 4), (1, BATCHES, 1), (64, BATCHES, 8), (1, (4, 2), 2)],
)
def test_the_largest_batch_is_the_largest_profile_that_was_asked_for(
    device: FakeDevice, asked: int, batches: tuple[int, ...], most: int
) -> None:
    opened = open_on(device, make_fake_plan(batches, HEIGHT, WIDTH), max_batch=asked)
    assert opened.info.max_batch == most
    batch = make_batch(most)
    assert np.array_equal(opened.predict(batch), expected_alpha(batch))
    assert np.array_equal(opened.predict(batch[:1]), expected_alpha(batch[:1]))
    with pytest.raises(InferenceFailed, match=f"expected 1 to {most} "):
        opened.predict(make_batch(most + 1))
    opened.close()


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((0, HEIGHT, WIDTH, 3), np.uint8),
        np.zeros((1, WIDTH, HEIGHT, 3), np.uint8),
        np.zeros((HEIGHT, WIDTH, 3), np.uint8),
        np.zeros((1, HEIGHT, WIDTH, 3), np.float32),
    ],
)
def test_what_is_no_batch_of_pictures_fails_and_the_engine_goes_on(
    engine: TensorRtEngine, wrong: np.ndarray
) -> None:
    with pytest.raises(InferenceFailed):
        engine.predict(wrong)
    assert np.array_equal(engine.predict(make_batch(1)), expected_alpha(make_batch(1)))


def test_pictures_that_lie_scattered_in_memory_are_taken(engine: TensorRtEngine) -> None:
    batch = make_batch(3)[:, :, ::-1]
    assert np.array_equal(engine.predict(batch), expected_alpha(batch))


def test_the_caller_owns_the_mattes(engine: TensorRtEngine) -> None:
    first = engine.predict(make_batch(2))
    engine.predict(make_batch(2, seed=1))
    assert np.array_equal(first, expected_alpha(make_batch(2)))
    first[:] = 0  # and may write to them


def test_a_profile_is_made_on_its_first_batch_recorded_once_and_replayed(
    device: FakeDevice, engine: TensorRtEngine
) -> None:
    assert device.calls["context"] == 0
    for _ in range(3):
        engine.predict(make_batch(3))
    # Once as it is, once into the recording.
    assert (device.calls["context"], device.calls["record"], device.calls["enqueue"]) == (1, 1, 2)
    assert device.calls["replay"] == 2
    engine.predict(make_batch(4))  # the same profile
    assert device.calls["context"] == 1
    engine.predict(make_batch(1))
    assert (device.calls["context"], device.calls["record"]) == (2, 2)


def test_where_nothing_can_be_recorded_every_batch_is_enqueued(device: FakeDevice) -> None:
    device.can_record = False
    opened = open_on(device)
    for seed in range(3):
        batch = make_batch(2, seed)
        assert np.array_equal(opened.predict(batch), expected_alpha(batch))
    assert (device.calls["record"], device.calls["enqueue"]) == (1, 3)
    opened.close()


def test_without_memory_for_a_recording_the_batch_is_answered_all_the_same(
    device: FakeDevice, engine: TensorRtEngine
) -> None:
    device.fail("record", OUT_OF_MEMORY)
    for seed in range(2):
        batch = make_batch(2, seed)
        assert np.array_equal(engine.predict(batch), expected_alpha(batch))
    assert (device.calls["replay"], device.calls["enqueue"]) == (0, 2)


@pytest.mark.parametrize("pin_memory", [True, False])
def test_host_memory_is_pinned_where_it_was_asked_for(device: FakeDevice, pin_memory: bool) -> None:
    opened = open_on(device, pin_memory=pin_memory)
    assert (device.pinned_bytes > 0) is pin_memory
    opened.close()


def test_a_plan_that_works_in_no_memory_is_taken(device: FakeDevice) -> None:
    opened = open_on(device, make_fake_plan(BATCHES, HEIGHT, WIDTH, scratch_bytes=0))
    assert np.array_equal(opened.predict(make_batch(1)), expected_alpha(make_batch(1)))
    opened.close()


def test_a_batch_is_filled_up_with_its_own_pictures_not_with_those_before(
    device: FakeDevice,
) -> None:
    opened = open_on(device, make_fake_plan((4,), HEIGHT, WIDTH), max_batch=4)
    opened.predict(make_batch(4, seed=1))
    opened.predict(make_batch(2, seed=2))
    size = 4 * HEIGHT * WIDTH * 3
    (image,) = [block for block in device.memory.values() if len(block) == size]
    expected = make_batch(2, seed=2)[[0, 1, 1, 1]]
    assert np.array_equal(image.reshape(expected.shape), expected)
    opened.close()


def test_buffers_are_made_once_and_for_the_batches_in_use_only(device: FakeDevice) -> None:
    opened = open_on(device, max_batch=2)
    made = device.calls["allocate"]
    most = max(len(block) for block in device.memory.values())
    for n in (1, 2, 1):
        opened.predict(make_batch(n))
    assert device.calls["allocate"] == made
    assert most == 4096  # the weights; not 8 pictures
    opened.close()


def test_a_picture_the_network_overflows_on_fails_and_gives_no_matte(
    device: FakeDevice, engine: TensorRtEngine
) -> None:
    batch = make_batch(3)
    batch[1, 0, 0] = UNSOUND_PIXEL
    for _ in range(2):
        with pytest.raises(InferenceFailed, match="on 1 of 3 pictures"):
            engine.predict(batch)
    assert np.array_equal(engine.predict(batch[::2]), expected_alpha(batch[::2]))


def test_a_network_that_always_overflows_never_gives_a_matte(device: FakeDevice) -> None:
    opened = open_on(device, overflows=True)
    for n in (1, 2):
        with pytest.raises(InferenceFailed, match="overflowed"):
            opened.predict(make_batch(n))
    opened.close()


@pytest.mark.parametrize("garbage", [0, 0xCD])
def test_a_plan_that_does_not_say_whether_its_mattes_are_sound_is_taken(
    device: FakeDevice, garbage: int
) -> None:
    device.garbage = garbage
    opened = open_on(device, make_fake_plan(BATCHES, HEIGHT, WIDTH, sound=False))
    batch = make_batch(3)
    assert np.array_equal(opened.predict(batch), expected_alpha(batch))
    opened.close()


def test_eight_threads_at_once_get_each_its_own(engine: TensorRtEngine) -> None:
    def ask(seed: int) -> bool:
        batch = make_batch(1 + seed % 8, seed)
        return np.array_equal(engine.predict(batch), expected_alpha(batch))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(64)))


@pytest.mark.parametrize("call", [*WHILE_RUNNING, "replay"])
def test_a_lack_of_memory_says_how_much_and_the_next_batch_is_served(
    device: FakeDevice, engine: TensorRtEngine, call: str
) -> None:
    if call == "replay":
        engine.predict(make_batch(2))
    device.fail(call, OUT_OF_MEMORY)
    with pytest.raises(OutOfDeviceMemory) as caught:
        engine.predict(make_batch(2))
    required = caught.value.fields["gpu_memory_required_mb"]
    available = caught.value.fields["gpu_memory_available_mb"]
    assert type(required) is type(available) is int
    assert required >= available > 60
    for seed in range(2):
        batch = make_batch(2, seed)
        assert np.array_equal(engine.predict(batch), expected_alpha(batch))


def test_memory_that_another_process_took_is_not_counted_as_free(
    device: FakeDevice, engine: TensorRtEngine
) -> None:
    device.taken = device.capacity
    with pytest.raises(OutOfDeviceMemory) as caught:  # the profile's own memory is not to be had
        engine.predict(make_batch(1))
    assert caught.value.fields["gpu_memory_available_mb"] == 0
    assert caught.value.fields["gpu_memory_required_mb"] >= 1
    device.taken = 0
    assert np.array_equal(engine.predict(make_batch(1)), expected_alpha(make_batch(1)))


def test_free_memory_is_the_devices_own_figure_until_the_engine_is_of_no_use(
    device: FakeDevice, engine: TensorRtEngine
) -> None:
    memory = engine.memory()
    assert memory is not None
    assert (memory.free_bytes, memory.total_bytes) == (device.free_bytes, device.capacity)
    device.fail("memory", INVALID_VALUE)
    assert engine.memory() is None
    assert engine.memory() == memory
    device.taken = 5 * MIB
    lower = engine.memory()
    assert lower is not None
    assert memory.free_bytes - lower.free_bytes == 5 * MIB
    device.fail("enqueue", ILLEGAL_ADDRESS)
    with pytest.raises(InferenceFailed):
        engine.predict(make_batch(1))
    assert engine.memory() is None
    engine.close()
    assert engine.memory() is None


@pytest.mark.parametrize("code", [INVALID_VALUE, ILLEGAL_ADDRESS])
@pytest.mark.parametrize("call", [*WHILE_RUNNING, "record", "replay"])
def test_after_any_other_fault_the_device_is_left_alone(
    device: FakeDevice, engine: TensorRtEngine, call: str, code: int
) -> None:
    if call == "replay":
        engine.predict(make_batch(2))
    device.fail(call, code)
    with pytest.raises(InferenceFailed) as caught:
        engine.predict(make_batch(2))
    assert not isinstance(caught.value, OutOfDeviceMemory)
    before = device.calls.total()
    for _ in range(3):
        with pytest.raises(InferenceFailed, match="failed before"):
            engine.predict(make_batch(1))
    assert device.calls.total() == before
    engine.close()
    engine.close()


@pytest.mark.parametrize("code", [OUT_OF_MEMORY, INVALID_VALUE, ILLEGAL_ADDRESS])
@pytest.mark.parametrize("call", WHILE_OPENING)
def test_a_device_that_fails_while_opening_is_unavailable_and_nothing_stays(
    device: FakeDevice, call: str, code: int
) -> None:
    device.fail(call, code)
    with pytest.raises(EngineUnavailable) as caught:
        open_on(device)
    said = str(caught.value)
    assert "injected" in said
    # Where there is no driver yet, nobody can say what is free.
    assert (" MB are free" in said) is (code == OUT_OF_MEMORY and call != "open")


@pytest.mark.parametrize(
    ("call", "nth"),
    [*(("allocate", nth) for nth in (2, 3, 4)), ("pinned", 2), ("pinned", 3), ("memory", 2)],
)
def test_what_was_taken_before_a_failure_is_given_back(
    device: FakeDevice, call: str, nth: int
) -> None:
    device.fail(call, OUT_OF_MEMORY, nth)
    with pytest.raises(EngineUnavailable):
        open_on(device)


@pytest.mark.parametrize("refused", ["no plan", "another size"])
def test_a_plan_that_does_not_fit_is_refused_and_nothing_stays(
    device: FakeDevice, refused: str
) -> None:
    plan = b"garbage" if refused == "no plan" else make_fake_plan(BATCHES, HEIGHT, WIDTH + 1)
    with pytest.raises(EngineIncompatible):
        open_on(device, plan)


@pytest.mark.parametrize("what", ["driver", "runtime"])
def test_what_a_factory_raises_comes_through_and_nothing_stays(
    device: FakeDevice, what: str
) -> None:
    def refuse() -> object:
        raise EngineUnavailable("not installed")

    factories: list[Callable[[], object]] = [lambda: FakeDriver(device), refuse]
    if what == "driver":
        factories.reverse()
    with pytest.raises(EngineUnavailable, match="not installed"):
        TensorRtEngine(
            make_fake_plan(BATCHES, HEIGHT, WIDTH),
            *factories,  # type: ignore[arg-type]
            config=EngineConfig(HEIGHT, WIDTH),
            precision=Precision.F16,
        )


def test_a_plan_larger_than_the_free_memory_is_refused_before_it_is_loaded(
    device: FakeDevice,
) -> None:
    device.taken = device.capacity - 10
    with pytest.raises(EngineUnavailable, match="1 MB are needed, 0 MB are free") as caught:
        open_on(device)
    assert caught.value.fields == {"gpu_memory_required_mb": 1, "gpu_memory_available_mb": 0}
    assert device.calls["load"] == 0


def test_what_a_plan_works_in_is_checked_before_it_is_taken(device: FakeDevice) -> None:
    device.taken = 44 * MIB
    plan = make_fake_plan(BATCHES, HEIGHT, WIDTH, scratch_bytes=30 * MIB)
    with pytest.raises(EngineUnavailable, match="31 MB are needed, 19 MB are free"):
        open_on(device, plan)
    assert (device.calls["load"], device.calls["allocate"]) == (1, 0)


def test_a_closed_engine_fails_and_may_be_closed_again_from_any_thread(
    engine: TensorRtEngine,
) -> None:
    engine.predict(make_batch(2))
    threads = [threading.Thread(target=engine.close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    engine.close()
    with pytest.raises(InferenceFailed, match="closed"):
        engine.predict(make_batch(1))


@pytest.mark.parametrize("code", [OUT_OF_MEMORY, INVALID_VALUE, ILLEGAL_ADDRESS])
@pytest.mark.parametrize("call", GIVING_BACK)
def test_closing_never_raises(device: FakeDevice, call: str, code: int) -> None:
    opened = open_on(device)
    opened.predict(make_batch(1))
    opened.predict(make_batch(8))
    device.fail(call, code)
    opened.close()
    if call == "current":  # nothing can be given back but the context, and the rest goes with it
        device.forgotten.clear()
        device.n_plans = device.n_recordings = 0


def test_whoever_waits_while_the_engine_closes_gets_an_answer(device: FakeDevice) -> None:
    opened = open_on(device)
    device.gate.clear()
    entered = Event()

    def ask(seed: int) -> str:
        entered.set()
        try:
            answer = opened.predict(make_batch(1, seed))
        except InferenceFailed:
            return "failed"
        return "right" if np.array_equal(answer, expected_alpha(make_batch(1, seed))) else "wrong"

    with ThreadPoolExecutor(9) as pool:
        answers = [pool.submit(ask, seed) for seed in range(6)]
        assert entered.wait(10)
        closing = pool.submit(opened.close)
        device.gate.set()
        closing.result(20)
        assert {answer.result(20) for answer in answers} <= {"right", "failed"}


def test_a_driver_opened_for_its_facts_leaves_a_running_engine_alone(
    device: FakeDevice, engine: TensorRtEngine
) -> None:
    engine.predict(make_batch(2))
    FakeDriver(device).close()
    assert np.array_equal(engine.predict(make_batch(2)), expected_alpha(make_batch(2)))


def test_a_batch_in_flight_is_finished_before_the_engine_is_closed(device: FakeDevice) -> None:
    opened = open_on(device)
    device.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        before = device.calls["upload"]
        answer = pool.submit(opened.predict, make_batch(2))
        while device.calls["upload"] == before:
            pass
        closing = pool.submit(opened.close)
        assert not closing.done()
        device.gate.set()
        closing.result(20)
        assert np.array_equal(answer.result(20), expected_alpha(make_batch(2)))


@pytest.mark.gpu
@pytest.mark.tensorrt
@pytest.mark.slow
def test_a_real_plan_on_a_real_device_gives_the_right_mattes(tmp_path: Path) -> None:
    from models.engines.trt.builder import build_plan
    from models.engines.trt.driver import open_driver, probe
    from models.engines.trt.library import find_libraries
    from models.engines.trt.runtime import open_runtime

    reason = probe()
    if reason is not None:
        pytest.skip(reason)
    libraries = find_libraries()
    if not libraries:
        pytest.skip("no TensorRT is installed")
    graph = write_mean_graph(tmp_path / "graph.onnx", size=64)
    plan = tmp_path / "a.plan"
    build_plan(libraries[0].load(), graph, plan, (1, 2), None, lambda _phase, _done, _of: None)
    opened = TensorRtEngine(
        plan.read_bytes(),
        open_driver,
        lambda: open_runtime(libraries[0]),
        EngineConfig(64, 64, max_batch=2, pin_memory=True),
        Precision.F16,
    )
    batch = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    for n in (1, 2, 1, 2):
        off = opened.predict(batch[:n]).astype(int) - expected_alpha(batch[:n])
        assert np.abs(off).max() <= 1
    opened.close()
