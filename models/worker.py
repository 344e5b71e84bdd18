"""A process that works for another: it tells what it does, and ends when that other does."""

from __future__ import annotations

import json
import os
import textwrap
import time
import traceback
from collections.abc import Callable
from threading import Thread
from typing import Any

from models.errors import BackgroundRemovalError

_EVERY_S = 0.25
_MOST_TOLD = 1000  # characters; PyTorch's exporter comes to its reason after 600 of advice


def end_with(parent: int) -> None:
    """End this process at once when it is no longer the child of another.

    Args:
        parent: The other. It says itself who it is: asked for too late, it may be gone already.
    """
    Thread(target=_watch, args=(parent,), name="end-with-parent", daemon=True).start()


def tell(**fields: Any) -> None:
    """Tell the other process something: a JSON object in a line of standard output."""
    print(json.dumps(fields), flush=True)


def run_telling(work: Callable[[], None]) -> int:
    """Do the work of this process, and tell why it failed if it did.

    Args:
        work: What to do.

    Returns:
        The status to end with.
    """
    try:
        work()
    except BackgroundRemovalError as failure:
        tell(failure=str(failure))
    except Exception as failure:  # the edge of the process: what is not told here is lost
        reason = "".join(traceback.format_exception_only(failure))
        tell(failure=textwrap.shorten(reason, _MOST_TOLD))
    else:
        return 0
    return 1


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_EVERY_S)
    os._exit(1)
