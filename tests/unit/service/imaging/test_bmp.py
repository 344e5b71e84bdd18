"""BMP as Windows, OS/2 and other programs write it."""

from __future__ import annotations

import struct
import time

import numpy as np
import pytest

from models.arrays import U8Array
from service.errors import CorruptImage, UnsupportedFormat
from service.imaging.decode import SourceImage, decode
from service.imaging.guard import ImageLimits, inspect
from tests.support.pictures import make_array

HEIGHT, WIDTH = 66, 77
LIMITS = ImageLimits(max_ratio=1e9)


def read(data: bytes) -> SourceImage:
    return decode(data, inspect(data, LIMITS))


def make_bmp(header: bytes, body: bytes, between: bytes = b"", gap: int = 0) -> bytes:
    at = 14 + len(header) + len(between) + gap
    return (
        b"BM"
        + struct.pack("<IHHI", at + len(body), 0, 0, at)
        + header
        + between
        + bytes(gap)
        + body
    )


def make_header(
    size: int, bits: int, compression: int = 0, height: int = HEIGHT, masks: tuple[int, ...] = ()
) -> bytes:
    fields = struct.pack("<IiiHHIIiiII", size, WIDTH, height, 1, bits, compression, 0, 0, 0, 0, 0)
    return (fields[:size] + struct.pack(f"<{len(masks)}I", *masks)).ljust(size, b"\0")


def pad(rows: U8Array) -> bytes:
    """Rows of bytes, each padded to four."""
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4))).tobytes()


def make_indices(bits: int) -> U8Array:
    dice = np.random.default_rng(bits)
    return dice.integers(0, 1 << bits, (HEIGHT, WIDTH), dtype=np.uint8)


def pack(indices: U8Array, bits: int) -> U8Array:
    spread = np.unpackbits(indices[..., None], axis=2)[..., 8 - bits :].reshape(len(indices), -1)
    return np.packbits(spread, axis=1)


def make_palette(n: int, entry: int = 4) -> tuple[U8Array, bytes]:
    colours = np.random.default_rng(9).integers(0, 256, (n, 3), dtype=np.uint8)
    stored = np.pad(colours[:, ::-1], ((0, 0), (0, entry - 3)))
    return colours, stored.tobytes()


PICTURE = make_array(HEIGHT, WIDTH)
BGR = pad(PICTURE[::-1, :, ::-1].reshape(HEIGHT, -1))


@pytest.mark.parametrize("size", [16, 24, 40, 42, 52, 56, 64, 108, 124])
@pytest.mark.parametrize("gap", [0, 10])
def test_24_bits_are_read_behind_every_header(size: int, gap: int) -> None:
    assert np.array_equal(read(make_bmp(make_header(size, 24), BGR, gap=gap)).pixels, PICTURE)


def test_the_header_of_os2_version_1_is_read() -> None:
    header = struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, 24)
    assert np.array_equal(read(make_bmp(header, BGR)).pixels, PICTURE)
    colours, palette = make_palette(256, 3)
    indices = make_indices(8)
    header = struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, 8)
    data = make_bmp(header, pad(indices[::-1]), palette)
    assert np.array_equal(read(data).pixels, colours[indices])


def test_rows_from_the_top_are_read() -> None:
    body = pad(PICTURE[:, :, ::-1].reshape(HEIGHT, -1))
    assert np.array_equal(read(make_bmp(make_header(40, 24, height=-HEIGHT), body)).pixels, PICTURE)


def test_the_last_rows_padding_may_be_missing() -> None:
    data = make_bmp(make_header(40, 24), BGR)
    assert np.array_equal(read(data[:-1]).pixels, PICTURE)
    with pytest.raises(CorruptImage):
        read(data[:-3])


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("missing", [0, 1])
def test_a_palette_of_any_depth_is_read(bits: int, missing: int) -> None:
    colours, palette = make_palette((1 << bits) - missing)
    indices = make_indices(bits)
    data = make_bmp(make_header(40, bits), pad(pack(indices[::-1], bits)), palette)
    expected = np.concatenate([colours, np.zeros((1, 3), np.uint8)])[indices]
    assert np.array_equal(read(data).pixels, expected)  # beyond the palette: black


MASKS = {
    "555": (16, (0x7C00, 0x3E0, 0x1F)),
    "565": (16, (0xF800, 0x7E0, 0x1F)),
    "565 as BGR": (16, (0x1F, 0x7E0, 0xF800)),
    "332": (16, (0xE0, 0x1C, 0x3)),
    "654": (16, (0x7E00, 0x1F0, 0xF)),
    "RGBX": (32, (0xFF, 0xFF00, 0xFF0000)),
    "XBGR": (32, (0xFF000000, 0xFF0000, 0xFF00)),
    "10-10-10": (32, (0x3FF00000, 0xFFC00, 0x3FF)),
    "11-11-10": (32, (0xFFE00000, 0x1FFC00, 0x3FF)),
    "1 bit of red": (32, (0x80000000, 0xFF00, 0xFF)),
}


def pack_fields(channels: U8Array, masks: tuple[int, ...], bits: int) -> bytes:
    """Pixels of bit fields, bottom up; the first `len(masks)` channels."""
    packed = np.zeros(channels.shape[:2], np.uint64)
    for i, mask in enumerate(masks):
        shift = (mask & -mask).bit_length() - 1
        most = mask >> shift
        levels = np.rint(channels[..., i] / 255 * most).astype(np.uint64)
        packed |= levels << np.uint64(shift)
    kind = "<u2" if bits == 16 else "<u4"
    rows = packed[::-1].astype(kind).view(np.uint8).reshape(len(channels), -1)
    return pad(rows)


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("size", [40, 52, 56, 108, 124])
def test_bit_fields_of_any_mask_are_read(name: str, size: int) -> None:
    bits, masks = MASKS[name]
    between = struct.pack("<3I", *masks) if size == 40 else b""
    header = make_header(size, bits, 3, masks=() if size == 40 else masks)
    source = read(make_bmp(header, pack_fields(PICTURE, masks, bits), between))
    assert source.alpha is None
    for i, mask in enumerate(masks):
        step = 255 / (mask >> ((mask & -mask).bit_length() - 1))
        error = np.abs(source.pixels[..., i].astype(float) - PICTURE[..., i])
        assert error.max() <= step / 2 + 1


def test_plain_16_bits_are_555_and_the_fourth_byte_of_plain_32_bits_means_nothing() -> None:
    body = pack_fields(PICTURE, (0x7C00, 0x3E0, 0x1F), 16)
    pixels = read(make_bmp(make_header(40, 16), body)).pixels
    assert np.abs(pixels.astype(int) - PICTURE).max() <= 5
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 1), dtype=np.uint8)
    stored = np.dstack([PICTURE[..., ::-1], noise])[::-1]
    source = read(make_bmp(make_header(40, 32), stored.tobytes()))
    assert np.array_equal(source.pixels, PICTURE)
    assert source.alpha is None


@pytest.mark.parametrize(
    ("bits", "masks"),
    [(32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)), (16, (0xF00, 0xF0, 0xF, 0xF000))],
)
@pytest.mark.parametrize("size", [56, 108, 124])
def test_opacity_has_a_mask_too(bits: int, masks: tuple[int, ...], size: int) -> None:
    channels = np.dstack([PICTURE, PICTURE[..., 1]])
    header = make_header(size, bits, 3, masks=masks)
    source = read(make_bmp(header, pack_fields(channels, masks, bits)))
    assert source.alpha is not None
    assert np.abs(source.alpha.astype(int) - PICTURE[..., 1]).max() <= (0 if bits == 32 else 9)
    nowhere = np.dstack([PICTURE, np.zeros((HEIGHT, WIDTH), np.uint8)])
    assert read(make_bmp(header, pack_fields(nowhere, masks, bits))).alpha is None


def run_lengths(indices: U8Array, nibbles: bool, literal_from: int) -> bytes:
    """Runs, and literals for every stretch of single pixels of that length."""
    out = bytearray()
    for row in indices[::-1].tolist():
        x = 0
        while x < len(row):
            n = 1
            while x + n < len(row) and row[x + n] == row[x] and n < 255:
                n += 1
            if n == 1 and len(row) - x >= literal_from >= 3:
                n = min(len(row) - x, literal_from)
                part = row[x : x + n]
                if nibbles:
                    padded = [*part, 0] if n % 2 else part
                    body = bytes(a << 4 | b for a, b in zip(padded[::2], padded[1::2], strict=True))
                else:
                    body = bytes(part)
                out += bytes((0, n)) + body + bytes(len(body) % 2)
            else:
                out += bytes((n, row[x] << 4 | row[x] if nibbles else row[x]))
            x += n
        out += b"\0\0"
    return bytes(out) + b"\0\1"


@pytest.mark.parametrize("nibbles", [False, True], ids=["RLE8", "RLE4"])
@pytest.mark.parametrize("literal_from", [0, 3, 4, 7, 77])
def test_run_lengths_are_read(nibbles: bool, literal_from: int) -> None:
    bits = 4 if nibbles else 8
    colours, palette = make_palette(1 << bits)
    indices = make_indices(bits)
    indices[:, 20:60] = indices[:, 20:21]
    indices[10:20] = 3
    body = run_lengths(indices, nibbles, literal_from)
    data = make_bmp(make_header(40, bits, 2 if nibbles else 1), body, palette)
    assert np.array_equal(read(data).pixels, colours[indices])


def test_jumps_blank_lines_and_runs_beyond_the_row() -> None:
    colours, palette = make_palette(256)
    body = b"\0\2\x05\x03" + b"\x04\x07" + b"\0\0" + b"\0\0" + b"\xff\x09" + b"\0\0" + b"\0\1"
    pixels = read(make_bmp(make_header(40, 8, 1), body, palette)).pixels[::-1]
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)  # what is never written is colour 0
    expected[3, 5:9] = 7
    expected[5] = 9
    assert np.array_equal(pixels, colours[expected])


def test_a_run_of_rle4_takes_its_two_indices_in_turn() -> None:
    colours, palette = make_palette(16)
    body = (b"\x4d\x12" + b"\0\0") * HEIGHT + b"\0\1"
    pixels = read(make_bmp(make_header(40, 4, 2), body, palette)).pixels
    assert np.array_equal(pixels[0, :4], colours[[1, 2, 1, 2]])


@pytest.mark.parametrize(
    "body", [b"", b"\0", b"\x04\x07", b"\0\0" * 5, b"\0\x20ab", b"\0\2\1", b"\0\2\1\0"]
)
def test_run_lengths_that_end_too_early_are_corrupt(body: bytes) -> None:
    _, palette = make_palette(256)
    with pytest.raises(CorruptImage):
        read(make_bmp(make_header(40, 8, 1), body, palette))


@pytest.mark.parametrize("code", [b"\x01\x01", b"\0\x03\x01\x02\x03\0", b"\0\2\0\0", b"\0\xff"])
def test_megabytes_of_run_lengths_take_no_time(code: bytes) -> None:
    _, palette = make_palette(256)
    data = make_bmp(make_header(40, 8, 1), code * (9_000_000 // len(code)), palette)
    started = time.process_time()
    with pytest.raises(CorruptImage):
        read(data)
    assert time.process_time() - started < 3


@pytest.mark.parametrize(("size", "compression"), [(40, 4), (40, 5), (64, 3), (64, 4)])
def test_a_rare_way_to_store_is_called_by_its_name(size: int, compression: int) -> None:
    with pytest.raises(UnsupportedFormat, match=r"inside a BMP|OS/2"):
        inspect(make_bmp(make_header(size, 24, compression), BGR), LIMITS)


@pytest.mark.parametrize(
    "header",
    [
        make_header(40, 24, 9),
        make_header(40, 7),
        make_header(40, 24, 3),
        make_header(40, 24, height=0),
        struct.pack("<I", 13).ljust(40, b"\0"),
        struct.pack("<I", 0xFFFFFFFF).ljust(40, b"\0"),
    ],
)
def test_a_header_that_makes_no_sense_is_corrupt(header: bytes) -> None:
    with pytest.raises(CorruptImage):
        read(make_bmp(header, BGR))


@pytest.mark.parametrize("at", [0, 20, 0xFFFFFFFF])
def test_pixels_said_to_be_elsewhere_are_corrupt_or_behind_the_header(at: int) -> None:
    data = bytearray(make_bmp(make_header(40, 24), BGR))
    data[10:14] = struct.pack("<I", at)
    if at > len(data):
        with pytest.raises(CorruptImage):
            read(bytes(data))
    else:
        assert np.array_equal(read(bytes(data)).pixels, PICTURE)
