"""What lies between two services, and breaks some of the calls as a process does that is killed."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import httpx

_NOT_PASSED_ON = ("connection", "content-length", "transfer-encoding", "date", "server")


class BreakingHop:
    """Passes calls on to a service, or takes them and closes the connection without an answer.

    Args:
        service: Origin of the service.

    Attributes:
        port: Where it listens on 127.0.0.1.
        breaks: How many of the next POST requests to break; counts down.
    """

    def __init__(self, service: str) -> None:
        hop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hop._pass_on(self)

            def do_POST(self) -> None:
                if hop.breaks:
                    hop.breaks -= 1
                    self.close_connection = True
                else:
                    hop._pass_on(self)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.breaks = 0
        self._service = service
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port

    def __enter__(self) -> Self:
        """Listen."""
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()

    def _pass_on(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        url, sent = self._service + request.path, dict(request.headers)
        answer = httpx.request(request.command, url, content=body, headers=sent, timeout=60)
        request.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name not in _NOT_PASSED_ON:
                request.send_header(name, value)
        request.send_header("Content-Length", str(len(answer.content)))
        request.end_headers()
        request.wfile.write(answer.content)
