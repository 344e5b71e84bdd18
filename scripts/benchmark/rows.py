"""A row's label in, a process that runs it turn by turn out."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.engine import ENGINES
from models.spec import Precision
from scripts.benchmark.files import FORMS
from scripts.benchmark.worker import VARIANTS
from scripts.measuring.processes import REPOSITORY

_STOP_S = 20.0


class RowFailed(Exception):
    """A process could not do its row; the message says why."""


@dataclass(frozen=True)
class Contender:
    """What one row runs.

    Attributes:
        label: As it was asked for.
        engine: Key in `ENGINES`.
        precision: A precision to insist on, or None.
        form: Form of the graph, or None for the one that is served.
        variant: Key in `VARIANTS`, or None for how it serves.
    """

    label: str
    engine: str
    precision: str | None = None
    form: str | None = None
    variant: str | None = None

    @classmethod
    def parse(cls, label: str) -> Contender:
        """Read `engine[:precision][:form][:variant]`.

        Raises:
            ValueError: If a word is none of these; names those there are.
        """
        engine, *words = label.split(":")
        variants = [name for owner, name in VARIANTS if owner == engine]
        kinds = {"precision": [p.value for p in Precision], "form": FORMS, "variant": variants}
        if engine not in ENGINES:
            raise ValueError(f"no engine is called '{engine}'; there are: {', '.join(ENGINES)}")
        chosen: dict[str, str] = {}
        for word in words:
            kind = next((kind for kind, known in kinds.items() if word in known), None)
            if kind is None:
                known = ", ".join(name for names in kinds.values() for name in names)
                raise ValueError(f"'{word}' says nothing about {engine}; known: {known}")
            chosen[kind] = word
        return cls(label, engine, **chosen)


class Worker:
    """A process that runs one row, turn by turn.

    Args:
        contender: What it runs.
        task: Everything else, as `scripts.benchmark.worker` wants it.
        log: File for what it says beside its answers.
    """

    def __init__(self, contender: Contender, task: dict[str, Any], log: Path) -> None:
        task |= {"engine": contender.engine, "variant": contender.variant}
        self._log = log
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "scripts.benchmark.worker", json.dumps(task)],
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
            RowFailed: If it refuses or has died.
        """
        line = self._output.readline()
        if not line:
            words = self._log.read_text(errors="replace").strip().splitlines()
            raise RowFailed(f"died: {words[-1] if words else 'without a word'}")
        answer: dict[str, Any] = json.loads(line)
        if "failure" in answer:
            raise RowFailed(answer["failure"])
        return answer

    def run(self) -> dict[str, Any]:
        """One turn."""
        with suppress(BrokenPipeError):  # it died; what it said last is in the log
            self._input.write("run\n")
            self._input.flush()
        return self.answer()

    def stop(self) -> None:
        """End it; by its pid if it does not listen."""
        with suppress(BrokenPipeError):
            self._input.close()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()
