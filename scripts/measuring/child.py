"""A process of ours that answers: JSON in lines, one answer to every line it is sent."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from scripts.command import Unusable
from scripts.measuring.processes import REPOSITORY

_STOP_S = 20.0


class ChildFailed(Unusable):
    """A process refused or died; the message says why."""


class Child:
    """A running process, started in the repository's root.

    Args:
        command: What to start.
        log: File for what it says beside its answers.
    """

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._log = log
        with log.open("wb") as errors:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=REPOSITORY,
            )
        assert process.stdin is not None  # noqa: S101  asked for above
        assert process.stdout is not None  # noqa: S101
        self._process, self._input, self._output = process, process.stdin, process.stdout

    def answer(self) -> dict[str, Any]:
        """Wait for its next answer.

        Raises:
            ChildFailed: If it answers with a `failure`, or has died.
        """
        line = self._output.readline()
        if not line:
            words = self._log.read_text(errors="replace").strip().splitlines()
            raise ChildFailed(f"died: {words[-1] if words else 'without a word'}")
        answer: dict[str, Any] = json.loads(line)
        if "failure" in answer:
            raise ChildFailed(answer["failure"])
        return answer

    def ask(self, line: str) -> dict[str, Any]:
        """Send it a line and wait for the answer; see `answer`."""
        with suppress(BrokenPipeError):  # it died; what it said last is in the log
            self._input.write(f"{line}\n")
            self._input.flush()
        return self.answer()

    def stop(self) -> None:
        """Let it end by closing its input; kill it if it does not."""
        with suppress(BrokenPipeError):
            self._input.close()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()
