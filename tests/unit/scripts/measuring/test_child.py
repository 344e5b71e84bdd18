"""A process that answers line by line, refuses, or dies."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.measuring.child import Child, ChildFailed

ECHO = "import json, sys\nfor line in sys.stdin: print(json.dumps({'said': line}), flush=True)"


@contextmanager
def running(program: str, folder: Path) -> Iterator[Child]:
    child = Child([sys.executable, "-c", program], folder / "log")
    try:
        yield child
    finally:
        child.stop()


def test_every_line_is_answered(tmp_path: Path) -> None:
    with running(ECHO, tmp_path) as child:
        assert child.ask("one") == {"said": "one\n"}
        assert child.ask("two") == {"said": "two\n"}


def test_a_refusal_is_an_error_with_its_words(tmp_path: Path) -> None:
    program = 'print(\'{"failure": "not this one"}\')'
    with running(program, tmp_path) as child, pytest.raises(ChildFailed, match="not this one"):
        child.answer()


@pytest.mark.parametrize(
    ("program", "words"),
    [("raise ValueError('no such picture')", "no such picture"), ("", "without a word")],
)
def test_a_death_is_told_with_the_last_words(program: str, words: str, tmp_path: Path) -> None:
    with running(program, tmp_path) as child, pytest.raises(ChildFailed, match=f"died: .*{words}"):
        child.ask("anything")
