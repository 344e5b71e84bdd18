"""Requests as they come over a socket, to every route there is, BentoML's own among them."""

from __future__ import annotations

import socket

import httpx
import pytest

from service.http.forms import FIELDS
from tests.support.pictures import make_image
from tests.support.problems import assert_problem
from tests.support.server import BOUNDARY, PREFIX, BentoServer, Serve, multipart

NATIVE = "/remove_background"
REMOVE = f"{PREFIX}/remove"
READ = [f"{PREFIX}/health", f"{PREFIX}/openapi.json", f"{PREFIX}/docs", "/livez", "/readyz",
        "/metrics", "/"]  # fmt: skip


def exchange(server: BentoServer, request: bytes) -> bytes:
    """Everything that comes back for these bytes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(request)
        answer = b""
        while received := connection.recv(65536):
            answer += received
    return answer


@pytest.mark.parametrize("path", READ)
def test_head_is_answered_as_get_is_without_a_body(fake_server: BentoServer, path: str) -> None:
    request = f"HEAD {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    head, _, body = exchange(fake_server, request.encode()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert body == b""
    kind = fake_server.get(path).headers["content-type"]
    assert f"content-type: {kind}".encode() in head.lower()


@pytest.mark.parametrize("path", [REMOVE, f"{REMOVE}/", NATIVE, f"{NATIVE}/"])
@pytest.mark.parametrize("host", ["http://127.0.0.1", "HTTP://cutout.example:8080"])
def test_a_target_in_absolute_form_is_served(
    fake_server: BentoServer, path: str, host: str
) -> None:
    body = multipart(make_image("PNG"))
    head = (
        f"POST {host}{path} HTTP/1.1\r\nHost: other\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    assert exchange(fake_server, head.encode() + body).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("path", [*READ, REMOVE, NATIVE, PREFIX, "/static_content", "/assets"])
def test_no_address_redirects(fake_server: BentoServer, path: str) -> None:
    for slashes in ("", "/", "//"):
        answer = fake_server.get(path + slashes)
        assert not answer.has_redirect_location
        assert answer.status_code in (200, 404, 405)


def test_the_first_page_is_ours(fake_server: BentoServer) -> None:
    page = fake_server.get("/").text
    assert "Background removal" in page
    assert "googletagmanager" not in page


@pytest.mark.parametrize("path", [REMOVE, NATIVE])
def test_an_unknown_field_is_refused_at_both_doors(fake_server: BentoServer, path: str) -> None:
    answer = fake_server.remove(make_image("PNG"), path=path, smooting="false")
    assert "did you mean smoothing?" in assert_problem(answer, "INVALID_REQUEST")["detail"]
    answer = fake_server.remove(make_image("PNG"), path=f"{path}?return_base64=true")
    assert "field of the form" in assert_problem(answer, "INVALID_REQUEST")["detail"]


@pytest.mark.parametrize("path", [*READ, REMOVE, NATIVE, "/schema.json", "/nowhere"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_browser_with_a_strange_name_is_refused_everywhere(
    fake_server: BentoServer, method: str, path: str
) -> None:
    headers = {"Host": f"evil.test:{fake_server.port}", "Origin": "http://evil.test"}
    answer = httpx.request(method, fake_server.url(path), headers=headers, timeout=10)
    assert_problem(answer, "HOST_NOT_ALLOWED")


def test_the_native_endpoint_s_own_schema_names_fields_there_are(fake_server: BentoServer) -> None:
    (route,) = (r for r in fake_server.get("/schema.json").json()["routes"] if r["route"] == NATIVE)
    assert {"image", "smoothing"} <= set(route["input"]["properties"]) <= set(FIELDS)


def test_a_name_the_operator_allows_is_served(serve: Serve) -> None:
    with serve(BIREFNET_ALLOWED_HOSTS="Cutout.example") as server:
        for host, status in (("cutout.example:443", 200), ("evil.test", 403)):
            headers = {"Host": host, "Sec-Fetch-Site": "same-origin"}
            answer = httpx.get(server.url(f"{PREFIX}/health"), headers=headers, timeout=10)
            assert answer.status_code == status
