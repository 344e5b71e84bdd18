"""How tests look at an error."""

from __future__ import annotations

from typing import Any

import httpx

from models.errors import BackgroundRemovalError
from service.http.problems import status_of


def all_errors(root: type[BackgroundRemovalError] = BackgroundRemovalError) -> list[type[Any]]:
    """Every error class of ours that can be raised."""
    found = [] if root.__name__.startswith("_") else [root]
    for child in root.__subclasses__():
        if child.__module__.startswith(("models.", "service.")):
            found += all_errors(child)
    return found


def assert_problem(response: httpx.Response, code: str) -> dict[str, Any]:
    """The response is the flat problem of this code, with its class's status; gives the body."""
    body: dict[str, Any] = response.json()
    assert body.get("error_code") == code, body
    status = next(status_of(error) for error in all_errors() if error.code == code)
    assert response.status_code == status, (response.status_code, body)
    assert response.headers["content-type"] == "application/json"
    assert isinstance(body["detail"], str)
    assert body["detail"]
    assert body["request_id"] == response.headers["x-request-id"]
    assert "/tmp" not in body["detail"]  # no path of ours
    return body
