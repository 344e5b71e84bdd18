"""Callers with the project's own client, and what they saw below its retries."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from birefnet_client import Client, RemovalError
from birefnet_client.errors import NOT_OURS
from birefnet_client.exchange import error_of
from birefnet_client.steps import Answer, Ask, ConnectionLost
from scripts.replicas.expected import Known

_SILENCE_S = 120.0


@dataclass(frozen=True)
class Try:
    """One request as it was answered, before the client repeats it.

    Attributes:
        began_s: When it was sent, by the monotonic clock.
        ended_s: When it was answered.
        status: Of HTTP; 0 where the connection broke.
        code: The error code, the client's own where the service has not answered; empty for none.
        has_retry_after: Whether it was told when to try again.
    """

    began_s: float
    ended_s: float
    status: int
    code: str
    has_retry_after: bool

    @property
    def is_of_proxy(self) -> bool:
        """Whether a proxy answered by itself."""
        return self.code == NOT_OURS

    @property
    def kind(self) -> str:
        """What it was, for people."""
        if self.status == 0:
            return "connection broke"
        if self.is_of_proxy:
            return f"{self.status}, of the proxy"
        after = ", with Retry-After" if self.has_retry_after else ""
        return f"{self.status} {self.code}".rstrip() + after


class WatchedClient(Client):
    """The client, which also notes each of its tries.

    Args:
        server: Where the service is.
        api_key: Its key.
        note: Told of each try.
    """

    def __init__(self, server: str, api_key: str, note: Callable[[Try], None]) -> None:
        super().__init__(server, api_key=api_key, timeout_s=_SILENCE_S)
        self._note = note

    def send(self, ask: Ask) -> Answer:
        """Send one request, once."""
        began = time.monotonic()
        try:
            answer = super().send(ask)
        except ConnectionLost as lost:
            self._note(Try(began, time.monotonic(), 0, str(lost), False))
            raise
        code = error_of(answer).code if answer.status >= 400 else ""
        waits = "retry-after" in answer.headers
        self._note(Try(began, time.monotonic(), answer.status, code, waits))
        return answer


class Callers:
    """Callers that ask for one picture after the other, each with a key of its own.

    Args:
        url: Where the service is.
        keys: One for each caller.
        known: What they ask for, in turn.
        levels: By how much a picture may differ from what is expected of it.

    Attributes:
        tries: Every try, in the order it ended.
        done: How many pictures have come.
        wrong: Names of pictures whose answer was not theirs.
        failed: Why the client gave up, where it did.
    """

    def __init__(self, url: str, keys: Sequence[str], known: Sequence[Known], levels: int) -> None:
        self.tries: list[Try] = []
        self.done = 0
        self.wrong: list[str] = []
        self.failed: list[str] = []
        self._known, self._levels = known, levels
        self._lock = threading.Lock()
        self._clients = [WatchedClient(url, key, self.tries.append) for key in keys]
        self._threads = ThreadPoolExecutor(len(keys))

    def begin(self, requests: int) -> list[Future[None]]:
        """Have so many pictures asked for; what to wait for, one for each caller."""
        turns = iter(range(requests))
        return [self._threads.submit(self._ask, client, turns) for client in self._clients]

    def close(self) -> None:
        """Let them go."""
        for client in self._clients:
            client.close()
        self._threads.shutdown()

    def _ask(self, client: WatchedClient, turns: Iterator[int]) -> None:
        for turn in turns:  # a range's iterator gives each number once, whoever asks
            known = self._known[turn % len(self._known)]
            try:
                answer = client.remove(known.data).data
            except RemovalError as fault:
                with self._lock:
                    self.failed.append(f"{known.name}: {fault}")
                continue
            is_right = known.is_cutout(answer, self._levels)
            with self._lock:
                self.done += 1
                if not is_right:
                    self.wrong.append(known.name)
