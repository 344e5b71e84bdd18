"""What a running service has counted, as its metrics tell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import httpx

from scripts.measuring.processes import Server

_STAGES = re.compile(r'^background_removal_stage_seconds_sum\{stage="(\w+)"\} (\S+)$', re.MULTILINE)
_BATCHES = re.compile(
    r"^bentoml_service_adaptive_batch_size_(sum|count|bucket)\{(.*)\} (\S+)$", re.MULTILINE
)
_BOUND = re.compile(r'le="([^"]+)"')


@dataclass(frozen=True)
class Scraped:
    """Sums over all that has been served.

    Attributes:
        stages_ms: Milliseconds in each stage of a removal.
        pictures: Pictures that went through the network.
        batches: Passes of the network whose batch was larger than the bound before, by bound.
    """

    stages_ms: Mapping[str, float]
    pictures: float
    batches: Mapping[str, int]

    @classmethod
    def of(cls, server: Server) -> Self:
        """Ask a server."""
        return cls.read(httpx.get(f"{server.url.partition('/api/')[0]}/metrics", timeout=10).text)

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what `GET /metrics` answers."""
        stages = {name: 1e3 * float(value) for name, value in _STAGES.findall(text)}
        found = _BATCHES.findall(text)
        up_to: dict[str, int] = {}
        for kind, labels, value in found:
            bound = _BOUND.search(labels)
            if kind == "bucket" and bound is not None:
                up_to[bound[1]] = up_to.get(bound[1], 0) + int(float(value))
        below = dict(zip(up_to, [0, *up_to.values()], strict=False))
        batches = {bound: count - below[bound] for bound, count in up_to.items()}
        pictures = sum(float(value) for kind, _, value in found if kind == "sum")
        return cls(stages, pictures, {bound: n for bound, n in batches.items() if n})

    @property
    def batch_mean(self) -> float | None:
        """Pictures per pass; None if there was no pass."""
        passes = sum(self.batches.values())
        return self.pictures / passes if passes else None

    def since(self, before: Scraped) -> Scraped:
        """What was added to an earlier state."""
        stages = {name: ms - before.stages_ms.get(name, 0.0) for name, ms in self.stages_ms.items()}
        counts = {bound: n - before.batches.get(bound, 0) for bound, n in self.batches.items()}
        return Scraped(
            {name: ms for name, ms in stages.items() if ms},
            self.pictures - before.pictures,
            {bound: n for bound, n in counts.items() if n},
        )
