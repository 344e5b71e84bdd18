"""Little memory, few files, stalled uploads: somebody hears 503, everybody is answered."""

from __future__ import annotations

import socket
import struct
import time
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.support.pictures import make_image
from tests.support.server import NO_LIMITS, PREFIX, Serve, multipart

MB = 1024**2


def _sixteen_bits(height: int, width: int) -> bytes:
    """A PNG of 16 bits whose rows are all the same: small, and 6 bytes a pixel to unpack."""
    first = b"\0" + b"".join(struct.pack(">3H", *[65535 * x // width] * 3) for x in range(width))
    rows = first + (b"\2" + bytes(6 * width)) * (height - 1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(rows, 1))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


@pytest.mark.full
@pytest.mark.parametrize("kilobytes", [1_250_000, 1_600_000])
def test_where_memory_is_short_the_answer_is_503(serve: Serve, kilobytes: int) -> None:
    large = _sixteen_bits(4000, 4000)
    with (
        serve(
            limits=f"-v {kilobytes}", BIREFNET_PROCESSING_TIMEOUT_SEC="120", **NO_LIMITS
        ) as server,
        ThreadPoolExecutor(4) as threads,
    ):
        answers = list(threads.map(server.remove, [large] * 4))
        told = Counter((a.status_code, a.headers.get("content-type")) for a in answers)
        assert set(told) <= {(200, "image/png"), (503, "application/json")}
        for answer in answers:
            if answer.status_code == 503:
                assert answer.json()["error_code"] in ("MEMORY_EXHAUSTED", "SERVICE_BUSY")
        assert server.remove(make_image("PNG")).status_code == 200


@pytest.mark.full
def test_silent_connections_do_not_keep_anybody_out(serve: Serve) -> None:
    with serve(limits="-n 256", **NO_LIMITS) as server, ExitStack() as held:
        for _ in range(300):
            address = ("127.0.0.1", server.port)
            held.enter_context(socket.create_connection(address, timeout=5))
        for _ in range(5):
            assert server.status_of(f"{PREFIX}/health") == 200
            assert server.remove(make_image("PNG")).status_code == 200
        assert len(server.log()) < 300_000


@pytest.mark.full
def test_stalled_uploads_make_room_for_one_that_arrives(serve: Serve) -> None:
    stalled = multipart(bytes(9 * MB))
    with serve(BIREFNET_MAX_UPLOAD_MEMORY_MB="40", **NO_LIMITS) as server, ExitStack() as held:
        before = server.public.memory_info().rss
        for _ in range(30):
            held.enter_context(server.begin_upload(stalled, share=0.9))
        time.sleep(1)
        grown = server.public.memory_info().rss - before
        assert grown < 80 * MB, f"{grown / MB:.0f} MB for a budget of 40"
        time.sleep(5)  # before that nobody can say that they are slow
        assert server.remove(make_image("PNG")).status_code == 200
