"""The tasks that are not finished, in memory: how many there are, and how many are before one."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import count

from service.tasks.ports import Order, Record

_NEW_S = 30.0


class Waiting:
    """Unfinished tasks. Those of other processes are known since the last `refresh`."""

    def __init__(self) -> None:
        self._orders: dict[str, tuple[int, float, int]] = {}
        self._owners: dict[str, str] = {}
        self._count = count()

    def __len__(self) -> int:
        return len(self._orders)

    def add(self, order: Order, created: float | None = None) -> None:
        """Note a task that is about to be kept."""
        moment = time.time() if created is None else created
        self._orders[order.task_id] = (order.priority, moment, next(self._count))
        self._owners[order.task_id] = order.owner

    def discard(self, task_id: str) -> None:
        """Note that a task is finished, or taken back."""
        self._orders.pop(task_id, None)
        self._owners.pop(task_id, None)

    def of(self, owner: str) -> int:
        """How many an owner has."""
        return sum(one == owner for one in self._owners.values())

    def before(self, task_id: str) -> int | None:
        """How many are to be done sooner; None of a task that is not here."""
        place = self._orders.get(task_id)
        return None if place is None else sum(other < place for other in self._orders.values())

    def refresh(self, records: Iterable[Record]) -> None:
        """Take over what the queue knows; what was only just added may not be in it yet."""
        known = {record.order.task_id: record for record in records}
        for task_id, (_, created, _) in list(self._orders.items()):
            if task_id not in known and abs(time.time() - created) > _NEW_S:
                self.discard(task_id)
        for task_id, record in known.items():
            if task_id not in self._orders:
                self.add(record.order, record.created)
