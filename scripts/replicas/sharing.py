"""Whether limits and tasks are one for all publics."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

import httpx

from birefnet_client import Client, RemovalError
from scripts.replicas.cluster import Replica
from scripts.replicas.expected import Known

#: Of the tier `free`, in a minute.
LIMIT = 30
_TRIES = 3
_MINUTE_S = 60.0
_TASKS_S = 420.0


@dataclass(frozen=True)
class Limited:
    """What a key got that asked two publics in turn.

    Attributes:
        accepted: Pictures made, by the name of the public.
        refused_after_s: Seconds until both had refused it.
        has_retry_after: Whether each refusal said when to try again.
    """

    accepted: dict[str, int]
    refused_after_s: float
    has_retry_after: bool

    def faults(self) -> list[str]:
        """What is not as it should be."""
        found = []
        if sum(self.accepted.values()) != LIMIT:
            found.append(f"a key that may send {LIMIT} a minute sent {self.accepted}")
        if min(self.accepted.values()) == 0:
            found.append(f"a public accepted nothing: {self.accepted}")
        if not self.has_retry_after:
            found.append("a refusal over the limit does not say when to try again")
        return found


def use_up(replicas: Sequence[Replica], make_key: Callable[[], str], known: Known) -> Limited:
    """Ask publics in turn with a key of the tier `free` until all refuse; anew if that took long.

    Args:
        replicas: Whom to ask.
        make_key: Makes a key.
        known: What to ask for.
    """
    for _ in range(_TRIES):
        found = _use_up(replicas, make_key(), known)
        if found.refused_after_s < _MINUTE_S:
            break
    return found


def _use_up(replicas: Sequence[Replica], key: str, known: Known) -> Limited:
    accepted, refused, told = Counter[str](), set[str](), True
    began = time.monotonic()
    with httpx.Client(headers={"X-API-Key": key}, timeout=_MINUTE_S) as caller:
        while len(refused) < len(replicas) and time.monotonic() < began + _MINUTE_S:
            for replica in replicas:
                answer = caller.post(f"{replica.url}/remove", files={"image": known.data})
                if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
                    refused.add(replica.host.name)
                    told = told and "retry-after" in answer.headers
                else:
                    accepted[replica.host.name] += answer.is_success
    by_name = {replica.host.name: accepted[replica.host.name] for replica in replicas}
    return Limited(by_name, time.monotonic() - began, told)


@dataclass(frozen=True)
class Tasks:
    """What became of tasks that one public accepted and others were asked for.

    Attributes:
        accepted: How many there were.
        unfinished_at_kill: How many were unfinished when that public was killed.
        succeeded: How many have their own picture.
        took_s: Seconds from the kill to the last result.
    """

    accepted: int
    unfinished_at_kill: int
    succeeded: int
    took_s: float

    def faults(self) -> list[str]:
        """What is not as it should be."""
        if self.succeeded == self.accepted:
            return []
        return [f"{self.succeeded} of {self.accepted} tasks have their picture"]


def send_tasks(replica: Replica, key: str, known: Sequence[Known]) -> list[str]:
    """Have a public accept a task for each picture; their ids."""
    with Client(replica.url, api_key=key) as client:
        return [client.remove_later(one.data).task_id for one in known]


def unfinished(replica: Replica, key: str, tasks: Sequence[str]) -> int:
    """How many of tasks another public says are unfinished."""
    with Client(replica.url, api_key=key) as client:
        return sum(client.task(task).status == "processing" for task in tasks)


def collect(
    replica: Replica, key: str, tasks: Sequence[str], known: Sequence[Known], levels: int
) -> int:
    """Wait for tasks at another public; how many have the picture that is expected of them."""
    give_up, right = time.monotonic() + _TASKS_S, 0
    with Client(replica.url, api_key=key) as client:
        for task, one in zip(tasks, known, strict=True):
            try:
                left_s = max(0.0, give_up - time.monotonic())
                right += one.is_cutout(client.result(task, wait_s=left_s).data, levels)
            except RemovalError:
                continue
    return right
