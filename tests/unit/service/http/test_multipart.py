"""Parts of a multipart body, whatever pieces it arrives in and whoever wrote it."""

from __future__ import annotations

import gc
import re
import tracemalloc
from collections.abc import AsyncIterator

import pytest

from service.http import multipart
from service.http.multipart import MultipartFault, Part, boundary_of, read_parts

pytestmark = pytest.mark.anyio

PICTURE = b"\x89PNG\r\n--B-\r\n\r\n--\r\n--BB\r\n-"  # with what looks like a boundary in it
BODY = (
    b"--B\r\n"
    b'Content-Disposition: form-data; name="image"; filename="a.png"\r\n'
    b"Content-Type: image/png\r\n\r\n" + PICTURE + b"\r\n--B \t\r\n"
    b"content-disposition:form-data;name=smoothing\r\n\r\ntrue\r\n"
    b"--B--\r\n"
)
PARTS = [
    Part("image", "a.png", "image/png", PICTURE),
    Part("smoothing", None, None, b"true"),
]


async def read(body: bytes, size: int | None = None, boundary: bytes = b"B") -> list[Part]:
    """The parts of a body that arrives in pieces of one size."""

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(body), size or len(body)):
            yield body[at : at + (size or len(body))]

    return await read_parts(boundary, chunks() if body else _nothing())


async def _nothing() -> AsyncIterator[bytes]:
    for chunk in (b"", b""):
        yield chunk


def part(*headers: str, data: bytes = b"x") -> bytes:
    """A body of one part with these headers."""
    head = "".join(f"{header}\r\n" for header in headers).encode()
    return b"--B\r\n" + head + b"\r\n" + data + b"\r\n--B--\r\n"


@pytest.mark.parametrize("size", [*range(1, 40), 1000])
@pytest.mark.parametrize(
    "preamble",
    [
        b"",
        b"\r\n",
        b"\r\n\r\n",
        b"If you can read this, your reader knows no MIME.\r\n",
        b"MIME-Version: 1.0\nContent-Type: multipart/form-data; boundary=B\n\n",
        b"--Bother\r\n--\r\n -- --B\r\n--B-\r\n",
        b"\xff\x00" * 1000 + b"\r\n",
    ],
    ids=lambda preamble: f"{len(preamble)}-bytes",
)
async def test_what_stands_around_the_parts_is_ignored_in_pieces_of_any_size(
    preamble: bytes, size: int
) -> None:
    for epilogue in (b"", b"\r\nThe end.\r\n--B\r\n\r\n"):
        assert await read(preamble + BODY + epilogue, size) == PARTS


async def test_the_first_boundary_may_be_padded_and_the_last_line_unfinished() -> None:
    body = BODY.replace(b"--B\r\n", b"--B  \t \r\n", 1)
    assert await read(body[:-2]) == PARTS


@pytest.mark.parametrize("share", [1.0, 0.9], ids=["whole", "cut off"])
async def test_nothing_of_a_body_stays_once_it_was_read_or_refused(share: float) -> None:
    body = part("Content-Disposition: form-data; name=image", data=bytes(4_000_000))
    body = body[: int(len(body) * share)]
    gc.collect()
    gc.disable()  # what waits for the collector counts as kept
    tracemalloc.start()
    try:
        if share == 1:
            assert len((await read(body, 65536))[0].data) == 4_000_000
        else:
            with pytest.raises(MultipartFault):
                await read(body, 65536)
        assert tracemalloc.get_traced_memory()[0] < 500_000
    finally:
        tracemalloc.stop()
        gc.enable()


async def test_a_form_of_no_parts_is_one() -> None:
    assert await read(b"--B--\r\n") == []
    assert await read(b"preamble\r\n--B--") == []


@pytest.mark.parametrize(
    ("disposition", "name", "filename"),
    [
        ("form-data; name=image; filename=a.jpg; filename*=utf-8''%C3%9C.jpg", "image", "Ü.jpg"),
        ("form-data; name=image; filename*=UTF-8'de'%E5%9B%B3%20a.png", "image", "図 a.png"),
        ("form-data; name=image; filename*=iso-8859-1''%DC.jpg", "image", "Ü.jpg"),
        ("form-data; name=image; filename*=\"utf-8''x.jpg\"", "image", "x.jpg"),
        ("form-data; name=image; filename*0*=utf-8''x%20; filename*1=y.jpg", "image", "x "),
        ("form-data; name=image; FileName*=bogus''%zz%C3%28", "image", "%zzÃ("),
        ("form-data; name=image; filename*=", "image", ""),
        ("form-data; name=image; filename*=undefined''a", "image", "a"),
        ('form-data; name="im\\"age"; filename=""', 'im"age', ""),
        ('form-data; filename="a; b=c.png"; name="image"', "image", "a; b=c.png"),
        ('form-data; name="image"', "image", None),
        ("attachment; name=image", "image", None),
        ('form-data; name=""', "", None),
    ],
)
async def test_names_are_read_as_clients_write_them(
    disposition: str, name: str, filename: str | None
) -> None:
    (read_part,) = await read(part(f"Content-Disposition: {disposition}"))
    assert (read_part.name, read_part.filename) == (name, filename)


async def test_a_name_in_an_old_charset_is_a_name() -> None:
    body = part("Content-Disposition: form-data; name=image; filename=X").replace(b"X", b"\xdc.png")
    assert (await read(body))[0].filename == "Ü.png"


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"", "is empty"),
        (b"garbage", "does not begin with the boundary"),
        (BODY.replace(b"B", b"C"), "does not begin with the boundary"),
        (b"x" * 10_000 + b"\r\n" + BODY, "does not begin with the boundary"),
        (BODY.replace(b"\r\n", b"\n"), "must end in CRLF"),
        (BODY[:-6], "closing boundary is missing"),
        (BODY[:40], "closing boundary is missing"),
        (BODY.replace(b"--B--", b"--B"), "closing boundary is missing"),
        (part("Content-Disposition: form-data"), "has no name"),
        (part("Content-Type: image/png"), "has no name"),
        (part(), "has no name"),
        (part("no colon"), "header of a part is malformed"),
        (part(": nothing"), "header of a part is malformed"),
        (part("Ü: x"), "header of a part is malformed"),
        (part('Content-Disposition: form-data; name="image"', "X: " + "y" * 9000), "longer than"),
        (part("y" * 9000 + ": x"), "longer than"),
        (part(*(f"X-{i}: y" for i in range(20))), "more than 16 headers"),
        (BODY[:-7] + BODY[3:-7] * 40 + b"--B--", "more than 32 parts"),
        (part('Content-Disposition: form-data; name="a"', "Content-Transfer-Encoding: BASE64"),
         "not as base64"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 7, None])
async def test_a_broken_form_is_refused_with_its_cause(
    body: bytes, cause: str, size: int | None
) -> None:
    with pytest.raises(MultipartFault, match=cause):
        await read(body, size)


async def test_as_many_parts_and_headers_as_are_promised_are_taken() -> None:
    headers = [f"X-{i}: y" for i in range(multipart.MAX_PART_HEADERS - 1)]
    one = part(*headers, "Content-Disposition: form-data; name=a")[: -len(b"--B--\r\n")]
    assert len(await read(one * multipart.MAX_PARTS + b"--B--")) == multipart.MAX_PARTS


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=B", b"B"),
        ("Multipart/Form-Data;charset=undefined; BOUNDARY=B", b"B"),
        ('multipart/form-data; boundary="a b:c"; charset=x', b"a b:c"),
        ("multipart/form-data; boundary=" + "b" * 256, b"b" * 256),
    ],
)
def test_a_boundary_is_read_as_clients_announce_it(content_type: str, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    ("content_type", "cause"),
    [
        ("", "Expected multipart/form-data"),
        ("image/jpeg", "Expected multipart/form-data"),
        ("multipart/form-dataset; boundary=B", "Expected multipart/form-data"),
        ("multipart/form-data", "names no boundary"),
        ("multipart/form-data; boundary=", "names no boundary"),
        ('multipart/form-data; boundary=""', "names no boundary"),
        ("multipart/form-data; boundary=" + "b" * 257, "longer than 256"),
    ],
)
def test_a_type_that_announces_no_form_is_refused_with_its_cause(
    content_type: str, cause: str
) -> None:
    with pytest.raises(MultipartFault, match=re.escape(cause)):
        boundary_of(content_type)
