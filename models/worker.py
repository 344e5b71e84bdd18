"""A child process that works for this one: it tells what it does, and ends when this one does.

Both halves are here. What a child has to say it prints as JSON objects, one per line; all other
lines are a library's and are passed over.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Any, NoReturn

import models
from models.errors import BackgroundRemovalError

_ROOT = Path(models.__file__).parents[1]  # where `-m models` is found, in a Bento as well
_EVERY_S = 0.25
_POLL_S = 0.1
_MOST_TOLD = 1000  # characters; PyTorch's exporter comes to its reason after 600 of advice


class WorkerFailed(Exception):
    """A child process did not do its work; the reason it told, or how it ended."""


def run_worker(
    what: str,
    module: str,
    arguments: Sequence[str],
    told: Callable[[Mapping[str, Any]], None] = lambda fields: None,
    cancelled: Event | None = None,
) -> None:
    """Run a module in a child process to its end.

    Args:
        what: What it does, to begin a sentence with, such as `the build`.
        module: Its name; it hands its `main` to `run_main`.
        arguments: Its command line.
        told: Called in a thread of its own with everything the child tells but its failure.
        cancelled: Ends the child when it is set.

    Raises:
        WorkerFailed: If it fails or is ended.
    """
    child = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", module, *arguments, str(os.getpid())],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    reasons: list[str] = []
    listener = Thread(target=_listen, args=(child, told, reasons), daemon=True)
    listener.start()
    try:
        while child.poll() is None:
            if cancelled is None:
                child.wait()
            elif cancelled.wait(_POLL_S):
                raise WorkerFailed(f"{what} was cancelled")
    finally:
        child.kill()
        child.wait()
        listener.join()
        if child.stdout is not None:
            child.stdout.close()
    if child.returncode:
        raise WorkerFailed(reasons[-1] if reasons else f"{what} {_how_it_ended(child.returncode)}")


def run_telling(work: Callable[[], None]) -> int:
    """Do the work of a child process, and tell why it failed if it did.

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


def run_main(main: Callable[[list[str]], int]) -> NoReturn:
    """Run the `main` of a child process with its command line, and end when the parent ends.

    The last argument is the parent's number: asked for here, it may be gone already.
    """
    *arguments, parent = sys.argv[1:]
    Thread(target=_end_with, args=(int(parent),), name="end-with-parent", daemon=True).start()
    sys.exit(main(arguments))


def tell(**fields: Any) -> None:
    """Tell the parent something, in the child."""
    print(json.dumps(fields), flush=True)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_EVERY_S)
    os._exit(1)


def _listen(
    child: subprocess.Popen[str], told: Callable[[Mapping[str, Any]], None], reasons: list[str]
) -> None:
    for line in child.stdout or ():
        try:
            fields = json.loads(line)
            if "failure" in fields:
                reasons.append(str(fields["failure"]))
            else:
                told(fields)
        except (ValueError, KeyError, TypeError):
            continue  # a library that prints


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with status {code}"
    why = ", probably for want of memory" if -code == signal.SIGKILL else ""
    return f"was killed by signal {-code}{why}"
