"""Addresses and methods as monitors, proxies and people write them."""

from __future__ import annotations

import pytest
from starlette.responses import RedirectResponse
from starlette.routing import Route

from service.http.app import create_app
from service.http.policies import PREFIX
from tests.support.api import HEALTH, REMOVE, SWAGGER_UI, Api
from tests.support.problems import assert_problem

pytestmark = pytest.mark.anyio

_APP = create_app(swagger_ui=SWAGGER_UI)
_ROUTES = {r.path for r in _APP.routes if isinstance(r, Route) and "GET" in (r.methods or ())}
_ROUTES |= {path for path, methods in _APP.openapi()["paths"].items() if "get" in methods}
# Of tasks, there must be one first, or a key: test_tasks.py.
_ROUTES -= {"/status/{task_id}", "/status/{task_id}/result", "/tasks", "/webhook-secret"}
READABLE = [
    "/",
    *(PREFIX + path.format(name="docs.js", background_id="white") for path in sorted(_ROUTES)),
]


@pytest.mark.parametrize("path", READABLE)
async def test_head_is_answered_as_get_is(api: Api, path: str) -> None:
    read, head = await api.client.get(path), await api.client.head(path)
    assert read.status_code == head.status_code == 200
    assert head.headers["content-type"] == read.headers["content-type"]


async def test_head_of_what_only_takes_a_picture_is_405(api: Api) -> None:
    response = await api.client.head(REMOVE)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("slashes", ["/", "//"])
async def test_a_slash_at_the_end_is_served_as_if_it_were_not_there(
    api: Api, portrait_png: bytes, slashes: str
) -> None:
    files = {"image": ("a.png", portrait_png)}
    response = await api.client.post(REMOVE + slashes, files=files)
    assert response.status_code == 200
    assert (await api.client.get(HEALTH + slashes)).status_code == 200
    assert_problem(await api.client.get(REMOVE + slashes), "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize("path", [PREFIX, f"{PREFIX}/", f"{PREFIX}//", "/nowhere/"])
async def test_a_folder_is_not_found_and_never_a_redirect(api: Api, path: str) -> None:
    response = await api.client.get(path)
    assert_problem(response, "NOT_FOUND")
    assert "location" not in response.headers


async def test_a_redirect_of_the_framework_is_not_sent(api: Api) -> None:
    @api.app.get("/moved")
    def moved() -> RedirectResponse:
        return RedirectResponse("http://elsewhere.test/")

    response = await api.client.get(f"{PREFIX}/moved")
    assert_problem(response, "NOT_FOUND")
    assert "location" not in response.headers
