"""A process that works for another ends when that other does, however it ends."""

from __future__ import annotations

import os
import time
from threading import Thread

_EVERY_S = 0.25


def end_with(parent: int) -> None:
    """End this process at once when it is no longer the child of another.

    Args:
        parent: The other. It says itself who it is: asked for too late, it may be gone already.
    """
    Thread(target=_watch, args=(parent,), name="end-with-parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_EVERY_S)
    os._exit(1)
