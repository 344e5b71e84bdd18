"""Where a web app comes from: built files under a strict policy, and the proxies in between."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from tests.support.server import PREFIX

_MEDIA = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css"}
_HTML = ("text/html", b"<html><h1>Bad Gateway</h1></html>")
#: What stands in the service's place at `/odd/NAME/remove`: status, media type, body.
ODD: dict[str, tuple[int, str, bytes]] = {
    "html": (502, *_HTML),
    "html-as-success": (200, *_HTML),
    "no-detail": (500, "application/json", b'{"oops": true}'),
    "list": (422, "application/json", json.dumps({"detail": [{"msg": "Field required"}]}).encode()),
}
_STRIPPED = ("x-", "content-disposition")
_HOP = ("connection", "host", "content-length", "transfer-encoding", "keep-alive", "server", "date")


class Front:
    """A server of built files, on another origin than the service.

    `/api/background-removal` is passed on to the service, as a proxy does; `/bare` too, without the
    headers that tell what ran; `/odd/NAME` answers as something else in the service's place would.

    Args:
        folder: The files.
        service: Origin of the service.
        port: Where to listen on 127.0.0.1.
    """

    def __init__(self, folder: Path, service: str, port: int) -> None:
        front = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                front._answer(self)

            def do_POST(self) -> None:
                front._answer(self)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.url = f"http://127.0.0.1:{port}"
        self._folder, self._service = folder, service
        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        """Serve."""
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        path = urlsplit(request.path).path
        try:
            if path.startswith(PREFIX):
                self._pass_on(request, body, path, whole=True)
            elif path.startswith("/bare/"):
                route = PREFIX + path.removeprefix("/bare")
                self._pass_on(request, body, route, whole=False)
            elif path.startswith("/odd/"):
                status, media, text = ODD[path.split("/")[2]]
                _send(request, status, {"Content-Type": media}, text)
            else:
                self._file(request, path)
        except ConnectionError:
            pass  # the browser went, as some tests want it to

    def _pass_on(
        self, request: BaseHTTPRequestHandler, body: bytes, path: str, *, whole: bool
    ) -> None:
        sent = {k: v for k, v in request.headers.items() if k.lower() not in _HOP}
        url = self._service + path
        answer = httpx.request(request.command, url, content=body, headers=sent, timeout=60)
        kept = {
            name: value
            for name, value in answer.headers.items()
            if name not in (*_HOP, "content-encoding") and (whole or not name.startswith(_STRIPPED))
        }
        _send(request, answer.status_code, kept, answer.content)

    def _file(self, request: BaseHTTPRequestHandler, path: str) -> None:
        file = self._folder / (path.strip("/") or ".")
        file = file / "index.html" if file.is_dir() else file
        if not file.is_file():
            return _send(request, 404, {}, b"")
        policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
            "connect-src http://127.0.0.1:*"
        )
        media = _MEDIA.get(file.suffix, "application/octet-stream")
        headers = {"Content-Type": media, "Content-Security-Policy": policy}
        return _send(request, 200, headers, file.read_bytes())


def _send(
    request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes
) -> None:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
