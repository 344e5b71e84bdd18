"""Callers that ask at times of chance, whether or not earlier ones have been answered."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from birefnet_client import Client, RemovalError

_SILENCE_S = 120.0


class Callers:
    """Callers with a key and connections of their own.

    Args:
        url: Where the service is.
        keys: Of each; as many can wait at once.
        pictures: What they ask for, in turn.

    Attributes:
        failed: Why the client gave up, where it did.
    """

    def __init__(self, url: str, keys: Sequence[str], pictures: Sequence[bytes]) -> None:
        self.failed: list[str] = []
        self._pictures = pictures
        self._free: SimpleQueue[Client] = SimpleQueue()
        self._clients = [Client(url, api_key=key, timeout_s=_SILENCE_S) for key in keys]
        for client in self._clients:
            self._free.put(client)
        self._threads = ThreadPoolExecutor(len(keys))

    def one_by_one(self, number: int) -> list[float]:
        """Ask for so many, each when the last has come; seconds that each took."""
        return [self._ask(turn, time.monotonic()) for turn in range(number)]

    def by_chance(self, number: int, per_second: float, seed: int = 0) -> list[float]:
        """Ask for so many at a mean rate (a Poisson process); seconds from when each was due."""
        dice = random.Random(seed)  # noqa: S311  no secret
        due_s, asked = time.monotonic(), []
        for turn in range(number):
            due_s += dice.expovariate(per_second)
            time.sleep(max(0.0, due_s - time.monotonic()))
            asked.append(self._threads.submit(self._ask, turn, due_s))
        return [one.result() for one in asked]

    def close(self) -> None:
        """Let them go."""
        self._threads.shutdown()
        for client in self._clients:
            client.close()

    def _ask(self, turn: int, due_s: float) -> float:
        client = self._free.get()
        try:
            client.remove(self._pictures[turn % len(self._pictures)])
        except RemovalError as fault:
            self.failed.append(str(fault))
        finally:
            self._free.put(client)
        return time.monotonic() - due_s
