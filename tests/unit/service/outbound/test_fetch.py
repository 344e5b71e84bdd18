"""What is fetched from an address that a caller gives, and what is never connected to."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import random
import re
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from models.errors import BackgroundRemovalError
from service.errors import (
    FileTooLarge,
    ServiceBusy,
)
from service.outbound.destinations import read_destination
from service.outbound.errors import ImageUrlFailed, ImageUrlUnreachable
from service.outbound.fetch import FetchConfig, Fetched, Fetcher
from service.outbound.gate import Gate, UrlFault
from tests.support.certificates import make_certificate
from tests.support.picture_server import Names, PictureServer, open_picture_server, redirect, whole

pytestmark = pytest.mark.anyio

PICTURE = b"\x89PNG as far as anybody here looks"
SAME_SENTENCE = "Nothing that this service may fetch answers at the address"


@pytest.fixture
async def server() -> AsyncIterator[PictureServer]:
    """A server with one picture."""
    async with open_picture_server() as opened:
        opened.answers["/picture.png"] = whole(PICTURE, "Content-Type: image/png")
        yield opened


def fetcher(
    server: PictureServer, own: str = "127.0.0.1", names: Names | None = None, **bounds: float
) -> Fetcher:
    """A fetcher that may reach a server at an address of this machine; quick to give up."""
    times = {"total_s": 2.0, "unreachable_s": 0.05, **bounds}
    allowed = (read_destination(f"{own}:{server.port}"),)
    return Fetcher(FetchConfig(own=allowed, **times), names)  # type: ignore[arg-type]


async def fetch(fetching: Fetcher, url: str) -> Fetched:
    """One file, nobody counting."""
    assert fetching.fault_of(url) is None
    return await fetching.fetch(url, lambda n_bytes: None)


def elsewhere(server: PictureServer, names: Names | None = None) -> Fetcher:
    """A fetcher that takes the server's port, and may reach it nowhere on this machine."""
    return fetcher(server, "10.255.255.254", names)


async def test_a_picture_is_fetched_with_its_declared_type(server: PictureServer) -> None:
    counted: list[int] = []
    fetched = await fetcher(server).fetch(server.url(), counted.append)
    assert fetched == Fetched(PICTURE, "image/png")
    assert sum(counted) == len(PICTURE)


async def test_a_request_tells_nothing_but_the_address(server: PictureServer) -> None:
    await fetch(fetcher(server), server.url())
    (head,) = server.heads
    names = {line.partition(":")[0].lower() for line in head.splitlines()[1:] if line}
    assert names == {"host", "user-agent", "accept", "accept-encoding", "connection"}
    assert "Accept-Encoding: identity" in head


async def test_neither_cookies_nor_a_proxy_nor_netrc_are_used(
    server: PictureServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    moved = whole(b"", "Location: /picture.png", "Set-Cookie: a=b", status="301 Moved")
    server.answers["/moved"] = moved
    assert (await fetch(fetcher(server), server.url("/moved"))).data == PICTURE
    assert not re.search("cookie|authorization", "".join(server.heads), re.IGNORECASE)


WAYS_TO_LOOPBACK = (
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "2130706433",
    "017700000001",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "0177.0x0.1",
    "0",
    "0.0.0.0",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "127.0.0.1.",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::1%25lo]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::1]",
    "127。0。0。1",
    "127\uff0e0\uff0e0\uff0e1",
    "\uff11\uff12\uff17.0.0.1",
    "①②⑦.0.0.1",
    "ⓛocalhost",
    "loc%61lhost",
    "127.0.0.1%00.example.com",
    "127.0.0.1%2f.example.com",
    "[fe80::1%25lo]",
    "169.254.169.254",
    "224.0.0.1",
)


@pytest.mark.parametrize("host", WAYS_TO_LOOPBACK)
async def test_no_way_of_writing_an_address_reaches_this_machine(
    server: PictureServer, host: str
) -> None:
    url = server.url(host=host)
    fetching = elsewhere(server)
    if fetching.fault_of(url) is None:
        with pytest.raises(ImageUrlUnreachable, match=SAME_SENTENCE):
            await fetch(fetching, url)
    assert server.connections == 0
    server.answers["/start"] = whole(b"", f"Location: {url}", status="302 Found", charset="utf-8")
    with pytest.raises(ImageUrlUnreachable, match=SAME_SENTENCE):
        await fetch(fetcher(server, "127.0.0.2"), server.url("/start", "127.0.0.2"))
    assert server.connections == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "0x7f.1", "localhost"])
async def test_such_ways_lead_there_where_an_operator_allows_it(
    server: PictureServer, host: str
) -> None:
    assert (await fetch(fetcher(server), server.url(host=host))).data == PICTURE
    assert server.connections == 1


FORBIDDEN = {
    "file:///etc/passwd": "http",
    "ftp://127.0.0.1/a": "http",
    "gopher://127.0.0.1:80/_GET": "http",
    "dict://127.0.0.1:80/": "http",
    "data:image/png;base64,AAAA": "http",
    "javascript:alert(1)": "http",
    "//127.0.0.1/a": "http",
    "/etc/passwd": "http",
    "": "http",
    "http://": "http",
    "http:///a": "http",
    "http://user@example.com/": "user",
    "http://user:password@example.com/": "user",
    "http://example.com@127.0.0.1/": "user",
    "http://:@127.0.0.1/": "user",
    "http://example.com:22/": "port",
    "http://example.com:0/": "port",
    "http://example.com:8080/": "port",
    "https://example.com:6379/": "port",
    "http://example.com:99999/": "malformed",
    "http://example.com:x/": "malformed",
    "http://[::1/": "malformed",
    "http://[1.2.3.4]/": "malformed",
    "http://[v1.a]@": "malformed",
    "http://example.com\\@127.0.0.1/": "backslash",
    "http://example.com/\r\nHost: other": "control",
    "http://127.0.0.1:80\r\n/": "control",
    "http://exa mple.com/": "space",
    "http://example.com/\x00": "control",
    "http://example.com/" + "a" * 5000: "longer",
}


@pytest.mark.parametrize("url", FORBIDDEN, ids=lambda url: url[:40])
async def test_what_an_address_must_not_ask_for_is_said_before_anything_is_looked_up(
    url: str,
) -> None:
    names = Names({})
    fault = Fetcher(FetchConfig(), names).fault_of(url)
    assert fault is not None
    assert FORBIDDEN[url] in fault
    assert names.asked == []


PIECES = (
    *("http", "https", ":", "//", "/", "@", "[", "]", "::1", "127.0.0.1", "%", "%00", "%2f", "%zz"),
    *("%25lo", "#", "?", "&", "=", ".", "..", "-", "_", "+", "*", "a", "80", "443", "99999999999"),
    *("xn--", "xn--a", "..a", "[v1.a]", "0x7f", "\\", "\u00df", "\u3002", "\u202e", "\ud800"),
    *("\u0130", "\u200d", "\uff41"),
)


async def test_no_nonsense_is_more_than_a_fault_of_the_caller(server: PictureServer) -> None:
    chance, asked = random.Random(1), 0
    gate = Gate((read_destination(f"10.255.255.254:{server.port}"),), Names({}))
    async with gate.open_session() as session:
        for _ in range(10_000):
            text = "".join(chance.choices(PIECES, k=chance.randint(1, 8)))
            for written in (text, f"http://{text}", f"http://{text}:{server.port}/"):
                with contextlib.suppress(UrlFault):
                    url = gate.read_url(written)
                    if (asked := asked + 1) <= 500:
                        with pytest.raises((aiohttp.ClientError, OSError, ValueError)):
                            await session.get(url)
    assert asked > 500
    assert server.connections == 0


REDIRECTS = (
    "http://127.0.0.2:{port}/picture.png",
    "http://[::1]:{port}/picture.png",
    "http://[::ffff:127.0.0.1]:{port}/picture.png",
    "//127.0.0.2:{port}/picture.png",
    "http://0:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:7f00:1::]:{port}/",
    "http://10.0.0.1/",
    "http://224.0.0.1/",
    "http://nobody@127.0.0.1:{port}/picture.png",
    "http://127.0.0.1:22/",
    "http://rebound.test:{port}/picture.png",
    "file:///etc/passwd",
    "ftp://127.0.0.1/",
    "gopher://127.0.0.1:{port}/",
    "http://[",
)


@pytest.mark.parametrize("target", REDIRECTS)
async def test_a_redirect_is_judged_as_the_first_address_is(
    server: PictureServer, target: str
) -> None:
    server.answers["/start"] = redirect(target.format(port=server.port))
    names = Names({"rebound.test": [["127.0.0.3"]]})
    fetching = fetcher(server, names=names)
    with pytest.raises(ImageUrlUnreachable, match=SAME_SENTENCE):
        await fetch(fetching, server.url("/start"))
    assert server.connections == 1


@pytest.mark.parametrize("address", ["127.0.0.2", "::1", "10.0.0.1", "64:ff9b::7f00:2", "fe80::1"])
async def test_a_name_that_changes_its_address_is_judged_at_each_connection(
    server: PictureServer, address: str
) -> None:
    server.answers["/start"] = redirect("/picture.png")
    names = Names({"rebound.test": [["127.0.0.1"], [address]]})
    with pytest.raises(ImageUrlUnreachable, match=SAME_SENTENCE):
        await fetch(fetcher(server, names=names), server.url("/start", "rebound.test"))
    assert names.asked == ["rebound.test"] * 2
    assert server.connections == 1


async def test_of_a_name_with_many_addresses_only_the_allowed_are_connected_to(
    server: PictureServer,
) -> None:
    names = Names({"many.test": [["127.0.0.2", "::1", "::ffff:127.0.0.1", "127.0.0.1"]]})
    assert (await fetch(fetcher(server, names=names), server.url(host="many.test"))).data == PICTURE
    assert server.connections == 1
    with pytest.raises(ImageUrlUnreachable):
        await fetch(elsewhere(server, names), server.url(host="many.test"))
    assert server.connections == 1


async def test_closed_refused_unknown_and_silent_are_one_error_at_one_of_two_times(
    server: PictureServer,
) -> None:
    async def hang_up(writer: asyncio.StreamWriter) -> None:
        writer.close()

    server.answers.update({"/silent": b"", "/hang-up": hang_up, "/ssh": b"SSH-2.0-x\r\n\r\n"})
    names = Names({"refused.test": [["127.0.0.2"]], "closed.test": [["127.0.0.1"]]})
    own = (read_destination(f"127.0.0.1:{server.port}"), read_destination("127.0.0.1:9"))
    fetching = Fetcher(FetchConfig(own, total_s=0.4, unreachable_s=0.1), names)
    told = {}
    for name, url in {
        "refused": server.url(host="refused.test"),
        "unknown": server.url(host="unknown.test"),
        "closed": "http://closed.test:9/",
        "no HTTP": server.url("/ssh"),
        "hung up": server.url("/hang-up"),
        "TLS": f"https://127.0.0.1:{server.port}/",
        "silent": server.url("/silent"),
    }.items():
        started = time.monotonic()
        with pytest.raises(ImageUrlUnreachable) as failure:
            await fetch(fetching, url)
        told[name] = (failure.value.detail, failure.value.fields, time.monotonic() - started)
    assert {sentence for sentence, _, _ in told.values()} == {SAME_SENTENCE}
    assert all(not fields for _, fields, _ in told.values())
    for name, (_, _, seconds) in told.items():
        expected = 0.4 if name in ("silent", "TLS") else 0.1
        assert expected <= seconds < expected + 0.3, (name, seconds)


async def chunked_without_end(writer: asyncio.StreamWriter) -> None:
    """Chunks for as long as they are read."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + bytes(65536) + b"\r\n")
        await writer.drain()


async def drip(writer: asyncio.StreamWriter) -> None:
    """A byte now and then."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def headers_without_end(writer: asyncio.StreamWriter) -> None:
    """Headers for as long as they are read."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: " + b"x" * 1000 + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0)


HEAD = b"HTTP/1.1 200 OK\r\n"
BAD_ANSWERS = {
    "404": (whole(b"", status="404 Not Found"), ImageUrlFailed, "status 404"),
    "500": (whole(b"", status="500 Oops"), ImageUrlFailed, "status 500"),
    "206": (whole(PICTURE, status="206 Part"), ImageUrlFailed, "status 206"),
    "304": (b"HTTP/1.1 304 Not Modified\r\n\r\n", ImageUrlFailed, "status 304"),
    "huge": (HEAD + b"Content-Length: 99999999999\r\n\r\n", FileTooLarge, "1MB"),
    "absurd": (
        HEAD + b"Content-Length: " + b"9" * 400 + b"\r\n\r\n",
        ImageUrlUnreachable,
        SAME_SENTENCE,
    ),
    "cut off": (HEAD + b"Content-Length: 500\r\n\r\nabc", ImageUrlFailed, "did not arrive"),
    "endless": (chunked_without_end, FileTooLarge, "1MB"),
    "no length": (HEAD + b"\r\n" + bytes(2 * 1024**2), FileTooLarge, "1MB"),
    "gzip": (
        whole(gzip.compress(bytes(9 * 1024**2)), "Content-Encoding: gzip"),
        ImageUrlFailed,
        "compressed",
    ),
    "slow": (drip, ImageUrlFailed, "0.3 seconds"),
    "headers": (headers_without_end, ImageUrlUnreachable, SAME_SENTENCE),
    "bad chunks": (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        (ImageUrlFailed, ImageUrlUnreachable),
        ".",
    ),
    "loop": (redirect("/loop"), ImageUrlFailed, "more than 3 times"),
    "no target": (whole(b"", status="302 Found"), ImageUrlUnreachable, SAME_SENTENCE),
    "early": (b"HTTP/1.1 103 Early\r\n\r\n" * 3, ImageUrlUnreachable, SAME_SENTENCE),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
async def test_a_bad_answer_is_an_error_of_its_own_in_bounded_time(
    server: PictureServer, name: str
) -> None:
    answer, error, told = BAD_ANSWERS[name]
    server.answers["/loop" if name == "loop" else "/bad"] = answer  # type: ignore[assignment]
    endless = name in ("cut off", "early", "slow")
    fetching = fetcher(server, max_bytes=1024**2, total_s=0.3 if endless else 5.0)
    held: list[int] = []
    started = time.monotonic()
    with pytest.raises(error, match=told):  # type: ignore[call-overload]
        await fetching.fetch(server.url("/loop" if name == "loop" else "/bad"), held.append)
    assert time.monotonic() - started < 3
    assert sum(held) <= 1024**2 + 64 * 1024
    assert server.connections == (4 if name == "loop" else 1)


@pytest.mark.services  # OpenSSL
async def test_a_certificate_that_nobody_signed_is_not_believed(
    tmp_path: Path,
) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    make_certificate(certificate, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with open_picture_server(context) as secure:
        secure.answers["/picture.png"] = whole(PICTURE)
        url = secure.url().replace("http:", "https:")
        with pytest.raises(ImageUrlUnreachable, match=SAME_SENTENCE):
            await fetch(fetcher(secure), url)
        assert secure.heads == []


async def test_three_redirects_are_followed(server: PictureServer) -> None:
    server.answers.update(
        {"/1": redirect("/2"), "/2": redirect(server.url("/3")), "/3": redirect("picture.png#x")}
    )
    assert (await fetch(fetcher(server), server.url("/1"))).data == PICTURE


async def test_whoever_is_cancelled_closes_the_connection(server: PictureServer) -> None:
    server.answers["/slow"] = drip
    task = asyncio.create_task(fetch(fetcher(server, total_s=30), server.url("/slow")))
    while not server.heads:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(2):
        while not server.closed:
            await asyncio.sleep(0.01)


async def test_only_so_many_are_fetched_at_once(server: PictureServer) -> None:
    server.answers["/slow"] = drip
    fetching = fetcher(server, at_once=2, total_s=1)
    slow = [asyncio.create_task(fetch(fetching, server.url("/slow"))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(ServiceBusy):
        await fetch(fetching, server.url())
    for ended in await asyncio.gather(*slow, return_exceptions=True):
        assert isinstance(ended, ImageUrlFailed)
    assert (await fetch(fetching, server.url())).data == PICTURE


async def test_whoever_counts_may_refuse_more(server: PictureServer) -> None:
    def refuse(n_bytes: int) -> None:
        raise ServiceBusy

    with pytest.raises(ServiceBusy):
        await fetcher(server).fetch(server.url(), refuse)


async def told(fetching: Fetcher, url: str) -> str:
    """What became of an address, for whoever reads a log."""
    try:
        return str(len((await fetch(fetching, url)).data))
    except BackgroundRemovalError as error:
        return repr(error)


async def test_no_address_is_in_any_log(
    server: PictureServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers["/secret-path"] = whole(PICTURE, "Set-Cookie: \x01bad=;;=;")
    server.answers["/secret-bad"] = HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"
    names = Names({"secret-name.test": [["127.0.0.1"]], "secret-other.test": [["10.0.0.1"]]})
    fetching = fetcher(server, names=names)
    with caplog.at_level(logging.DEBUG):
        for path in ("/secret-path?token=secret", "/secret-bad"):
            for host in ("secret-name.test", "secret-other.test", "secret-none.test"):
                assert "secret" not in await told(fetching, server.url(path, host))
    assert "secret" not in caplog.text
