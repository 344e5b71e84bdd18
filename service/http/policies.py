"""What each address lets through, in one table; an address without a row lets nothing through."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from starlette.responses import Response
from starlette.routing import compile_path

from models.errors import BackgroundRemovalError
from service.access.caller import ANONYMOUS, TIERS, Caller
from service.errors import AccessDenied, ApiKeyRequired, BodyTooLarge, MethodNotAllowed, NotFound
from service.http.problems import render, render_removebg
from service.imaging.guard import file_too_large

PREFIX = "/api/background-removal"
#: BentoML's answer to an orchestrator that asks whether to send requests.
READINESS = "/readyz"
METRICS = "/metrics"
#: The method of a WebSocket's handshake, here and in the log.
WEBSOCKET = "WEBSOCKET"

_READ = frozenset({"GET", "HEAD"})
_POST = frozenset({"POST"})
_DELETE = frozenset({"DELETE"})
_ANYONE = frozenset(TIERS)
_FORM_BYTES = 256 * 1024
_TEXTS = ("application/json", "application/x-www-form-urlencoded")
_EMPTY_BYTES = 1024  # of BentoML's clients, which send an empty object where nothing is asked


class Renderer(Protocol):
    """Makes the response for an error."""

    def __call__(
        self, error: BackgroundRemovalError, request_id: str, status: int | None = None
    ) -> Response:
        """See `service.http.problems.render`."""


@dataclass(frozen=True)
class RoutePolicy:
    """What one address lets through. The defaults are the strictest there are: nothing, for nobody.

    Attributes:
        path: The address; a part in braces stands for any one segment.
        route: What metrics and the log call it.
        methods: HTTP methods it takes, and `WEBSOCKET` where it takes one.
        tiers: Tiers of the callers that may use it.
        keyed: Those of the methods that are for holders of a key alone.
        cost: Requests of a caller's minute that one call takes.
        free: Methods that cost nothing, since they only read: they are not limited, their body is
            not read, and they are answered until the process ends.
        max_file_bytes: Most of all uploaded files together; 0 where none is taken.
        form_bytes: What a body may weigh beside its files.
        is_probe: Whether machines ask it over and over; an answer is then logged when debugging
            only.
        render: How its errors look.
    """

    path: str = ""
    route: str = "unmatched"
    methods: frozenset[str] = frozenset()
    tiers: frozenset[str] = frozenset()
    keyed: frozenset[str] = frozenset()
    cost: int = 1
    free: frozenset[str] = _READ
    max_file_bytes: int = 0
    form_bytes: int = 0
    is_probe: bool = False
    render: Renderer = render

    def max_body_bytes(self, media_type: str) -> int:
        """Largest body of a kind: the files and the form around them, in a text as base64."""
        n_bytes = self.max_file_bytes + self.form_bytes
        is_text = media_type.lower().startswith(_TEXTS)
        return n_bytes * 4 // 3 if is_text else n_bytes

    def too_large(self, n_bytes: int) -> BackgroundRemovalError:
        """The error for a body of so many bytes."""
        if self.max_file_bytes:
            return file_too_large(n_bytes, self.max_file_bytes)
        return BodyTooLarge()

    def refusal(self, method: str, caller: Caller) -> BackgroundRemovalError | None:
        """Why a caller may not use a method here, or None if it may."""
        if not self.methods:
            return NotFound()
        if method not in self.methods:
            return MethodNotAllowed()
        if caller.tier == ANONYMOUS and (method in self.keyed or ANONYMOUS not in self.tiers):
            return ApiKeyRequired()
        return None if caller.tier in self.tiers else AccessDenied()

    def cost_of(self, method: str) -> int:
        """What a call by one of the methods takes."""
        return 0 if method in self.free else self.cost


#: Of every address that is not in the table.
CLOSED = RoutePolicy()


class RoutePolicies:
    """The table.

    Args:
        rows: One for every address.
    """

    def __init__(self, rows: Iterable[RoutePolicy]) -> None:
        self.rows = tuple(rows)
        self._exact = {row.path: row for row in self.rows if "{" not in row.path}
        self._patterns = [(compile_path(row.path)[0], row) for row in self.rows if "{" in row.path]

    def of(self, path: str) -> RoutePolicy:
        """The policy of a path without a slash at its end; `CLOSED` where none is named."""
        if path in self._exact:
            return self._exact[path]
        return next((row for pattern, row in self._patterns if pattern.match(path)), CLOSED)


def create_policies(
    max_file_bytes: int, max_batch_bytes: int, has_page: bool = True
) -> RoutePolicies:
    """The policies of this service.

    Args:
        max_file_bytes: Largest picture, and most of all pictures of one removal.
        max_batch_bytes: Most of all pictures of a batch.
        has_page: Whether there is a page at `/`.
    """
    page = (_reading("/", "/"), _reading("/page/{name}", "/page"))
    return RoutePolicies(
        (
            *(page if has_page else ()),
            _removal(f"{PREFIX}/remove", "/remove", max_file_bytes),
            _removal(f"{PREFIX}/remove-batch", "/remove-batch", max_batch_bytes),
            _removal(f"{PREFIX}/remove-async", "/remove-async", max_file_bytes),
            _removal(f"{PREFIX}/remove-batch-async", "/remove-batch-async", max_batch_bytes),
            RoutePolicy(f"{PREFIX}/preview", "/preview", frozenset({WEBSOCKET}), _ANYONE),
            RoutePolicy(f"{PREFIX}/tasks", "/tasks", _READ, _ANYONE, keyed=_READ, cost=0),
            RoutePolicy(f"{PREFIX}/status/{{task_id}}", "/status", _READ | _DELETE, _ANYONE),
            RoutePolicy(
                f"{PREFIX}/webhook-secret", "/webhook-secret", _READ, _ANYONE, keyed=_READ, cost=0
            ),
            _reading(f"{PREFIX}/status/{{task_id}}/result", "/result"),
            _removal("/remove_background", "/remove_background", max_file_bytes),
            *_foreign(max_file_bytes),
            _reading(f"{PREFIX}/health", "/health", is_probe=True),
            _reading(f"{PREFIX}/models", "/models"),
            _reading(f"{PREFIX}/info", "/info"),
            _reading(f"{PREFIX}/openapi.json", "/openapi.json"),
            _reading(f"{PREFIX}/docs", "/docs"),
            _reading(f"{PREFIX}/static/{{name}}", "/static"),
            *_library(max_file_bytes),
            RoutePolicy("/list_models", "/list_models", _POST, _ANYONE, form_bytes=_EMPTY_BYTES),
            RoutePolicy("/read_info", "/read_info", _POST, _ANYONE, form_bytes=_EMPTY_BYTES),
            _reading(METRICS, METRICS, is_probe=True),
            # BentoML's own: for orchestrators, and for its Python client.
            _reading(READINESS, READINESS, is_probe=True),
            _reading("/livez", "/livez", is_probe=True),
            _reading("/healthz", "/healthz", is_probe=True),
            _reading("/schema.json", "/schema.json"),
            _reading("/docs.json", "/docs.json"),
        )
    )


def _foreign(max_file_bytes: int) -> Iterable[RoutePolicy]:
    """Addresses of other services, for their clients."""
    removebg = _removal("/v1.0/removebg", "/removebg", max_file_bytes)
    yield replace(removebg, render=render_removebg)
    yield RoutePolicy(
        "/v1.0/account", "/account", _READ, _ANYONE, keyed=_READ, cost=0, render=render_removebg
    )
    # A GET with the address of a picture is a removal like any other.
    rembg = _removal("/api/remove", "/rembg", max_file_bytes)
    yield replace(rembg, methods=_POST | {"GET"}, free=frozenset())


def _removal(path: str, route: str, max_file_bytes: int) -> RoutePolicy:
    return RoutePolicy(
        path, route, _POST, _ANYONE, max_file_bytes=max_file_bytes, form_bytes=_FORM_BYTES
    )


def _library(max_file_bytes: int) -> tuple[RoutePolicy, ...]:
    """Everybody may see templates; what changes something is for holders of a key."""
    every, one = f"{PREFIX}/backgrounds", f"{PREFIX}/backgrounds/{{background_id}}"
    return (
        RoutePolicy(
            every,
            "/backgrounds",
            _READ | _POST,
            _ANYONE,
            keyed=_POST,
            max_file_bytes=max_file_bytes,
            form_bytes=_FORM_BYTES,
        ),
        RoutePolicy(one, "/background", _READ | _DELETE, _ANYONE, keyed=_DELETE),
        _reading(f"{one}/thumbnail", "/background-thumbnail"),
        _reading(f"{one}/picture", "/background-picture"),
    )


def _reading(path: str, route: str, *, is_probe: bool = False) -> RoutePolicy:
    return RoutePolicy(path, route, _READ, _ANYONE, cost=0, is_probe=is_probe)
