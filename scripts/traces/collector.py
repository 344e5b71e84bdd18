"""Receives traces over OTLP/HTTP, as a collector does, and keeps them in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

_PATH = "/v1/traces"
_POLL_S = 0.05


@dataclass(frozen=True)
class Collected:
    """One span.

    Attributes:
        service: Which of our services made it.
        name: What was done.
        trace_id: Of its trace, in hexadecimal digits.
        span_id: Its own.
        parent_id: That of the span above it; empty for none.
        began: Seconds since 1970.
        ended: Seconds since 1970.
        attributes: What is said of it.
        links: Ids of spans it has to do with.
        failed: Whether its status is an error.
        raw: All of it as it came, in text.
    """

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    began: float
    ended: float
    attributes: Mapping[str, str | int | bool]
    links: Sequence[str]
    failed: bool
    raw: str


class Collector:
    """Listens on loopback while its block lasts.

    Args:
        port: Where; 0 for any.

    Attributes:
        spans: What came, in the order it came.
        status: What it answers.
        paths: Where anything was sent.
    """

    def __init__(self, port: int = 0) -> None:
        self.spans: list[Collected] = []
        self.status = 200
        self.paths: set[str] = set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            """One connection."""

            def do_POST(self) -> None:
                """Take spans."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = outer._take(self.path, body)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)

    @property
    def endpoint(self) -> str:
        """What `BIREFNET_OTLP_ENDPOINT` is to be."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        listen = self._server.serve_forever
        threading.Thread(target=listen, args=(_POLL_S,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, enough: Callable[[list[Collected]], bool], within_s: float = 15.0) -> bool:
        """Wait until there is enough; whether there was in time."""
        ends = time.monotonic() + within_s
        while not enough(list(self.spans)):
            if time.monotonic() > ends:
                return False
            time.sleep(_POLL_S)
        return True

    def trace(self, trace_id: str) -> list[Collected]:
        """The spans of a trace, the earliest first, and of those the longest."""
        mine = [span for span in self.spans if span.trace_id == trace_id]
        return sorted(mine, key=lambda span: (span.began, -span.ended))

    def _take(self, path: str, body: bytes) -> int:
        self.paths.add(path)
        if self.status != 200 or path != _PATH:
            return 404 if path != _PATH else self.status
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = str(_values(group.resource.attributes).get("service.name", ""))
            for scoped in group.scope_spans:
                self.spans += [_collected(service, span) for span in scoped.spans]
        return 200


def _collected(service: str, span: Any) -> Collected:
    return Collected(
        service=service,
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        began=span.start_time_unix_nano / 1e9,
        ended=span.end_time_unix_nano / 1e9,
        attributes=_values(span.attributes),
        links=[link.span_id.hex() for link in span.links],
        failed=span.status.code == span.status.STATUS_CODE_ERROR,
        raw=str(span),
    )


def _values(pairs: Any) -> dict[str, str | int | bool]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
