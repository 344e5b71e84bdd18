"""How many tasks wait, whose they are, and in which order."""

from __future__ import annotations

from service.tasks.ports import Order, Record, TaskState
from service.tasks.waiting import Waiting


def order(task_id: str, priority: int = 4, owner: str = "one") -> Order:
    return Order(task_id, owner, priority, None, {})


def test_higher_tiers_come_first_then_whoever_came_first() -> None:
    waiting = Waiting()
    for task_id, priority in (("a", 4), ("b", 4), ("c", 1), ("d", 4)):
        waiting.add(order(task_id, priority), created=1000)
    assert [waiting.before(task_id) for task_id in "cabd"] == [0, 1, 2, 3]
    waiting.discard("a")
    assert (waiting.before("a"), waiting.before("b"), len(waiting)) == (None, 1, 3)


def test_what_another_process_took_on_is_known_and_what_it_finished_is_not() -> None:
    waiting = Waiting()
    waiting.add(order("new"))
    waiting.add(order("old"), created=1000)
    waiting.refresh([Record(order("other", owner="two"), TaskState.QUEUED, 2000)])
    assert [waiting.before(task_id) for task_id in ("new", "old", "other")] == [1, None, 0]
    assert (waiting.of("one"), waiting.of("two")) == (1, 1)
