"""What a caller may put into the form of a removal, and how it is told what it may not."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import httpx
import pytest

from service.http.forms import FIELDS
from tests.support.api import REMOVE, Api
from tests.support.pictures import make_image
from tests.support.problems import assert_problem

pytestmark = pytest.mark.anyio

FORM = {"Content-Type": "multipart/form-data; boundary=B"}


def body(*parts: tuple[str, bytes]) -> bytes:
    """A form of parts, each given by its headers and its bytes."""
    written = [f"--B\r\n{head}\r\n\r\n".encode() + data + b"\r\n" for head, data in parts]
    return b"".join(written) + b"--B--\r\n"


def field(name: str, more: str = "") -> str:
    return f'Content-Disposition: form-data; name="{name}"{more}'


async def post(api: Api, data: bytes, **headers: str) -> httpx.Response:
    return await api.client.post(REMOVE, content=data, headers={**FORM, **headers})


class TestFiles:
    """A picture is taken however a client marks it as a file."""

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
    @pytest.mark.parametrize("side", [64, 400])
    @pytest.mark.parametrize(
        "more", ["", "\r\nContent-Type: image/png", "\r\nContent-Type: text/plain; charset=utf-8"]
    )
    async def test_a_picture_without_a_file_name_is_taken(
        self, api: Api, kind: str, side: int, more: str
    ) -> None:
        picture = make_image(kind, side, side)
        response = await post(api, body((field("image") + more, picture)))
        assert response.status_code == 200
        assert 'filename="image_nobg_' in response.headers["content-disposition"]

    async def test_an_extended_file_name_alone_is_one(self, api: Api, portrait_png: bytes) -> None:
        name = "; filename*=UTF-8''Caf%C3%A9%20%E5%9B%B3.png"
        response = await post(api, body((field("image", name), portrait_png)))
        assert response.status_code == 200
        assert "UTF-8''Caf%C3%A9%20%E5%9B%B3_nobg" in response.headers["content-disposition"]

    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"https://example.com/a.png",
            b"data:image/png;base64,iVBORw0KGgo" * 200,
            "@größe.png".encode(),
            ("é" * 2000).encode(),
            b"a" + ("é" * 2000).encode(),
        ],
        ids=["empty", "address", "base64", "name", "long", "cut in a character"],
    )
    async def test_text_in_place_of_a_file_is_refused_in_a_sentence_about_the_field(
        self, api: Api, text: bytes
    ) -> None:
        problem = assert_problem(await post(api, body((field("image"), text))), "INVALID_REQUEST")
        assert problem["detail"].startswith("image: Expected a file")
        assert [error["loc"] for error in problem["errors"]] == [["body", "image"]]


class TestUnknownNames:
    """What is misspelt is never ignored."""

    @pytest.mark.parametrize(
        ("name", "hint"),
        [
            ("smoothin", "did you mean smoothing?"),
            ("Smoothing", "did you mean smoothing?"),
            ("returnBase64", "did you mean return_base64?"),
            ("image[]", "did you mean image?"),
            ("rotate", "they are listed at /api/background-removal/docs"),
            ("background_color", "did you mean bg_color?"),
            ("backgroundId", "did you mean background_id?"),
            ("bg_id", "did you mean background_id?"),
        ],
    )
    async def test_a_field_there_is_none_of_is_named_with_what_was_meant(
        self, api: Api, portrait_png: bytes, name: str, hint: str
    ) -> None:
        problem = assert_problem(await api.remove(portrait_png, **{name: "1"}), "INVALID_REQUEST")
        assert problem["detail"].startswith(f"{name}: There is no such field")
        assert hint in problem["detail"]
        assert problem["errors"][0]["loc"] == ["body", name]

    async def test_a_file_in_another_field_is_told_where_it_belongs(
        self, api: Api, portrait_png: bytes
    ) -> None:
        response = await api.client.post(REMOVE, files={"photo": ("a.png", portrait_png)})
        problem = assert_problem(response, "INVALID_REQUEST")
        assert "photo: There is no such field; did you mean image?" in problem["detail"]

    @pytest.mark.parametrize("name", ["", "\x07\x1b[31m", "ü" * 500, "\u202egpj.exe"])
    async def test_a_hostile_name_is_repeated_harmlessly(
        self, api: Api, portrait_png: bytes, name: str
    ) -> None:
        head = f'Content-Disposition: form-data; name="{name}"'
        data = body((field("image", "; filename=a"), portrait_png), (head, b"1"))
        problem = assert_problem(await post(api, data), "INVALID_REQUEST")
        assert problem["detail"].isprintable()
        assert len(problem["detail"]) < 200

    async def test_everything_that_is_wrong_is_told_at_once(
        self, api: Api, portrait_png: bytes
    ) -> None:
        data = {"smoothing": "maybe", "rotate": "true"}
        files = {"image": ("a", portrait_png)}
        response = await api.client.post(f"{REMOVE}?returnBase64=1", data=data, files=files)
        problem = assert_problem(response, "INVALID_REQUEST")
        places = [error["loc"] for error in problem["errors"]]
        assert places == [["body", "smoothing"], ["body", "rotate"], ["query", "returnBase64"]]

    @pytest.mark.parametrize("name", [*FIELDS, "smothing", "return-base64", "RETURN_BASE64"])
    async def test_an_option_in_the_address_is_sent_to_the_form(
        self, api: Api, portrait_png: bytes, name: str
    ) -> None:
        files = {"image": ("a.png", portrait_png)}
        response = await api.client.post(f"{REMOVE}?a=1&{name}=true", files=files)
        problem = assert_problem(response, "INVALID_REQUEST")
        assert problem["errors"][0]["loc"] == ["query", name]
        assert "as a field of the form" in problem["detail"]

    @pytest.mark.parametrize(
        "query",
        ["source=app&v=1", "utm_source=x&page=2", "token", "=&&=", "%00=%ff", "a=" * 20_000],
        ids=lambda query: query[:20],
    )
    async def test_other_parameters_of_the_address_are_somebody_elses_business(
        self, api: Api, portrait_png: bytes, query: str
    ) -> None:
        files = {"image": ("a.png", portrait_png)}
        response = await api.client.post(f"{REMOVE}?{query}", files=files)
        assert response.status_code == 200

    async def test_of_an_option_that_is_there_twice_the_last_one_holds(
        self, api: Api, portrait_png: bytes
    ) -> None:
        picture = (field("image", "; filename=a.png"), portrait_png)
        for last, kind in ((b"true", "application/json"), (b"false", "image/png")):
            first = b"false" if last == b"true" else b"true"
            twice = [(field("return_base64"), value) for value in (first, last)]
            response = await post(api, body(picture, *twice))
            assert response.headers["content-type"] == kind


class TestBrokenForms:
    """What is wrong with a form is said so that it can be put right."""

    @pytest.mark.parametrize(
        ("content_type", "data", "cause"),
        [
            ("text/plain", b"x", "Expected multipart/form-data"),
            ("multipart/form-data", b"--B\r\n", "names no boundary"),
            ("multipart/form-data; boundary=C", body(), "does not begin with the boundary"),
            ("multipart/form-data; boundary=B", body((field("a"), b""))[:-6], "cut off"),
            ("multipart/form-data; boundary=B", b"", "is empty"),
            (
                "multipart/form-data; boundary=B",
                body(("X: " + "y" * 9000, b"")),
                "longer than 8 KB",
            ),
            ("multipart/form-data; boundary=B", body(*[(field("a"), b"")] * 40), "more than 32"),
        ],
    )
    async def test_the_cause_is_named(
        self, api: Api, content_type: str, data: bytes, cause: str
    ) -> None:
        response = await post(api, data, **{"Content-Type": content_type})
        problem = assert_problem(response, "INVALID_REQUEST")
        assert cause in problem["detail"]
        assert problem["errors"][0]["loc"] == ["body", "body"]

    async def test_a_compressed_form_is_refused_as_such(
        self, api: Api, portrait_png: bytes
    ) -> None:
        data = gzip.compress(body((field("image", "; filename=a"), portrait_png)))
        problem = assert_problem(await post(api, data, **{"Content-Encoding": "gzip"}),
                                 "INVALID_REQUEST")  # fmt: skip
        assert "Content-Encoding" in problem["detail"]

    async def test_a_refused_form_is_read_to_its_end_so_that_the_answer_is_seen(
        self, api: Api
    ) -> None:
        sent = 0

        async def long() -> AsyncIterator[bytes]:
            nonlocal sent
            yield b"--B\r\nno header\r\n\r\n"
            for _ in range(50):
                sent += 1
                yield bytes(10_000)

        response = await api.client.post(REMOVE, content=long(), headers=FORM)
        assert_problem(response, "INVALID_REQUEST")
        assert sent == 50
