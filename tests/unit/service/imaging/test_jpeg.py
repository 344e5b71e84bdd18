"""A JPEG is whole or refused, whatever its end looks like, and its scans are counted."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from service.errors import CorruptImage, ImageBomb, UnsupportedFormat
from service.imaging.decode import SourceImage, decode
from service.imaging.guard import ImageLimits, inspect
from tests.support.pictures import (
    JPEG_TOLERANCE,
    make_array,
    make_image,
    make_solid,
    png_chunk,
    save,
    with_orientation,
)

KINDS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 3},
    "many tables": {"optimize": True, "subsampling": 0},
    "grey": {},
    "cmyk": {},
    "progressive cmyk": {"progressive": True},
    "profile": {"icc_profile": b"x" * 200_000},
}


def make_kind(name: str) -> bytes:
    mode = "CMYK" if "cmyk" in name else "L" if name == "grey" else "RGB"
    image = Image.fromarray(make_array(240, 320)).convert(mode)
    return save(image, "JPEG", quality=92, **KINDS[name])


def read(data: bytes) -> SourceImage:
    return decode(data, inspect(data, ImageLimits()))


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    "trailer",
    [
        b"",
        bytes(700),
        b"\xff" * 40,
        b"SEFH trailer of a phone \0\1\2\3",
        b"\xff\xd3 odd \xff\xd5" + bytes(99),
        b"\xff\xd8\xff\xe0 a second picture",
        b"\xff\xda\0\1",
    ],
    ids=["nothing", "zeros", "fill", "phone", "restarts", "second", "nonsense"],
)
def test_a_jpeg_without_its_end_marker_is_the_whole_picture(name: str, trailer: bytes) -> None:
    whole = make_kind(name)
    expected = read(whole).pixels
    assert np.array_equal(read(whole[:-2] + trailer).pixels, expected)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("kept", [0.2, 0.55, 0.93])
@pytest.mark.parametrize("end", [b"", b"\xff\xd9", b"\xff\xd8\xff\xd9"])
def test_a_jpeg_that_lost_data_is_corrupt_however_it_was_closed(
    name: str, kept: float, end: bytes
) -> None:
    whole = make_kind(name)
    first = whole.index(b"\xff\xda", 200_000 if name == "profile" else 0)
    with pytest.raises(CorruptImage):
        read(whole[: first + int((len(whole) - first) * kept)] + end)


@pytest.mark.parametrize("name", ["progressive", "progressive cmyk"])
def test_a_jpeg_cut_between_two_scans_is_corrupt(name: str) -> None:
    whole = make_kind(name)
    scans = [i for i in range(len(whole)) if whole.startswith(b"\xff\xda", i)]
    for cut in scans[1:-1]:
        with pytest.raises(CorruptImage):
            read(whole[:cut] + b"\xff\xd9")


def test_a_jpeg_cut_between_two_intervals_is_corrupt() -> None:
    whole = make_kind("restarts")
    middle = whole.index(b"\xff\xd5", whole.index(b"\xff\xda"))
    for end in (b"\xff\xd9", bytes(20) + b"\xff\xd9", b"\xff\xd6" * 5 + b"\xff\xd9"):
        with pytest.raises(CorruptImage):
            read(whole[:middle] + end)


def test_what_a_decoder_frowns_at_and_nobody_sees_is_no_reason_to_refuse() -> None:
    plain = make_image("JPEG")
    expected = read(plain).pixels
    body = plain[2:]
    start = body.index(b"\xff\xdb")  # behind the JFIF segment
    variants = {
        "JFIF of the year 3000": b"\xff\xd8"
        + segment(0xE0, b"JFIF\0\x09\x09\0\0\1\0\1\0\0")
        + body[start:],
        "broken EXIF": b"\xff\xd8" + segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff") + body,
        "broken XMP": b"\xff\xd8" + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x") + body,
        "a profile in pieces 2 of 3": b"\xff\xd8" + segment(0xE2, b"ICC_PROFILE\0\2\3abc") + body,
        "unknown Adobe transform": b"\xff\xd8" + segment(0xEE, b"Adobe\0\x64\0\0\0\0\x07") + body,
        "a comment of two bytes": b"\xff\xd8" + segment(0xFE, b"") + body,
        "lone markers": b"\xff\xd8\xff\x01\xff\xd0" + body,
    }
    for name, data in variants.items():
        assert np.array_equal(read(data).pixels, expected), name


def test_a_profile_in_several_numbered_pieces_is_put_together() -> None:
    profile = bytearray(bytes(range(256)) * 600)
    profile[:4] = struct.pack(">I", len(profile))
    data = make_image("JPEG", icc_profile=bytes(profile))
    assert inspect(data, ImageLimits()).file.colour_tags.icc == bytes(profile)


def test_sampling_no_fast_decoder_knows_is_read() -> None:
    grey = np.full((64, 96, 3), 90, np.uint8)
    data = bytearray(save(Image.fromarray(grey), "JPEG", quality=95, subsampling=0))
    at = data.index(b"\xff\xc0") + 11
    data[at : at + 7 : 3] = b"\x11\x21\x11"  # blue-yellow finer than brightness
    try:
        pixels = read(bytes(data)).pixels
    except CorruptImage:
        return  # the entropy-coded data does not fit the other layout: no picture, no half of one
    assert pixels.shape == (64, 96, 3)


@pytest.mark.parametrize(
    ("marker", "word"),
    [(0xC3, "lossless"), (0xC5, "hierarchical"), (0xC9, "arithmetic"), (0xCA, "arithmetic")],
)
def test_a_rare_kind_of_jpeg_is_called_by_its_name(marker: int, word: str) -> None:
    data = make_image("JPEG").replace(b"\xff\xc0", bytes((0xFF, marker)), 1)
    with pytest.raises(UnsupportedFormat, match=word):
        inspect(data, ImageLimits())


def test_a_jpeg_of_twelve_bits_is_called_so() -> None:
    data = bytearray(make_image("JPEG").replace(b"\xff\xc0", b"\xff\xc1", 1))
    data[data.index(b"\xff\xc1") + 4] = 12
    with pytest.raises(UnsupportedFormat, match="12-bit"):
        inspect(bytes(data), ImageLimits())


def with_repeated_scans(data: bytes, times: int) -> bytes:
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * times + b"\xff\xd9"


def test_thousands_of_scans_are_a_bomb_however_small_the_file() -> None:
    data = with_repeated_scans(make_solid("JPEG", 4000, 3000, "gray", progressive=True), 3000)
    with pytest.raises(ImageBomb) as refused:
        inspect(data, ImageLimits())
    assert "scans" in refused.value.detail
    assert refused.value.fields["max_scans"] == 2_000_000_000 // 12_000_000


def test_no_marker_hides_scans_from_the_count() -> None:
    flat = make_solid("JPEG", 4000, 3000, "gray", progressive=True)
    last = flat.rindex(b"\xff\xda")
    hidden = flat[:-2] + (b"\xff\xd3" + flat[last:-2]) * 3000 + b"\xff\xd9"
    pixels = read(hidden).pixels  # what stands behind a stray marker is not decoded at all
    assert np.array_equal(pixels, read(flat).pixels)


def test_an_ordinary_progressive_jpeg_of_the_largest_size_is_accepted() -> None:
    header = inspect(make_solid("JPEG", 7680, 4320, "gray", progressive=True), ImageLimits())
    assert 8 <= header.file.scans <= 12


def test_the_decoder_meets_only_the_size_the_guard_has_judged() -> None:
    small, large = make_image("JPEG", 96, 128), make_image("JPEG", 480, 640)
    at = large.index(b"\xff\xc0")
    frame = large[at : at + 19]
    behind = small[:-2] + frame + large[large.index(b"\xff\xda") :]
    assert read(behind).pixels.shape == (96, 128, 3)
    before = small.replace(b"\xff\xda", frame + b"\xff\xda", 1)
    with pytest.raises(CorruptImage):
        inspect(before, ImageLimits())


def test_a_grey_jpeg_stays_grey() -> None:
    pixels = read(make_kind("grey")).pixels
    assert np.array_equal(pixels[..., 0], pixels[..., 1])


def test_orientation_survives_megabytes_of_other_notes() -> None:
    plain = make_image("JPEG", exif=with_orientation(6))
    notes = segment(0xED, bytes(65_000)) * 60
    header = inspect(plain[:2] + notes + plain[2:], ImageLimits())
    assert (header.height, header.width, header.orientation) == (128, 96, 6)


def test_the_notes_of_another_format_are_nothing_to_a_jpeg() -> None:
    data = make_image("JPEG") + png_chunk(b"eXIf", b"II*\0")
    assert int(np.abs(read(data).pixels.astype(int) - make_array()).max()) <= JPEG_TOLERANCE
