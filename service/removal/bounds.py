"""How much the remover does at once, and for how long."""

from __future__ import annotations

from dataclasses import dataclass, field

from service.imaging.guard import ImageLimits

_MB = 1024**2


@dataclass(frozen=True)
class RemoverConfig:
    """Bounds of the remover.

    Attributes:
        limits: How much picture we take.
        timeout_s: Deadline of a small picture; twice over 5 MB, four times over 8 MB.
        workers: Imaging threads.
        max_queue: Most requests inside at once.
        max_bytes: Most memory that pictures take at once.
    """

    limits: ImageLimits = field(default_factory=ImageLimits)
    timeout_s: float = 30.0
    workers: int = 2
    max_queue: int = 64
    max_bytes: int = 2 * 1024**3

    def deadline_s(self, n_bytes: int) -> float:
        """Seconds a file of so many bytes may take."""
        if n_bytes > 8 * _MB:
            return 4 * self.timeout_s
        if n_bytes > 5 * _MB:
            return 2 * self.timeout_s
        return self.timeout_s
