"""What became of tasks in this process, and of the events that were sent about them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Counts since the process began.

    Attributes:
        tasks: Tasks by how they ended, `succeeded` or `failed`.
        webhooks: Attempts to deliver an event: `taken`, or nobody wants it any more, and `failed`.
    """

    tasks: Counter[str] = field(default_factory=lambda: Counter(succeeded=0, failed=0))
    webhooks: Counter[str] = field(default_factory=lambda: Counter(taken=0, failed=0))
