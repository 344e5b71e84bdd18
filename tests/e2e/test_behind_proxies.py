"""The page about https: nginx and Caddy with what it shows, in front of a real service."""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx_ws import connect_ws
from PIL import Image

from tests.support.certificates import make_certificate
from tests.support.documentation import DOCS, snippets_of
from tests.support.pictures import make_image, make_noise, open_image, save
from tests.support.server import PREFIX, BentoServer, Serve, free_port

pytestmark = pytest.mark.services

NAME = "cutouts.example"
BROWSER = ("-H", "Sec-Fetch-Site: none")
SHOWN = {one.language: one.text for one in snippets_of(DOCS / "recipes/https.md")}
ROOM = "daemon off; pid {0}/pid; error_log {0}/error.log;\nevents {{}}\nhttp {{ access_log off;\n"
KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@pytest.fixture(scope="module")
def server(serve: Serve) -> Iterator[BentoServer]:
    """The service, with the settings that the page shows."""
    settings = dict(re.findall(r"(BIREFNET_\w+)=(\S+)", SHOWN["bash"]))
    assert set(settings) == {"BIREFNET_TRUSTED_PROXIES", "BIREFNET_ALLOWED_HOSTS"}
    with serve(**settings) as server:
        yield server


def nginx(folder: Path, port: int, upstream: int) -> list[str]:
    text = SHOWN["nginx"].replace("listen 443", f"listen 127.0.0.1:{port}")
    text = text.replace("55433", str(upstream)).replace("/etc/ssl", str(folder))
    own = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in KINDS)
    (folder / "nginx.conf").write_text(f"{ROOM.format(folder)}{own}{text}}}\n")
    return ["nginx", "-p", str(folder), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]


def caddy(folder: Path, port: int, upstream: int) -> list[str]:
    text = SHOWN["caddyfile"].replace("55433", str(upstream))
    text = text.replace(
        f"{NAME} {{", f"https://{NAME}:{port} {{\n    tls {folder}/cutouts.crt {folder}/cutouts.key"
    )
    general = "{\n    admin off\n    auto_https disable_redirects\n}\n"
    (folder / "Caddyfile").write_text(general + text)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", f"{folder}/Caddyfile"]


class Proxied:
    """What a machine of its own, 127.0.0.5, sees of the service."""

    def __init__(self, by: str, port: int) -> None:
        self.by = by
        self.root = f"https://{NAME}:{port}"
        self._to = ("--resolve", f"{NAME}:{port}:127.0.0.1", "--interface", "127.0.0.5")
        self.port = port

    def curl(self, path: str, *words: str | Path) -> tuple[int, bytes]:
        """Status and body."""
        ran = subprocess.run(
            ["curl", "-sk", *self._to, "-w", "%{stderr}%{http_code}", *words, self.root + path],
            capture_output=True,
            timeout=60,
            check=False,
        )
        return int(ran.stderr or b"0"), ran.stdout


@contextmanager
def running(
    start: Callable[[Path, int, int], list[str]], folder: Path, server: BentoServer
) -> Iterator[Proxied]:
    make_certificate(folder / "cutouts.crt", folder / "cutouts.key")
    port = free_port()
    command = start(folder, port, server.port)
    program = shutil.which(command[0], path="/usr/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.fail(f"CI_SERVICES=1, and there is no {command[0]} here")
    places = {name: str(folder) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [program, *command[1:]], env={**os.environ, **places}, stdout=said, stderr=said
        )
    proxied, give_up = Proxied(command[0], port), time.monotonic() + 20
    try:
        while proxied.curl("/livez")[0] != 200:
            assert process.poll() is None, (folder / "said").read_text()
            assert time.monotonic() < give_up, (folder / "said").read_text()
            time.sleep(0.1)
        yield proxied
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(params=[nginx, caddy], ids=["nginx", "caddy"])
def proxied(
    request: pytest.FixtureRequest, server: BentoServer, tmp_path: Path
) -> Iterator[Proxied]:
    with running(request.param, tmp_path, server) as proxied:
        yield proxied


def test_what_the_page_promises(proxied: Proxied, server: BentoServer, tmp_path: Path) -> None:
    status, page = proxied.curl("/", *BROWSER)
    assert (status, b"<html" in page) == (200, True)

    large = tmp_path / "large.png"
    large.write_bytes(save(Image.fromarray(make_noise(900, 1000)), "PNG"))
    assert 2_000_000 < large.stat().st_size < 10_000_000
    status, cutout = proxied.curl(f"{PREFIX}/remove", "-F", f"image=@{large}")
    assert (status, open_image(cutout).size) == (200, (1000, 900))
    line = [line for line in server.log().splitlines() if "POST" in line and "/remove" in line][-1]
    assert "client=127.0.0.5" in line

    large.write_bytes(bytes(11 * 1024 * 1024))
    status, told = proxied.curl(f"{PREFIX}/remove", "-F", f"image=@{large}")
    if proxied.by == "nginx":
        assert (status, json.loads(told)["error_code"]) == (413, "FILE_TOO_LARGE")
    else:  # it sometimes loses the body, or all, of an answer that comes before the end of the file
        assert status in (100, 413, 502)


def test_the_live_preview_passes(proxied: Proxied) -> None:
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    told: list[Any] = []
    with (
        httpx.Client(verify=trusting) as client,
        connect_ws(
            f"https://127.0.0.1:{proxied.port}{PREFIX}/preview",
            client,
            headers={"Host": f"{NAME}:{proxied.port}"},
            extensions={"sni_hostname": NAME},
        ) as socket,
    ):
        told.append(json.loads(socket.receive_text()))
        socket.send_bytes(make_image("PNG", 96, 128))
        socket.send_text(json.dumps({"seq": 1}))
        told.append(json.loads(socket.receive_text(timeout=30)))
    assert [one["type"] for one in told] == ["ready", "picture"]
