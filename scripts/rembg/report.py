"""The report of our service beside rembg: figures, and whether they meet what was asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from scripts.measuring import report
from scripts.measuring.table import table
from scripts.rembg.stages import StageTimes

MAX_PRE_POST_MS = 55.0
MIN_PRE_POST_RATIO = 7.0
MAX_MEMORY_RATIO = 0.5


@dataclass(frozen=True)
class SpeedTarget:
    """How many times faster than rembg a model is asked to be.

    Attributes:
        latency: At 1080p, one request at a time.
        latency_aim: What is hoped for beyond that, or None.
        throughput: At 1080p, eight requests at once.
    """

    latency: float
    latency_aim: float | None
    throughput: float

    def halved(self) -> SpeedTarget:
        """What is asked of a CPU without bfloat16."""
        aim = self.latency_aim and self.latency_aim / 2
        return SpeedTarget(self.latency / 2, aim, self.throughput / 2)


TARGETS = {"u2net": SpeedTarget(4.0, 6.0, 5.0), "u2netp": SpeedTarget(2.2, None, 3.0)}


@dataclass
class Measured:
    """Of one server with one model.

    Attributes:
        latencies_ms: By size, one request at a time, in the order measured.
        throughput: Images per second with eight requests at once, by round.
        idle_mb: Summed PSS with the model loaded, before any load.
        peak_mb: The largest sum seen under load.
        after_mb: The sum right after the load.
        failures: Answers that were no cutout, by status.
    """

    latencies_ms: dict[str, list[float]] = field(default_factory=dict)
    throughput: list[float] = field(default_factory=list)
    idle_mb: float = 0.0
    peak_mb: float = 0.0
    after_mb: float = 0.0
    failures: dict[str, int] = field(default_factory=dict)

    def latency_ms(self, size: str, percentile: float = 50) -> float:
        """A percentile of the latencies of one size."""
        return float(np.percentile(self.latencies_ms[size], percentile))

    def images_per_s(self) -> float:
        """Median of the rounds."""
        return float(np.median(self.throughput))


@dataclass
class Comparison:
    """One model: ours, rembg's, and what lies around the network."""

    model: str
    health: dict[str, Any]
    ours: Measured
    rembg: Measured
    stages: dict[str, StageTimes]


@dataclass(frozen=True)
class Report(report.Report):
    """One run."""

    title: ClassVar[str] = "Ours against rembg"
    rembg_versions: dict[str, str]
    comparisons: list[Comparison]

    def notes(self) -> Iterator[str]:
        """What runs beside ours, and how."""
        theirs = ", ".join(f"{name} {number}" for name, number in self.rembg_versions.items())
        yield f"rembg's environment: {theirs}; `rembg s`, its defaults"
        yield (
            "Same checkpoint files, same pictures, requests alternating between the two servers. "
            "Memory: PSS summed over all processes, MB = 10^6 bytes."
        )

    def body(self) -> Iterator[str]:
        """Two tables per model."""
        for number, comparison in enumerate(self.comparisons):
            yield from ([""] if number else [])
            yield from _lines(comparison, self.machine.has_bf16)


def _lines(comparison: Comparison, has_bf16: bool) -> Iterator[str]:
    health = comparison.health
    yield f"## {comparison.model}: {health['engine']}"
    yield ""
    rows = [
        ["", "ours", "rembg", "ours is", "asked", ""],
        *_speed_rows(comparison, has_bf16),
        *_memory_rows(comparison),
        *_pre_post_rows(comparison),
    ]
    yield from table(rows, words=len(rows[0]))
    for who, measured in (("ours", comparison.ours), ("rembg", comparison.rembg)):
        if measured.failures:
            yield f"\n**Failed requests, {who}: {measured.failures}**"
    if health.get("reasons"):
        yield f"\nHealth says: {'; '.join(health['reasons'])}."
    yield ""
    yield from table([*_stage_rows(comparison)])


def _speed_rows(comparison: Comparison, has_bf16: bool) -> Iterator[list[str]]:
    ours, rembg = comparison.ours, comparison.rembg
    target = TARGETS.get(comparison.model)
    if target is not None and not has_bf16:
        target = target.halved()
    for size in ours.latencies_ms:
        n = min(len(ours.latencies_ms[size]), len(rembg.latencies_ms[size]))
        for name, percentile in (("median", 50), ("p95", 95)):
            mine, theirs = ours.latency_ms(size, percentile), rembg.latency_ms(size, percentile)
            ratio = theirs / mine
            asked = []
            if target is not None and (size, percentile) == ("1080p", 50):
                aim = f", aim {target.latency_aim:g}x" if target.latency_aim else ""
                asked = [f"at least {target.latency:g}x{aim}", _verdict(ratio >= target.latency)]
            label = f"latency {size}, {name} of {n}"
            yield [label, f"{mine:.0f} ms", f"{theirs:.0f} ms", f"{ratio:.1f}x faster", *asked]
    mine, theirs = ours.images_per_s(), rembg.images_per_s()
    ratio = mine / theirs
    asked = []
    if target is not None:
        asked = [f"at least {target.throughput:g}x", _verdict(ratio >= target.throughput)]
    label = "throughput 1080p, 8 at once"
    yield [label, f"{mine:.2f}/s", f"{theirs:.2f}/s", f"{ratio:.1f}x", *asked]


def _memory_rows(comparison: Comparison) -> Iterator[list[str]]:
    ours, rembg = comparison.ours, comparison.rembg
    for name, mine, theirs in (
        ("idle, model loaded", ours.idle_mb, rembg.idle_mb),
        ("peak under load", ours.peak_mb, rembg.peak_mb),
        ("right after the load", ours.after_mb, rembg.after_mb),
    ):
        ratio = mine / theirs
        asked = [f"at most {MAX_MEMORY_RATIO:.0%}", _verdict(ratio <= MAX_MEMORY_RATIO)]
        yield [f"memory {name}", f"{mine:.0f} MB", f"{theirs:.0f} MB", f"{ratio:.0%}", *asked]


def _pre_post_rows(comparison: Comparison) -> Iterator[list[str]]:
    for size, times in comparison.stages.items():
        mine, theirs = times.ours_ms, times.rembg_ms
        ratio = theirs / mine
        asked = []
        if size == "1080p":
            wanted = f"at most {MAX_PRE_POST_MS:g} ms, at least {MIN_PRE_POST_RATIO:g}x less"
            met = mine <= MAX_PRE_POST_MS and ratio >= MIN_PRE_POST_RATIO
            asked = [wanted, _verdict(met)]
        label = f"before and after the network {size}, CPU of one core"
        yield [label, f"{mine:.1f} ms", f"{theirs:.0f} ms", f"{ratio:.1f}x less", *asked]


def _stage_rows(comparison: Comparison) -> Iterator[list[str]]:
    """CPU time by stage, each with its share of the whole request."""
    sizes = comparison.stages
    yield ["CPU ms of one core", *(words for size in sizes for words in (size, "of the request"))]

    def row(name: str, who: Measured, spent: dict[str, float], decimals: int) -> list[str]:
        cells = [(f"{ms:.{decimals}f}", f"{ms / who.latency_ms(s):.0%}") for s, ms in spent.items()]
        return [name, *(cell for pair in cells for cell in pair)]

    for name in next(iter(sizes.values())).stages_ms:
        yield row(name, comparison.ours, {s: t.stages_ms[name] for s, t in sizes.items()}, 1)
    ours_ms = {size: times.ours_ms for size, times in sizes.items()}
    yield row("ours, all through the remover", comparison.ours, ours_ms, 1)
    rembg_ms = {size: times.rembg_ms for size, times in sizes.items()}
    yield row("rembg, all", comparison.rembg, rembg_ms, 0)


def _verdict(met: bool) -> str:
    return "met" if met else "**not met**"
