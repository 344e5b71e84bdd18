"""What happens: callers ask without a pause while a host joins and two are killed."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from scripts.measuring.processes import ServerFailed
from scripts.measuring.report import say
from scripts.replicas.balancer import Passed, read_log
from scripts.replicas.callers import Callers, Try
from scripts.replicas.cluster import PAIRS, Cluster
from scripts.replicas.expected import Known
from scripts.replicas.sharing import Limited, Tasks, collect, send_tasks, unfinished, use_up
from service.access.key_file import changing
from service.access.keys import KeyTier, make_key

#: Of the ten that a request may take. A task of a host that is gone is begun again after eight of
#: them and a minute.
DEADLINE_S = 10
_LAUNCH, _KILL_INFERENCE, _KILL_PUBLIC = 0.2, 0.35, 0.6  # shares of the requests
KILLED_PUBLIC, KILLED_INFERENCE = "public1", "inference1"
_AFTERWARDS = 4  # requests of each caller, once all is well
_LONGEST_S = 900.0
_LOGGED_S = 2.0


@dataclass(frozen=True)
class Event:
    """Something that was done to the hosts.

    Attributes:
        what: In words.
        at_s: Seconds since the first request.
        done: Pictures that had come by then.
    """

    what: str
    at_s: float
    done: int


@dataclass(frozen=True)
class Course:
    """What was seen.

    Attributes:
        asked: Pictures that callers asked for while hosts were killed.
        made: Those that came.
        wrong: Pictures that were not what they should be.
        failed: Why the client gave up.
        took_s: Seconds from the first request to the last picture.
        events: What was done meanwhile.
        killed_s: From when to when the public was being killed, by the monotonic clock.
        tries: What callers saw below the client's retries.
        front: Requests that the HAProxy before the publics passed.
        between: Requests that the HAProxy before the inferences passed.
        joined_s: Seconds after the last picture until the new pair had its share; 0 if before.
        afterwards: What callers saw once all was well.
        afterwards_by: Requests of then, by the name of the public.
        limits: Of keys that asked two publics, before and afterwards.
        tasks: Accepted by one public and asked for at another, before and over the kill.
        health: What each public that is left says of itself at the end.
    """

    asked: int
    made: int
    wrong: list[str]
    failed: list[str]
    took_s: float
    events: list[Event]
    killed_s: tuple[float, float]
    tries: list[Try]
    front: list[Passed]
    between: list[Passed]
    joined_s: float
    afterwards: list[Try]
    afterwards_by: dict[str, int]
    limits: list[Limited]
    tasks: list[Tasks]
    health: dict[str, dict[str, Any]]


class Keys:
    """A file of API keys for a service to read.

    Args:
        file: Where; made with the first key.
        many: How many keys of each tier are made.
    """

    def __init__(self, file: Path, many: int) -> None:
        self.file = file
        self._left = {tier: [self._make(tier) for _ in range(many)] for tier in ("free", "pro")}

    def take(self, tier: str) -> str:
        """One that nobody has had."""
        return self._left[tier].pop()

    def _make(self, tier: KeyTier) -> str:
        with changing(self.file) as keys:
            key, entry = make_key("a caller", tier, [known.id for known in keys])
            keys.append(entry)
        return key


class Director:
    """Does what `Course` tells of, with a cluster that is ready.

    Args:
        cluster: The hosts.
        keys: For callers.
        known: What is asked for.
        callers: How many ask at once.
        levels: By how much a picture may differ from what is expected of it.
    """

    def __init__(
        self, cluster: Cluster, keys: Keys, known: Sequence[Known], callers: int, levels: int
    ) -> None:
        self._cluster, self._keys, self._known, self._levels = cluster, keys, known, levels
        self._task_key = keys.take("pro")
        theirs = [keys.take("pro") for _ in range(callers)]
        self._callers = Callers(cluster.url, theirs, known, levels)
        self._events: list[Event] = []
        self._sent: list[str] = []
        self._began_s, self._killed_s = 0.0, (0.0, 0.0)
        self._unfinished = 0

    def direct(self, requests: int, tasks: int) -> Course:
        """Do it.

        Args:
            requests: Pictures to ask for.
            tasks: How many are sent to the public that is killed next.
        """
        cluster, callers = self._cluster, self._callers
        say("limits and tasks of two publics")
        limits, shared = [self._limits("public1", "public2")], [self._quiet_tasks()]
        say(f"{requests} requests")
        took_s = self._trouble(requests, tasks)
        seen, made, passed = len(callers.tries), callers.done, self._passed_by_front()
        say("the new pair")
        cluster.wait_until_ready()
        joined_s = self._since_s() - took_s
        self._wait(callers.begin(_AFTERWARDS * len(self._known)))
        later = self._passed_by_front()[len(passed) :]
        limits.append(self._limits("public2", "public3"))
        if tasks:
            say("tasks of the public that was killed")
            shared.append(self._tasks_of_the_killed())
        callers.close()
        return Course(
            asked=requests,
            made=made,
            wrong=callers.wrong,
            failed=callers.failed,
            took_s=took_s,
            events=self._events,
            killed_s=self._killed_s,
            tries=callers.tries[:seen],
            front=passed,
            between=read_log(cluster.between_log),
            joined_s=joined_s,
            afterwards=callers.tries[seen:],
            afterwards_by=dict(Counter(one.server for one in later)),
            limits=limits,
            tasks=shared,
            health={name: self._health(name) for name in ("public2", "public3")},
        )

    def _trouble(self, requests: int, tasks: int) -> float:
        """Callers ask, a pair joins, two are killed; seconds until the last picture."""
        cluster = self._cluster
        self._began_s = time.monotonic()
        asking = self._callers.begin(requests)
        self._wait(asking, _LAUNCH * requests)
        cluster.launch(PAIRS)
        self._note("a pair is started")
        self._wait(asking, _KILL_INFERENCE * requests)
        cluster.inferences[KILLED_INFERENCE].host.kill()
        self._note(f"SIGKILL to {KILLED_INFERENCE}")
        self._wait(asking, _KILL_PUBLIC * requests)
        public = cluster.publics[KILLED_PUBLIC]
        self._sent = send_tasks(public, self._task_key, self._of_tasks(tasks))
        kill_began_s = time.monotonic()
        public.host.kill()
        self._killed_s = kill_began_s, time.monotonic()
        self._note(f"SIGKILL to {KILLED_PUBLIC}")
        self._unfinished = unfinished(cluster.publics["public2"], self._task_key, self._sent)
        self._wait(asking)
        return self._since_s()

    def _wait(self, asking: Sequence[Future[None]], done: float = math.inf) -> None:
        """Wait until so many pictures have come, or all callers are done."""
        give_up = time.monotonic() + _LONGEST_S
        while self._callers.done < done and not all(one.done() for one in asking):
            if time.monotonic() > give_up:
                raise ServerFailed(f"{self._callers.done} pictures in {_LONGEST_S:g} s")
            time.sleep(0.02)
        for one in asking if math.isinf(done) else ():
            one.result()

    def _note(self, what: str) -> None:
        say(what)
        self._events.append(Event(what, self._since_s(), self._callers.done))

    def _since_s(self) -> float:
        return time.monotonic() - self._began_s

    def _passed_by_front(self) -> list[Passed]:
        """What the front says of each request; it says so a moment after its answer."""
        time.sleep(_LOGGED_S)
        return read_log(self._cluster.front_log)

    def _limits(self, *names: str) -> Limited:
        asked = [self._cluster.publics[name] for name in names]
        return use_up(asked, lambda: self._keys.take("free"), self._known[0])

    def _of_tasks(self, number: int) -> list[Known]:
        return [self._known[turn % len(self._known)] for turn in range(number)]

    def _quiet_tasks(self) -> Tasks:
        """Tasks that one accepts and the other answers."""
        publics, known = self._cluster.publics, self._of_tasks(len(self._known) // 2)
        sent, began_s = send_tasks(publics["public1"], self._task_key, known), time.monotonic()
        right = collect(publics["public2"], self._task_key, sent, known, self._levels)
        return Tasks(len(sent), 0, right, time.monotonic() - began_s)

    def _tasks_of_the_killed(self) -> Tasks:
        """Tasks that the public accepted which was killed next."""
        last, known = self._cluster.publics["public2"], self._of_tasks(len(self._sent))
        right = collect(last, self._task_key, self._sent, known, self._levels)
        took_s = time.monotonic() - self._killed_s[1]
        return Tasks(len(self._sent), self._unfinished, right, took_s)

    def _health(self, name: str) -> dict[str, Any]:
        told: dict[str, Any] = httpx.get(f"{self._cluster.publics[name].url}/health").json()
        return {"status": told["status"], "reasons": told["reasons"]}
