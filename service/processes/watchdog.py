"""Replaces an inference process that lives and does not answer; a dead one the supervisor sees."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from models.errors import BackgroundRemovalError
from service.removal.ports import InferenceStatus

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WatchdogConfig:
    """When a process is taken to be hung.

    Attributes:
        ask_every_s: Seconds between two questions.
        ask_first_s: The same, as long as a process has never answered.
        unanswered: Questions without an answer, one after the other. Each is given up after some
            seconds; time itself is not counted, since it goes on while a container is paused.
        busy_s: Seconds one batch may take.
    """

    ask_every_s: float = 2.0
    ask_first_s: float = 0.2
    unanswered: int = 8
    busy_s: float = 600.0


async def replace_when_hung(
    describe: Callable[[], Awaitable[InferenceStatus]],
    kill: Callable[[int], None],
    config: WatchdogConfig | None = None,
) -> None:
    """Ask inference how it is, for as long as this runs, and have it killed when it hangs.

    A process that has never answered may be starting, which takes minutes where an engine is built
    first; it is left alone.

    Args:
        describe: Asks.
        kill: Kills a process of ours by its number.
        config: When a process is taken to be hung.
    """
    config = config or WatchdogConfig()
    known: int | None = None
    unanswered = 0
    while True:
        await asyncio.sleep(config.ask_first_s if known is None else config.ask_every_s)
        try:
            told = await describe()
        except BackgroundRemovalError:
            unanswered += 1
            if known is not None and unanswered >= config.unanswered:
                log.error("inference left %d questions unanswered; replacing it", unanswered)
                kill(known)
                known = None
            continue
        known, unanswered = told.pid, 0
        if told.busy_s > config.busy_s:
            log.error("a batch has taken more than %g s; replacing inference", config.busy_s)
            kill(told.pid)
            known = None
