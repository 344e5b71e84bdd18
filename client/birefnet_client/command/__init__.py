"""The command `birefnet`: pictures in, cutouts out, one exit status that says how it went."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Run the command, and end this process with its status."""
    status = run(sys.argv[1:] if words is None else words)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # nobody reads any more
        status = status or 1
    # All is closed but for what an interrupt has left at work in a thread; to take the interpreter
    # and its libraries down piece by piece would take a quarter of a second more.
    os._exit(status)


def run(words: Sequence[str]) -> int:
    """Run the command; its status."""
    gc.disable()  # until all is open: what a start makes stays
    from birefnet_client.command.arguments import Usage, parse

    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        given = parse(words)
        from birefnet_client.command.telling import complain, sentence_of
        from birefnet_client.command.work import INTERRUPTED, NO_SERVICE, work
        from birefnet_client.errors import RemovalError

        try:
            return work(given)
        except RemovalError as error:
            complain(sentence_of(error))
            return NO_SERVICE
        except BrokenPipeError:
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
            return 1
        except KeyboardInterrupt:
            complain("interrupted; the same command goes on where this one stopped")
            return INTERRUPTED
    except Usage as wrong:
        print(f"birefnet: {wrong}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
