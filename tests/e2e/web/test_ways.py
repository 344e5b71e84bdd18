"""The page by every way it is reached: a name of the local network, a proxy, and nobody else."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from tests.support.browser import LAN_NAME
from tests.support.page import at, visit_page
from tests.support.pictures import make_portrait, save
from tests.support.server import NO_LIMITS, PREFIX, BentoServer, Serve, free_port

pytestmark = pytest.mark.services

PORTRAIT = save(Image.fromarray(make_portrait(240, 320)), "PNG")
HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend public
    bind 127.0.0.1:{port}
    http-request set-path %[path,regsub(^/tools/cutout/,/)]
    default_backend service
backend service
    server one 127.0.0.1:{upstream}
"""


def test_a_whole_visit_asks_nobody_but_the_service(
    fake_server: BentoServer, browser: Browser
) -> None:
    with at(fake_server, browser) as visit:
        visit.button("Astronaut").click()
        visit.wait_done(1)
        visit.page.get_by_label("Blue gradient").check(force=True)
        visit.take(visit.button("Download").click)
        visit.give(("b.png", PORTRAIT))
        visit.wait_done(2)
        visit.take(visit.button("Download all (ZIP)").click)
        visit.page.get_by_role("link", name="For programs: every route and option").click()
        expect(visit.page.get_by_text("/remove-batch").first).to_be_visible()
        assert len(visit.asked) > 10
        asked = {urlsplit(url).netloc for url in visit.asked if not url.startswith("blob:")}
    assert asked == {f"127.0.0.1:{fake_server.port}"}


def test_under_a_plain_http_name_of_the_local_network(serve: Serve, browser: Browser) -> None:
    with serve(BIREFNET_ALLOWED_HOSTS=LAN_NAME, **NO_LIMITS) as server:
        url = f"http://{LAN_NAME}:{server.port}/"
        with visit_page(browser, url) as visit:
            assert visit.page.evaluate("[isSecureContext, 'clipboard' in navigator]") == [
                False,
                False,
            ]
            expect(visit.page.get_by_text("This connection is not encrypted")).to_be_visible()
            visit.give(("a.png", PORTRAIT))
            visit.wait_done(1)
            expect(visit.button("Copy")).to_be_disabled()
            expect(visit.page.get_by_text("Copying needs https or localhost")).to_be_visible()
            _, data = visit.take(visit.button("Download").click)
            assert data == server.remove(PORTRAIT).content
            assert visit.complaints == []


def wait_until_open(port: int) -> None:
    give_up = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            assert time.monotonic() < give_up, f"nobody listens on {port}"
            time.sleep(0.05)
        else:
            return


@pytest.fixture
def proxied(fake_server: BentoServer, tmp_path: Path) -> Iterator[str]:
    """The address of a real haproxy that puts the service under a path."""
    haproxy = shutil.which("haproxy") or "/usr/sbin/haproxy"
    if not Path(haproxy).is_file():
        pytest.fail("CI_SERVICES=1, and there is no haproxy here")
    port, config = free_port(), tmp_path / "haproxy.cfg"
    config.write_text(HAPROXY.format(port=port, upstream=fake_server.port))
    with subprocess.Popen([haproxy, "-db", "-f", str(config)]) as running:
        wait_until_open(port)
        yield f"http://127.0.0.1:{port}/tools/cutout/"
        running.terminate()


def test_behind_a_proxy_under_a_path(proxied: str, browser: Browser) -> None:
    with visit_page(browser, proxied) as visit:
        visit.give(("a.png", PORTRAIT))
        visit.wait_done(1)
        visit.take(visit.button("Download").click)
        visit.button("Clear the list").click()
        visit.button("Cup").click()
        visit.wait_done(1)
        asked = [url for url in visit.asked if not url.startswith("blob:")]
        assert all(urlsplit(url).path.startswith("/tools/cutout/") for url in asked), asked
        assert visit.complaints == []


def test_without_a_page_there_is_none_and_none_of_bentomls(serve: Serve) -> None:
    with serve(BIREFNET_PAGE="false", **NO_LIMITS) as server:
        for path in ("/", "/page/index.js"):
            answer = server.get(path)
            assert answer.status_code == 404
            assert answer.json()["error_code"] == "NOT_FOUND"
        assert server.get(f"{PREFIX}/health").status_code == 200
        assert server.remove(PORTRAIT).status_code == 200


def test_without_javascript_one_picture_at_a_time_is_sent(
    fake_server: BentoServer, browser: Browser
) -> None:
    tab = browser.new_context(java_script_enabled=False).new_page()
    tab.goto(fake_server.url("/"))
    tab.set_input_files("#image", {"name": "a.png", "mimeType": "image/png", "buffer": PORTRAIT})
    with tab.expect_download() as begun:
        tab.get_by_role("button", name="Remove the background").click()
    assert Path(begun.value.path()).read_bytes() == fake_server.remove(PORTRAIT).content
    tab.context.close()
