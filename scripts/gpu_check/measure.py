"""Times and memory of an open engine, taken on the device.

Pictures are one batch ``[N, H, W, 3]`` everywhere.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from models.arrays import U8Array
from models.engine import Engine
from models.engines.pytorch import PyTorchEngine

_MIB = 1024 * 1024
_WARM_UPS = 2
_FEWEST, _MOST = 5, 30


@dataclass(frozen=True)
class Timing:
    """Times of one thing done again and again, in milliseconds.

    Attributes:
        median_ms: Half of them took less.
        min_ms: The shortest.
        repeats: How many.
    """

    median_ms: float
    min_ms: float
    repeats: int


class Clock:
    """Running from the moment it is made: on the current stream of a CUDA device, or on the host.

    Args:
        device: `cuda` or `cpu`.
    """

    def __init__(self, device: str) -> None:
        self._on_device = device == "cuda"
        self._start = self._end = self._mark()

    def stop(self) -> None:
        """Stop; what has been asked of the device may still be under way."""
        self._end = self._mark()

    def ms(self) -> float:
        """Milliseconds between start and stop, once the device is done."""
        if self._on_device:
            self._end.synchronize()
            return float(self._start.elapsed_time(self._end))
        return float(self._end - self._start) * 1e3

    def _mark(self) -> Any:
        if not self._on_device:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


def repeat(once: Callable[[], float], enough_s: float) -> Timing:
    """Repeat what returns its own milliseconds, after warming up.

    Five times at least, and for ``enough_s`` seconds, but no more than 30 times.
    """
    for _ in range(_WARM_UPS):
        once()
    times: list[float] = []
    started = time.monotonic()
    while len(times) < _MOST:
        times.append(once())
        if len(times) >= _FEWEST and time.monotonic() - started > enough_s:
            break
    return Timing(statistics.median(times), min(times), len(times))


def time_forward(engine: PyTorchEngine, pictures: U8Array, enough_s: float) -> Timing:
    """Time the network alone, pictures and mattes on the device; see `Clock` and `repeat`."""
    with engine.on_stream():  # as the engine's own: a compiled pass is compiled for such tensors
        on_device = torch.from_numpy(pictures).to(engine.info.device)

    def once() -> float:
        forward = engine.forward
        assert forward is not None  # noqa: S101  the caller has it open
        return timed_ms(engine, lambda: forward(on_device))

    return repeat(once, enough_s)


def run_forward(engine: PyTorchEngine, pictures: U8Array) -> None:
    """One pass on the calling thread, where a signal can end it and a profiler sees it."""
    with engine.on_stream():
        assert engine.forward is not None  # noqa: S101  the caller has it open
        engine.forward(torch.from_numpy(pictures).to(engine.info.device))


def time_predict(engine: Engine, pictures: U8Array, enough_s: float) -> Timing:
    """Time all of it, from the host's memory and back."""

    def once() -> float:
        clock = Clock("cpu")
        engine.predict(pictures)
        clock.stop()
        return clock.ms()

    return repeat(once, enough_s)


def timed_ms(engine: PyTorchEngine, work: Callable[[], Any]) -> float:
    """Milliseconds of some work on the engine's stream."""
    with engine.on_stream():
        clock = Clock(engine.info.device)
        work()
        clock.stop()
    return clock.ms()


def held_memory_mb() -> float | None:
    """Device memory held here, in MiB: weights, maps, recorded graphs; None without CUDA."""
    if not torch.cuda.is_available():
        return None
    return torch.cuda.memory_reserved() / _MIB


def release_cache() -> None:
    """Give back what nothing uses, such as what the search for algorithms took."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def matrix_peaks(device: str, side: int, enough_s: float) -> dict[str, float]:
    """What a device, `cuda` or `cpu`, reaches on a product of two square random matrices.

    A ceiling that was measured says more than a datasheet's: it has this card's clocks and power.

    Returns:
        TFLOP/s by precision, named as `models.spec.Precision` does, and `tf32`.
    """
    kinds = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32}
    if device == "cuda":
        kinds["tf32"] = torch.float32
        if not torch.cuda.is_bf16_supported(including_emulation=False):
            del kinds["bf16"]
    peaks = {}
    for name, dtype in kinds.items():
        torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
        a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        best = repeat(partial(_product_ms, a, b), enough_s)
        peaks[name] = 2 * side**3 / (best.median_ms / 1e3) / 1e12
    torch.backends.cuda.matmul.allow_tf32 = False
    return peaks


def _product_ms(a: torch.Tensor, b: torch.Tensor) -> float:
    clock = Clock(a.device.type)
    a @ b
    clock.stop()
    return clock.ms()
