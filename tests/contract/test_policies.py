"""The table of policies and the routes that exist say the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from starlette.routing import BaseRoute, Route, WebSocketRoute

from service.access.caller import Caller
from service.http.app import create_app
from service.http.foreign_doors import create_foreign_doors
from service.http.pages import create_page_app
from service.http.policies import CLOSED, PREFIX, WEBSOCKET, create_policies
from service.http.scrape import create_metrics_app
from tests.support.api import SWAGGER_UI

POLICIES = create_policies(1000, 1000)
BENTOML_S_OWN = {"/readyz", "/livez", "/healthz", "/schema.json", "/docs.json"}
NATIVE = ("/remove_background", "/list_models", "/read_info")


def _flat(routes: Iterable[BaseRoute]) -> Iterator[Route | WebSocketRoute]:
    """All routes, those of FastAPI's included routers among them."""
    for route in routes:
        router = getattr(route, "original_router", None)
        if router is not None:
            yield from _flat(router.routes)
        else:
            assert isinstance(route, Route | WebSocketRoute), route
            yield route


def _methods_there() -> dict[str, set[str]]:
    """Every path that one of our applications serves, with its methods."""
    there: dict[str, set[str]] = {}
    for app, prefix in (
        (create_app(swagger_ui=SWAGGER_UI), PREFIX),
        (create_page_app(), ""),
        (create_metrics_app(lambda: None), ""),
        (create_foreign_doors(lambda: None), ""),
    ):
        for route in _flat(app.routes):
            methods = {WEBSOCKET} if isinstance(route, WebSocketRoute) else route.methods or ()
            there.setdefault(prefix + route.path, set()).update(methods)
    return there


def test_every_route_has_a_policy_with_its_methods_and_every_policy_a_route() -> None:
    policies = {row.path: set(row.methods) for row in POLICIES.rows}
    others = {path: {"POST"} for path in NATIVE} | {path: {"GET", "HEAD"} for path in BENTOML_S_OWN}
    assert policies == _methods_there() | others


def test_no_two_rows_share_a_name_or_a_path() -> None:
    rows = POLICIES.rows
    assert len({row.path for row in rows}) == len({row.route for row in rows}) == len(rows)


def test_what_is_only_read_costs_nothing_and_all_else_does() -> None:
    for row in POLICIES.rows:
        assert (row.cost == 0) == (row.methods <= {"GET", "HEAD"}), row.path
        assert (row.max_body_bytes("") > 0) == ("POST" in row.methods), row.path


def test_what_changes_the_library_is_for_holders_of_a_key() -> None:
    anybody, holder = Caller("x"), Caller("key:1", "free", "1")
    for path, method in (
        (f"{PREFIX}/backgrounds", "POST"),
        (f"{PREFIX}/backgrounds/bg_1", "DELETE"),
    ):
        row = POLICIES.of(path)
        refusal = row.refusal(method, anybody)
        assert refusal is not None
        assert refusal.code == "API_KEY_REQUIRED"
        assert row.refusal(method, holder) is None
        assert row.refusal("GET", anybody) is None
        assert (row.cost_of("GET"), row.cost_of("HEAD"), row.cost_of(method)) == (0, 0, 1)
    assert all(row.keyed <= row.methods for row in POLICIES.rows)


def test_an_address_without_a_row_lets_nobody_do_anything() -> None:
    for path in ("/nowhere", f"{PREFIX}/remove/x", f"{PREFIX}/static/a/b", "", "//"):
        assert POLICIES.of(path) is CLOSED
    for method in ("GET", "POST", "WEBSOCKET", "OPTIONS", "ANY"):
        assert CLOSED.refusal(method, Caller("x")) is not None
    assert CLOSED.max_body_bytes("application/json") == 0
    assert POLICIES.of(f"{PREFIX}/static/page.css").route == "/static"
