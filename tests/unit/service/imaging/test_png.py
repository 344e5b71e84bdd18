"""Nothing but the picture decides whether a PNG is read; transparency in every depth."""

from __future__ import annotations

import struct
import time
import zlib

import numpy as np
import numpy.typing as npt
import pytest

from service.errors import CorruptImage, UnsupportedFormat
from service.imaging.decode import SourceImage, decode
from service.imaging.guard import ImageLimits, inspect
from tests.support.pictures import make_array, make_image, make_png, png_chunk, with_orientation

HEIGHT, WIDTH = 64, 80


def read(data: bytes) -> SourceImage:
    return decode(data, inspect(data, ImageLimits()))


def damaged(chunk: bytes) -> bytes:
    return chunk[:-1] + bytes([chunk[-1] ^ 1])


def insert(data: bytes, *chunks: bytes) -> bytes:
    return data[:33] + b"".join(chunks) + data[33:]


def append(data: bytes, *chunks: bytes) -> bytes:
    return data[:-12] + b"".join(chunks) + data[-12:]


def make_levels(depth: int) -> npt.NDArray[np.uint16]:
    """Every level of the depth, row by row."""
    return (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % (1 << depth)).astype(np.uint16)


def pack(samples: npt.NDArray[np.uint16], depth: int) -> bytes:
    """Rows with filter bytes."""
    rows = samples.reshape(len(samples), -1)
    if depth == 16:
        return b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows)
    bits = np.unpackbits(rows.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :]
    return b"".join(b"\0" + np.packbits(row).tobytes() for row in bits)


MEGABYTES = zlib.compress(b"a workflow " * 400_000)
CHUNKS = {
    "zTXt that unpacks to 4 MB": png_chunk(b"zTXt", b"workflow\0\0" + MEGABYTES),
    "iTXt that unpacks to 4 MB": png_chunk(b"iTXt", b"x\0\1\0\0\0" + MEGABYTES),
    "zTXt that is no deflate": png_chunk(b"zTXt", b"x\0\0nonsense"),
    "zTXt of an unknown method": png_chunk(b"zTXt", b"x\0\7nonsense"),
    "iTXt without its fields": png_chunk(b"iTXt", b"x"),
    "iTXt that is no UTF-8": png_chunk(b"iTXt", b"x\0\0\0\0\0\xff\xfe\xff"),
    "eXIf that is none": png_chunk(b"eXIf", b"garbage"),
    "eXIf with a wrong checksum": damaged(png_chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\0")),
    "iCCP without a name": png_chunk(b"iCCP", b""),
    "iCCP that is no deflate": png_chunk(b"iCCP", b"p\0\0nonsense"),
    "iCCP cut short": png_chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(9000))[:12]),
    "gAMA of three bytes": png_chunk(b"gAMA", b"\0\0\1"),
    "gAMA of 0": png_chunk(b"gAMA", bytes(4)),
    "cHRM of zeros": png_chunk(b"cHRM", bytes(32)),
    "cICP of nonsense": png_chunk(b"cICP", b"\xff\xff\xff\xff"),
    "tRNS of a wrong length": png_chunk(b"tRNS", b"\0"),
    "tRNS with a wrong checksum": damaged(png_chunk(b"tRNS", bytes(6))),
    "sPLT, hIST and bKGD of nonsense": png_chunk(b"sPLT", b"\1") + png_chunk(b"hIST", b"\1"),
    "tIME with a wrong checksum": damaged(png_chunk(b"tIME", bytes(7))),
    "acTL of nonsense": png_chunk(b"acTL", b"\1\2\3"),
    "a private chunk": png_chunk(b"prVt", bytes(300_000)),
}


@pytest.mark.parametrize("name", CHUNKS)
@pytest.mark.parametrize("where", [insert, append], ids=["before", "behind"])
def test_nothing_ancillary_costs_the_picture(name: str, where: object) -> None:
    data = where(make_image("PNG"), CHUNKS[name])  # type: ignore[operator]
    assert np.array_equal(read(data).pixels, make_array())


def test_text_that_unpacks_to_gigabytes_is_not_unpacked() -> None:
    bomb = zlib.compress(zlib.compress(bytes(200_000_000), 9), 9)
    data = insert(make_image("PNG"), png_chunk(b"zTXt", b"x\0\0" + bomb))
    started = time.process_time()
    assert read(data).alpha is None
    assert time.process_time() - started < 0.5


def test_a_profile_that_unpacks_to_hundreds_of_megabytes_is_given_up_early() -> None:
    data = insert(make_image("PNG"), png_chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(10**8))))
    started = time.process_time()
    assert np.array_equal(read(data).pixels, make_array())
    assert time.process_time() - started < 1


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE"])
def test_what_makes_the_picture_must_be_sound(kind: bytes) -> None:
    rows = pack(make_levels(8), 8)
    data = make_png(WIDTH, HEIGHT, 8, 3, rows, png_chunk(b"PLTE", bytes(range(255)) * 3))
    at = data.index(kind) + 9
    with pytest.raises(CorruptImage):
        read(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])


def test_a_png_for_iphones_is_called_so() -> None:
    plain = make_image("PNG")
    crushed = plain[:8] + png_chunk(b"CgBI", b"\x50\0\x20\x02") + plain[8:]
    with pytest.raises(UnsupportedFormat, match="iPhone"):
        inspect(crushed, ImageLimits())


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_one_level_of_grey_is_transparent_and_no_other(depth: int, share: float) -> None:
    levels, level = make_levels(depth), round(share * ((1 << depth) - 1))
    levels[5, 5] = level
    key = png_chunk(b"tRNS", struct.pack(">H", level))
    source = read(make_png(WIDTH, HEIGHT, depth, 0, pack(levels, depth), key))
    assert source.alpha is not None
    assert np.array_equal(source.alpha == 0, levels == level)
    assert source.alpha.max() == 255
    expected = levels / ((1 << depth) - 1) * 255
    assert np.abs(source.pixels[..., 1] - expected).max() <= 0.5


@pytest.mark.parametrize("depth", [8, 16])
def test_one_colour_is_transparent_and_no_other(depth: int) -> None:
    samples = np.random.default_rng(1).integers(0, 1 << depth, (HEIGHT, WIDTH, 3), dtype=np.uint16)
    colour = samples[7, 9].copy()
    samples[8, 9] = colour
    samples[9, 9] = colour + np.array([0, 0, 1 if colour[2] % 256 < 255 else -1], np.uint16)
    key = png_chunk(b"tRNS", colour.astype(">u2").tobytes())
    source = read(make_png(WIDTH, HEIGHT, depth, 2, pack(samples, depth), key))
    assert source.alpha is not None
    assert np.array_equal(source.alpha == 0, (samples == colour).all(axis=2))
    assert np.abs(source.pixels - samples / ((1 << depth) - 1) * 255).max() <= 1


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_palette_has_its_opacity_in_every_depth(depth: int) -> None:
    indices, size = make_levels(depth), 1 << depth
    palette = np.random.default_rng(2).integers(0, 256, (size, 3), dtype=np.uint8)
    opacity = np.linspace(0, 200, size - 1 or 1).astype(np.uint8)
    chunks = png_chunk(b"PLTE", palette.tobytes()), png_chunk(b"tRNS", opacity.tobytes())
    source = read(make_png(WIDTH, HEIGHT, depth, 3, pack(indices, depth), *chunks))
    assert source.alpha is not None
    full = np.append(opacity, np.full(256, 255, np.uint8))
    assert np.array_equal(source.alpha, full[indices])
    assert np.array_equal(source.pixels, palette[indices])


@pytest.mark.parametrize(("colour_type", "channels"), [(4, 2), (6, 4)])
@pytest.mark.parametrize("depth", [8, 16])
def test_an_alpha_channel_is_kept_apart(colour_type: int, channels: int, depth: int) -> None:
    shape = (HEIGHT, WIDTH, channels)
    samples = np.random.default_rng(3).integers(0, 1 << depth, shape, dtype=np.uint16)
    source = read(make_png(WIDTH, HEIGHT, depth, colour_type, pack(samples, depth)))
    eight = samples / ((1 << depth) - 1) * 255
    assert source.alpha is not None
    assert np.abs(source.alpha - eight[..., -1]).max() <= 1
    assert np.abs(source.pixels - eight[..., : 3 if channels == 4 else 1]).max() <= 1


def test_opacity_that_is_full_everywhere_is_none() -> None:
    samples = np.full((HEIGHT, WIDTH, 4), 255, np.uint16)
    assert read(make_png(WIDTH, HEIGHT, 8, 6, pack(samples, 8))).alpha is None


def test_pixels_in_tiny_pieces_without_an_end_are_read() -> None:
    whole = make_image("PNG")
    at = whole.index(b"IDAT")
    (size,) = struct.unpack(">I", whole[at - 4 : at])
    body = whole[at + 4 : at + 4 + size]
    pieces = [png_chunk(b"IDAT", body[i : i + 7]) for i in range(0, len(body), 7)]
    data = whole[: at - 4] + png_chunk(b"IDAT", b"") + b"".join(pieces)
    assert np.array_equal(read(data).pixels, make_array())
    assert np.array_equal(read(data + b"and more").pixels, make_array())


@pytest.mark.parametrize("size", [0, 1])
def test_a_million_tiny_chunks_take_no_time(size: int) -> None:
    storm = png_chunk(b"tEXt", bytes(size)) * (9_000_000 // (12 + size))
    started = time.process_time()
    assert np.array_equal(read(insert(make_image("PNG"), storm)).pixels, make_array())
    assert time.process_time() - started < 3


def test_exif_counts_wherever_it_stands() -> None:
    exif = png_chunk(b"eXIf", with_orientation(8).tobytes().removeprefix(b"Exif\0\0"))
    for data in (insert(make_image("PNG"), exif), append(make_image("PNG"), exif)):
        assert inspect(data, ImageLimits()).orientation == 8
