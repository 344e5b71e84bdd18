"""The two pages in a real browser: they render, and ask nobody but the service."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.browser import visit
from tests.support.server import PREFIX, BentoServer

pytestmark = pytest.mark.services

PAGES = ["/", f"{PREFIX}/docs", f"{PREFIX}/docs/"]


def test_a_page_that_asks_somebody_else_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        '<img src="http://127.0.0.1:9/a.png"><script src="http://x.test/a.js"></script>'
    )
    seen = visit(page.as_uri(), tmp_path)
    assert {"http://127.0.0.1:9/a.png", "http://x.test/a.js"} <= set(seen.asked)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_asks_nobody_but_the_service(
    fake_server: BentoServer, path: str, tmp_path: Path
) -> None:
    seen = visit(fake_server.url(path), tmp_path)
    assert len(seen.asked) >= 3
    assert {urlsplit(url).netloc for url in seen.asked} == {f"127.0.0.1:{fake_server.port}"}
    assert seen.complaints == []


def test_the_documentation_shows_every_operation(fake_server: BentoServer, tmp_path: Path) -> None:
    dom = visit(fake_server.url(f"{PREFIX}/docs"), tmp_path).dom
    for path in fake_server.get(f"{PREFIX}/openapi.json").json()["paths"]:
        assert f'data-path="{path}"' in dom
