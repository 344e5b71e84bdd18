"""EXIF: two facts, at a bounded price."""

from __future__ import annotations

import struct
import time

import pytest

from service.imaging.exif import Exif, read_exif


def make_exif(order: str, *entries: tuple[int, int, int, int], at: int = 8) -> bytes:
    """One directory; an entry is tag, type, count and number."""
    start = b"II*\0" if order == "<" else b"MM\0*"
    body = struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        packed = struct.pack(order + {1: "Bxxx", 3: "Hxx", 4: "I"}.get(kind, "I"), value)
        body += struct.pack(order + "HHI", tag, kind, count) + packed
    return start + struct.pack(order + "I", at) + bytes(at - 8) + body


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [1, 3, 4])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_read_in_every_type(order: str, kind: int, orientation: int) -> None:
    data = make_exif(order, (0x010F, 3, 1, 7), (0x0112, kind, 1, orientation))
    assert read_exif(data).orientation == orientation
    assert read_exif(b"Exif\0\0" + data).orientation == orientation


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_there_is_not_means_upright(value: int) -> None:
    assert read_exif(make_exif("<", (0x0112, 3, 1, value))).orientation == 1


@pytest.mark.parametrize(
    "data",
    [
        None,
        b"",
        b"Exif\0\0",
        b"II*\0",
        b"XX*\0\x08\0\0\0\1\0",
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\0\0\0\0" + bytes(40),
        make_exif("<", (0x0112, 3, 1, 6))[:-6],
        make_exif("<", (0x0112, 3, 5, 6)),
        make_exif("<", (0x0112, 12, 1, 6)),
        bytes(10_000),
    ],
)
def test_damaged_exif_says_nothing(data: bytes | None) -> None:
    assert read_exif(data) == Exif()


def test_a_directory_may_be_anywhere() -> None:
    assert read_exif(make_exif("<", (0x0112, 3, 1, 3), at=60_000)).orientation == 3


def test_loops_and_huge_directories_take_no_time() -> None:
    loop = make_exif("<", *[(0x8769, 4, 1, 8), (0xA005, 4, 1, 8)] * 32_000)
    started = time.process_time()
    assert read_exif(loop) == Exif()
    assert time.process_time() - started < 0.2
