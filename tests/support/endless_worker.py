"""A child process for tests: tells its number, then does what it is told, or goes on for ever."""

from __future__ import annotations

import os
import signal
import time

from models.errors import EngineBuildFailed
from models.worker import run_main, run_telling, tell


def main(arguments: list[str]) -> int:
    """Fail, die, or go on without end."""
    tell(pid=os.getpid())
    print("a library that prints", flush=True)

    def work() -> None:
        if "fail" in arguments:
            raise EngineBuildFailed("no tactic")
        if "die" in arguments:
            os.kill(os.getpid(), signal.SIGKILL)
        if "exit" in arguments:
            os._exit(7)
        time.sleep(600)

    return run_telling(work)


if __name__ == "__main__":
    run_main(main)
