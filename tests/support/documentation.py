"""The pages of the documentation, and the programs they show."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.server import REPOSITORY

DOCS = REPOSITORY / "docs"
#: Pages by use. Every program they show runs, or says above itself why not.
BY_USE = sorted(
    page
    for page in (*DOCS.glob("*/*.md"), *DOCS.glob("*.md"))
    if page.parent.name in ("start", "recipes", "switch")
    or page.stem in ("models", "troubleshooting", "README")
)
#: Whose programs are compared with an example that is built and run.
HELD_ELSEWHERE = {"react.md": "tests/contract/test_react.py", "nextjs.md": "by hand"}
#: Programs of others that a test of its own starts with what the page shows.
OF_OTHERS = ("nginx", "caddyfile")
LANGUAGES = ("bash", "python", "js", "php", "go")

_SNIPPET = re.compile(
    r"^(?:<!-- not run: (?P<why>.+?) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Snippet:
    """A program on a page.

    Attributes:
        language: As the page says.
        text: The program.
        why_not: Why it is not run; empty where it is.
    """

    language: str
    text: str
    why_not: str


def snippets_of(page: Path) -> list[Snippet]:
    """What a page shows, in its order."""
    return [
        Snippet(found["language"], found["text"], found["why"] or "")
        for found in _SNIPPET.finditer(page.read_text())
    ]
