"""What was measured in, Markdown and JSON out: numbers beside what was asked, met or not met."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scripts.measuring.machine import Machine
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
class Report:
    """One run."""

    date: str
    command: str
    machine: Machine
    rembg_versions: dict[str, str]
    comparisons: list[Comparison]

    def write(self, stem: Path) -> None:
        """Write `stem`.json and `stem`.md."""
        stem.parent.mkdir(parents=True, exist_ok=True)
        stem.with_name(f"{stem.name}.json").write_text(json.dumps(asdict(self), indent=1) + "\n")
        stem.with_name(f"{stem.name}.md").write_text(self.as_markdown())

    def as_markdown(self) -> str:
        """The whole report."""
        theirs = ", ".join(f"{name} {number}" for name, number in self.rembg_versions.items())
        lines = [
            f"# Ours against rembg, {self.date}",
            "",
            f"`{self.command}`",
            "",
            *self.machine.as_markdown(),
            f"- rembg's environment: {theirs}; `rembg s`, its defaults",
            "- Same checkpoint files, same pictures, requests alternating between the two servers. "
            "Memory: PSS summed over all processes, MB = 10^6 bytes.",
        ]
        for comparison in self.comparisons:
            lines += ["", *_comparison_lines(comparison, self.machine)]
        return "\n".join(lines) + "\n"


def _comparison_lines(comparison: Comparison, machine: Machine) -> list[str]:
    health = comparison.health
    lines = [
        f"## {comparison.model}: {health['engine']}",
        "",
        "| | ours | rembg | ours is | asked | |",
        "|---|---|---|---|---|---|",
        *_speed_lines(comparison, machine),
        *_memory_lines(comparison),
        *_pre_post_lines(comparison),
    ]
    for who, measured in (("ours", comparison.ours), ("rembg", comparison.rembg)):
        if measured.failures:
            lines += ["", f"**Failed requests, {who}: {measured.failures}**"]
    if health.get("reasons"):
        lines += ["", f"Health says: {'; '.join(health['reasons'])}."]
    return [*lines, "", *_stage_lines(comparison)]


def _speed_lines(comparison: Comparison, machine: Machine) -> list[str]:
    ours, rembg = comparison.ours, comparison.rembg
    target = TARGETS.get(comparison.model)
    if target is not None and not machine.has_bf16:
        target = target.halved()
    lines = []
    for size in ours.latencies_ms:
        n = min(len(ours.latencies_ms[size]), len(rembg.latencies_ms[size]))
        for name, percentile in (("median", 50), ("p95", 95)):
            mine, theirs = ours.latency_ms(size, percentile), rembg.latency_ms(size, percentile)
            ratio = theirs / mine
            asked = ("", "")
            if target is not None and (size, percentile) == ("1080p", 50):
                aim = f", aim {target.latency_aim:g}x" if target.latency_aim else ""
                asked = (f"at least {target.latency:g}x{aim}", _verdict(ratio >= target.latency))
            label = f"latency {size}, {name} of {n}"
            lines.append(
                _row(label, f"{mine:.0f} ms", f"{theirs:.0f} ms", f"{ratio:.1f}x faster", asked)
            )
    mine, theirs = ours.images_per_s(), rembg.images_per_s()
    ratio = mine / theirs
    asked = ("", "")
    if target is not None:
        asked = (f"at least {target.throughput:g}x", _verdict(ratio >= target.throughput))
    label = "throughput 1080p, 8 at once"
    lines.append(_row(label, f"{mine:.2f}/s", f"{theirs:.2f}/s", f"{ratio:.1f}x", asked))
    return lines


def _memory_lines(comparison: Comparison) -> list[str]:
    ours, rembg = comparison.ours, comparison.rembg
    lines = []
    for name, mine, theirs in (
        ("idle, model loaded", ours.idle_mb, rembg.idle_mb),
        ("peak under load", ours.peak_mb, rembg.peak_mb),
        ("right after the load", ours.after_mb, rembg.after_mb),
    ):
        ratio = mine / theirs
        asked = (f"at most {MAX_MEMORY_RATIO:.0%}", _verdict(ratio <= MAX_MEMORY_RATIO))
        cells = (f"{mine:.0f} MB", f"{theirs:.0f} MB", f"{ratio:.0%}", asked)
        lines.append(_row(f"memory {name}", *cells))
    return lines


def _pre_post_lines(comparison: Comparison) -> list[str]:
    lines = []
    for size, times in comparison.stages.items():
        ratio = times.rembg_ms / times.ours_ms
        asked = ("", "")
        if size == "1080p":
            met = times.ours_ms <= MAX_PRE_POST_MS and ratio >= MIN_PRE_POST_RATIO
            wanted = f"at most {MAX_PRE_POST_MS:g} ms, at least {MIN_PRE_POST_RATIO:g}x less"
            asked = (wanted, _verdict(met))
        cells = (f"{times.ours_ms:.1f} ms", f"{times.rembg_ms:.0f} ms", f"{ratio:.1f}x less", asked)
        lines.append(_row(f"before and after the network {size}, CPU of one core", *cells))
    return lines


def _stage_lines(comparison: Comparison) -> list[str]:
    """Ours by stage, with its share of the whole request."""
    sizes = list(comparison.stages)
    heading = "".join(f" {size} | of the request |" for size in sizes)
    lines = [f"| CPU ms of one core |{heading}", f"|---|{'---|---|' * len(sizes)}"]
    names = comparison.stages[sizes[0]].stages_ms
    rows = [(name, {s: comparison.stages[s].stages_ms[name] for s in sizes}) for name in names]
    rows.append(("ours, all through the remover", {s: comparison.stages[s].ours_ms for s in sizes}))
    for name, spent in rows:
        cells = "".join(
            f" {spent[s]:.1f} | {spent[s] / comparison.ours.latency_ms(s):.0%} |" for s in sizes
        )
        lines.append(f"| {name} |{cells}")
    cells = "".join(
        f" {comparison.stages[s].rembg_ms:.0f} | "
        f"{comparison.stages[s].rembg_ms / comparison.rembg.latency_ms(s):.0%} |"
        for s in sizes
    )
    return [*lines, f"| rembg, all |{cells}"]


def _row(label: str, ours: str, rembg: str, ratio: str, asked: tuple[str, str]) -> str:
    return f"| {label} | {ours} | {rembg} | {ratio} | {asked[0]} | {asked[1]} |"


def _verdict(met: bool) -> str:
    return "met" if met else "**not met**"
