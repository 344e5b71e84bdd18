"""What every report has: the run it belongs to, a page for people, a JSON file for programs."""

from __future__ import annotations

import json
import shlex
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from models.artifacts import write_atomically
from scripts.measuring.machine import Machine, describe_machine
from scripts.measuring.processes import REPOSITORY


class Run(NamedTuple):
    """What figures belong to: the day, the command that repeats them, the machine."""

    date: str
    command: str
    machine: Machine


def begin_run(module: str, arguments: Sequence[str] | None) -> Run:
    """Look at the machine; to be called before the work, which is a load of its own.

    Args:
        module: The command, such as `scripts.benchmark`.
        arguments: What it was given; None for those of this process.
    """
    given = sys.argv[1:] if arguments is None else arguments
    command = shlex.join(["python", "-m", module, *given])
    return Run(datetime.now(UTC).date().isoformat(), command, describe_machine())


@dataclass(frozen=True)
class Report(ABC):
    """A run and what it found; the fields of a `Run`, then each report's own.

    Attributes:
        title: Heading of the page.
        date: Day of the run, ISO.
        command: That repeats it.
        machine: What it ran on.
    """

    title: ClassVar[str]
    date: str
    command: str
    machine: Machine

    def notes(self) -> Iterable[str]:
        """What else must be known to read the figures, a sentence each."""
        return ()

    @abstractmethod
    def body(self) -> Iterable[str]:
        """Lines of the page below its heading."""

    def as_markdown(self) -> str:
        """The whole page."""
        heading = [f"# {self.title}, {self.date}", "", f"`{self.command}`", ""]
        notes = [*self.machine.as_markdown(), *(f"- {note}" for note in self.notes())]
        return "\n".join([*heading, *notes, "", *self.body()]) + "\n"

    def as_json(self) -> dict[str, Any]:
        """Every figure, unrounded."""
        return asdict(self)

    def stem(self, kind: str) -> Path:
        """Where reports of a kind are kept, without suffix."""
        return REPOSITORY / "docs" / "benchmarks" / f"{self.date}-{self.machine.slug()}-{kind}"

    def write(self, stem: Path) -> None:
        """Write `stem`.md and `stem`.json."""
        write_report(stem, self.as_markdown(), self.as_json())

    def publish(self, stem: Path) -> None:
        """Write both, print the page, and say where it is."""
        self.write(stem)
        print(self.as_markdown())
        print(f"written: {stem}.md, {stem}.json", file=sys.stderr)


def write_report(stem: Path, page: str, figures: dict[str, Any]) -> None:
    """Write `stem`.md and `stem`.json, each of them whole or not at all."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(stem.with_name(f"{stem.name}.md"), page)
    write_atomically(stem.with_name(f"{stem.name}.json"), json.dumps(figures, indent=1) + "\n")


def say(words: str) -> None:
    """Tell on standard error how far the work has come."""
    print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr)
