"""What previews keep, counted among the memory of pictures."""

from __future__ import annotations

from service.errors import ServiceBusy
from service.removal.admission import MemoryBudget

_RETRY_S = 5


class KeptMemory:
    """Counts what one preview keeps among the memory of pictures.

    Args:
        budget: Of the process.
    """

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget, self._n_bytes = budget, 0

    def hold(self, n_bytes: int) -> None:
        """Keep so many bytes in place of those before.

        Raises:
            ServiceBusy: If there is no room; nothing is kept then.
        """
        self._budget.forget(self._n_bytes)
        self._n_bytes = 0
        if n_bytes and not self._budget.keep(n_bytes):
            raise ServiceBusy(
                "Open previews keep as much as they may; try again shortly", retry_after=_RETRY_S
            )
        self._n_bytes = n_bytes
