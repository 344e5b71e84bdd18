"""The React package, its example and its page in the documentation say the same."""

from __future__ import annotations

import re
from pathlib import Path

from service.imaging.formats import READABLE


def test_the_page_shows_the_example_that_is_built_and_run(root: Path) -> None:
    page = (root / "docs/start/react.md").read_text()
    shown = re.findall(r"^`([\w./]+)`: [^\n]*\n\n```tsx?\n(.*?)```", page, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in shown] == ["src/App.tsx", "src/Sticker.tsx", "vite.config.ts"]
    for name, text in shown:
        assert (root / "examples/react" / name).read_text() == text, name


def test_every_kind_of_picture_that_is_always_read_may_be_chosen(root: Path) -> None:
    source = (root / "web/package/src/BackgroundRemoval.tsx").read_text()
    accepted = re.search(r'ACCEPT =\s+"([^"]+)"', source)
    assert accepted is not None
    offered = set(accepted[1].split(","))
    for known in READABLE:
        assert bool(offered & set(known.media_types)) is (known.name != "HEIC"), known.name
