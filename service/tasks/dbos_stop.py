"""How DBOS is ended: first it begins nothing more, then its threads come back."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbos import DBOS

_STOP_S = 5.0
_CLAIM_S = 1.0
_LOOK_S = 0.02
_TAKING = ("queue-worker-",)
#: Ours and DBOS's that the interpreter would wait for.
_WORKING = ("tasks-", "dbos-executor-")


async def stop(dbos: DBOS) -> bool:
    """End DBOS; while a server is gone it asks it again for ever, and is then left.

    A task that is claimed while the loop of DBOS ends is begun by nobody before the next start, and
    told as a fault; so the threads that claim are ended before the loop is.

    Returns:
        Whether all threads have come back.
    """
    begun = time.monotonic()
    for event in dbos.background_thread_stop_events:
        event.set()
    await _none_left(_TAKING, begun + _CLAIM_S)
    destroy = functools.partial(type(dbos).destroy, destroy_registry=True)
    threading.Thread(target=destroy, name="tasks-stop", daemon=True).start()
    return await _none_left(_WORKING, begun + _STOP_S)


async def _none_left(names: tuple[str, ...], give_up: float) -> bool:
    while any(one.name.startswith(names) for one in threading.enumerate()):
        if time.monotonic() > give_up:
            return False
        await asyncio.sleep(_LOOK_S)
    return True
