"""The report of what callers saw while hosts came and went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar

import numpy as np

from scripts.measuring.report import Report
from scripts.measuring.table import table
from scripts.replicas.callers import Try
from scripts.replicas.course import DEADLINE_S, Course, Event
from scripts.replicas.judge import faults_of
from scripts.replicas.sharing import LIMIT, Limited, Tasks


@dataclass(frozen=True)
class TwoByTwo(Report):
    """One run.

    Attributes:
        model: Name in the catalogue.
        engine: What was asked for.
        callers: How many asked at once.
        asked: Pictures they asked for.
        made: Those that came, each compared with what is expected of it.
        wrong: Those that were not.
        took_s: Seconds from the first request to the last picture.
        seen: What callers saw below the client's retries, by kind.
        seen_afterwards: The same, once all was well.
        events: What was done to the hosts.
        longest_s: The longest single try.
        passed: Answers 200 by the name of who gave them.
        passed_afterwards: Requests once all was well, by the name of the public.
        joined_s: Seconds after the last picture until the new pair had its share.
        limits: Of a key that asked two publics, before and afterwards.
        tasks: Accepted by one public and answered by another, before and over the kill.
        health: What each public that is left says at the end.
        faults: What was promised and is not so.
    """

    title: ClassVar[str] = "Two by two: a host joins, two are killed"
    model: str
    engine: str
    callers: int
    asked: int
    made: int
    wrong: int
    took_s: float
    seen: dict[str, int]
    seen_afterwards: dict[str, int]
    events: list[Event]
    longest_s: float
    passed: dict[str, int]
    passed_afterwards: dict[str, int]
    joined_s: float
    limits: list[Limited]
    tasks: list[Tasks]
    health: dict[str, dict[str, Any]]
    faults: list[str]

    def notes(self) -> Iterable[str]:
        """What was asked."""
        yield f"{self.model} ({self.engine}), {self.callers} callers, deadline {DEADLINE_S} s"
        yield "Hosts are network namespaces of this one machine, whose cores all of them share."

    def body(self) -> Iterable[str]:
        """The tables."""
        yield f"**{self.made} of {self.asked} pictures came**, {self.wrong} of them wrong."
        yield f"It took {self.took_s:.0f} s, and the longest single try {self.longest_s:.1f} s."
        yield ""
        yield from _counted("what callers saw below the client's retries", self.seen)
        yield f"\nOnce all was well: {_words(self.seen_afterwards)}.\n"
        rows = [["what was done", "after, s", "pictures so far"]]
        yield from table([*rows, *([e.what, f"{e.at_s:.1f}", str(e.done)] for e in self.events)])
        yield f"\nThe new pair had its share {self.joined_s:.1f} s after the last picture.\n"
        yield from _counted("answers 200 of", dict(sorted(self.passed.items())))
        yield f"\nRequests once all was well: {_words(self.passed_afterwards)}.\n"
        yield from self._shared()
        for name, told in self.health.items():
            reasons = "; ".join(told["reasons"]) or "no reasons"
            yield f"- {name} at the end: {told['status']}, {reasons}."
        yield ""
        yield "**Not as promised:**" if self.faults else "Everything was as promised."
        yield from (f"- {fault}" for fault in self.faults)

    def _shared(self) -> Iterable[str]:
        for limited in self.limits:
            accepted = _words(limited.accepted)
            yield f"- A key for {LIMIT} a minute asked two publics in turn; accepted: {accepted}."
        for one in self.tasks:
            yield (
                f"- Tasks that public1 accepted: {one.accepted}, unfinished when it was killed: "
                f"{one.unfinished_at_kill}. public2 gave the right picture of {one.succeeded}, "
                f"the last one after {one.took_s:.0f} s."
            )


def _counted(heading: str, numbers: dict[str, int]) -> list[str]:
    return table([[heading, "times"], *([name, str(n)] for name, n in numbers.items())])


def figures_of(course: Course) -> dict[str, Any]:
    """The fields of `TwoByTwo` that a course tells."""
    passed = (*course.front, *course.between)
    return {
        "asked": course.asked,
        "made": course.made,
        "wrong": len(course.wrong),
        "took_s": course.took_s,
        "seen": _kinds(course.tries),
        "seen_afterwards": _kinds(course.afterwards),
        "events": course.events,
        "longest_s": float(np.max([one.ended_s - one.began_s for one in course.tries])),
        "passed": dict(Counter(one.server for one in passed if one.status == HTTPStatus.OK)),
        "passed_afterwards": course.afterwards_by,
        "joined_s": max(0.0, course.joined_s),
        "limits": course.limits,
        "tasks": course.tasks,
        "health": course.health,
        "faults": faults_of(course),
    }


def _kinds(tries: Iterable[Try]) -> dict[str, int]:
    return dict(Counter(one.kind for one in tries).most_common())


def _words(numbers: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(numbers.items()))
