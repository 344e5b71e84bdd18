"""One row of what the whole service takes: picture in, cutout out, over HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

#: Of a row that was measured.
DONE = "ok"
#: Of one that could not be begun, for want of time or of what it needs; a resume tries it again.
SKIPPED, NOT_MEASURED = "skipped:", "not measured:"
COLUMNS = [
    *("network", "service", "picture", "callers", "requests", "p50 ms", "p95 ms", "pictures/s"),
    *("pictures per batch", "stages, ms per picture"),
]


def was_tried(status: str) -> bool:
    """Whether trying a row of that status again would be a repetition."""
    return not status.startswith((SKIPPED, NOT_MEASURED))


@dataclass(frozen=True)
class ServedRow:
    """One network, served in one way, asked with one size of picture by so many callers at once.

    Attributes:
        model: Backbone of the network.
        case: How it was served.
        size: Size of the pictures, such as `1080p`.
        clients: Requests under way at a time.
        status: `ok`, or what came between; see `was_tried`.
        engine: What health says has served.
        requests: How many were sent.
        p50_ms: From the first byte sent to the last received; half of them took less.
        p95_ms: One in twenty took longer.
        images_per_s: Cutouts that came back per second.
        batch_mean: Pictures per pass of the network, on average.
        batches: Passes by the bound of their size, as BentoML counts them: `1.0`, `2.0`, `4.0`.
        stages_ms: Milliseconds per picture in each stage; stages of several pictures overlap, and
            `matte` is the way to the inference process and back with `inference` within.
    """

    model: str
    case: str
    size: str
    clients: int
    status: str = DONE
    engine: str = ""
    requests: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    images_per_s: float | None = None
    batch_mean: float | None = None
    batches: Mapping[str, int] = field(default_factory=dict)
    stages_ms: Mapping[str, float] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What it is about."""
        return self.model, self.case, self.size, self.clients

    @property
    def was_tried(self) -> bool:
        """Whether trying again would be a repetition."""
        return was_tried(self.status)

    @property
    def name(self) -> str:
        """What it is about, in words."""
        return f"{self.model}, {self.case}, {self.size}, {self.clients} at once"

    def cells(self) -> list[str]:
        """A line of the table; see `COLUMNS`."""
        stages = ", ".join(f"{name} {ms:.0f}" for name, ms in self.stages_ms.items() if ms >= 0.5)
        return [
            *(self.model, self.case, self.size, str(self.clients), str(self.requests)),
            *_numbers(self.p50_ms, self.p95_ms, self.images_per_s, self.batch_mean),
            stages,
        ]

    def line(self) -> str:
        """What is printed as soon as it is known."""
        if self.status != DONE:
            return f"{self.name}: {self.status}"
        p50, p95, rate, batch = _numbers(
            self.p50_ms, self.p95_ms, self.images_per_s, self.batch_mean
        )
        return f"{self.name}: {p50} ms, p95 {p95} ms, {rate}/s, {batch} per batch"


def _numbers(*values: float | None) -> Iterable[str]:
    return ["-" if value is None else f"{value:.1f}" for value in values]
