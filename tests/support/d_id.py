"""A server that answers as D-ID's documentation says: pictures, talks, and how far they are."""

from __future__ import annotations

import email
import email.policy
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

KEY = "c3R1ZGlv:not-a-key"


class StandIn:
    """D-ID on a port of its own.

    Args:
        ends: Status that a talk has in the end.
        started: How often it is told before that it was only started.

    Attributes:
        pictures: What was uploaded.
        talks: What was asked for.
    """

    def __init__(self, ends: str = "done", started: int = 0) -> None:
        self.pictures: list[bytes] = []
        self.talks: list[dict[str, Any]] = []
        self._ends, self._started = ends, started
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stand_in._answer(self)

            def do_POST(self) -> None:
                stand_in._answer(self)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

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
        status, told = self._tell(request, body)
        data = json.dumps(told).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    def _tell(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, Any]]:
        if request.headers["Authorization"] != f"Basic {KEY}":
            return 401, {"kind": "AuthorizationError", "description": "user unauthenticated"}
        match request.command, request.path:
            case "POST", "/images":
                self.pictures.append(_file_of(request.headers["Content-Type"], body))
                return 201, {"id": "img_1", "url": "s3://d-id-images-prod/img_1/portrait.png"}
            case "POST", "/talks":
                self.talks.append(json.loads(body))
                return 201, {"id": "tlk_1", "object": "talk", "status": "created"}
            case "GET", "/talks/tlk_1":
                self._started -= 1
                if self._started >= 0:
                    return 200, {"id": "tlk_1", "status": "started"}
                more = {"result_url": "https://d-id.example/tlk_1/portrait.mp4"}
                failed = {"error": {"kind": "FaceError", "description": "face not detected"}}
                return 200, {"id": "tlk_1", "status": self._ends} | (
                    more if self._ends == "done" else failed
                )
        return 404, {"kind": "NotFoundError", "description": "no such route"}


def _file_of(content_type: str, body: bytes) -> bytes:
    """The field `image` of a form."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    form = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    (part,) = form.iter_parts()
    assert part.get_param("name", header="content-disposition") == "image"
    assert part.get_content_type() == "image/png"
    data: bytes = part.get_payload(decode=True)
    return data
