"""Small pictures of every kind we read, made by code: what a fuzzer starts from."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from models.arrays import U8Array
from scripts.hostile.drawing import HEIGHT, WIDTH, encode, make_exif, picture, srgb_profile
from scripts.hostile.newer_seeds import avif_seeds, gif_seeds, heic_seeds, tiff_seeds

_PASSES = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)
#: Bits a sample may have and samples of a pixel, by PNG's colour type.
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


@cache
def make_seeds() -> dict[str, bytes]:
    """All of them by name; the same every time."""
    newer = {**tiff_seeds(), **gif_seeds(), **avif_seeds(), **heic_seeds()}
    return {**_jpegs(), **_pngs(), **_webps(), **_bmps(), **newer}


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG, with the checksum it should have."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_file(size: tuple[int, int], kind: int, depth: int, interlaced: int, *more: bytes) -> bytes:
    """A PNG of a width and height, a colour type and a depth; palette and pixels are `more`."""
    header = struct.pack(">IIBBBBB", *size, depth, kind, 0, 0, interlaced)
    return b"".join((PNG_MAGIC, png_chunk(b"IHDR", header), *more, png_chunk(b"IEND", b"")))


def _jpegs() -> dict[str, bytes]:
    colour = picture()
    kinds: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
        "baseline": (colour, "JPEG", {}),
        "full-colour": (colour, "JPEG", {"subsampling": 0, "quality": 100}),
        "progressive": (colour, "JPEG", {"progressive": True}),
        "grey": (picture("L"), "JPEG", {}),
        "grey-progressive": (picture("L"), "JPEG", {"progressive": True}),
        "cmyk": (picture("CMYK"), "JPEG", {}),
        "cmyk-progressive": (picture("CMYK"), "JPEG", {"progressive": True}),
        "restart": (colour, "JPEG", {"restart_marker_blocks": 3}),
        "restart-progressive": (
            colour,
            "JPEG",
            {"restart_marker_rows": 1, "progressive": True},
        ),
        "exif": (colour, "JPEG", {"exif": make_exif()}),
        "icc": (colour, "JPEG", {"icc_profile": srgb_profile()}),
        "all": (
            colour,
            "JPEG",
            {
                "exif": make_exif(),
                "icc_profile": srgb_profile(),
                "comment": b"a word",
                "xmp": b"<x/>",
            },
        ),
        "mpo": (colour, "MPO", {"save_all": True, "append_images": [colour, colour]}),
    }
    return {f"jpeg-{name}": encode(i, f, **options) for name, (i, f, options) in kinds.items()}


def _pngs() -> dict[str, bytes]:
    made = {
        f"png-{kind}-{depth}{'-interlaced' * interlaced}{'-trns' * clear}": _png(
            kind, depth, bool(interlaced), bool(clear)
        )
        for kind, depths in DEPTHS.items()
        for depth in depths
        for interlaced in (0, 1)
        for clear in ((0, 1) if kind < 4 else (0,))
    }
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Title", "a word")
    notes.add_text("Comment", "many words " * 50, zip=True)
    notes.add_itxt("Author", "somebody", "en", "Author", zip=True)
    notes.add(b"gAMA", struct.pack(">I", 45455))
    notes.add(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))
    notes.add(b"cICP", bytes((1, 13, 0, 1)))
    notes.add(b"tIME", struct.pack(">HBBBBB", 2026, 11, 27, 1, 2, 3))
    extras = {"pnginfo": notes, "exif": make_exif(), "icc_profile": srgb_profile(), "dpi": (72, 72)}
    frames = [picture("RGBA").rotate(angle) for angle in (10, 20)]
    return {
        **made,
        "png-all": encode(picture("RGBA"), "PNG", **extras),
        "png-exif": encode(picture(), "PNG", exif=make_exif()),
        "png-icc": encode(picture("L"), "PNG", icc_profile=srgb_profile()),
        "png-animated": encode(picture("RGBA"), "PNG", save_all=True, append_images=frames),
    }


def _png(kind: int, depth: int, interlaced: bool, clear: bool) -> bytes:
    """A PNG of any colour type and depth, its rows with every filter in turn."""
    channels = CHANNELS[kind]
    y, x, c = np.mgrid[0:HEIGHT, 0:WIDTH, 0:channels]
    most = (1 << depth) - 1
    values = ((x * (c + 1) + 2 * y + 40 * c) * 257 // (1 if depth == 16 else 257)) & most
    rows = b"".join(
        _rows(values[top::down, left::right], depth)
        for top, left, down, right in (_PASSES if interlaced else ((0, 0, 1, 1),))
    )
    chunks = []
    if kind == 3:
        chunks.append(png_chunk(b"PLTE", bytes((i * 7 + 3) & 255 for i in range(3 << depth))))
    if clear:
        chunks.append(
            png_chunk(b"tRNS", bytes(range(1 << depth)) if kind == 3 else bytes(2 * channels))
        )
    packed = zlib.compress(rows)
    half = len(packed) // 2
    chunks += [png_chunk(b"IDAT", packed[:half]), png_chunk(b"IDAT", packed[half:])]
    return png_file((WIDTH, HEIGHT), kind, depth, interlaced, *chunks)


def _rows(values: np.ndarray[Any, Any], depth: int) -> bytes:
    """Rows of samples ``[H, W, C]`` packed to so many bits, each behind its filter's number."""
    if 0 in values.shape:
        return b""
    flat = values.reshape(len(values), -1)
    if depth == 16:
        packed = flat.astype(">u2").view(np.uint8)
    else:
        bits = flat[..., None] >> np.arange(depth - 1, -1, -1) & 1
        packed = np.packbits(bits.reshape(len(values), -1).astype(np.uint8), axis=1)
    return b"".join(bytes((n % 5,)) + row.tobytes() for n, row in enumerate(packed))


def _webps() -> dict[str, bytes]:
    colour, clear = picture(), picture("RGBA")
    frames = [clear.rotate(angle) for angle in (10, 20, 30)]
    extras = {"exif": make_exif().tobytes(), "icc_profile": srgb_profile(), "xmp": b"<x/>"}
    return {
        "webp-lossy": encode(colour, "WEBP"),
        "webp-lossless": encode(colour, "WEBP", lossless=True),
        "webp-alpha": encode(clear, "WEBP"),
        "webp-lossless-alpha": encode(clear, "WEBP", lossless=True, exact=True),
        "webp-animated": encode(clear, "WEBP", save_all=True, append_images=frames),
        "webp-all": encode(clear, "WEBP", **extras),
        "webp-lossy-exif": encode(colour, "WEBP", exif=make_exif().tobytes()),
    }


def _bmps() -> dict[str, bytes]:
    colour = np.asarray(picture())
    grey = colour[..., 1]
    made = {
        f"bmp-{bits}": bmp_file(_packed_bmp(colour, grey, bits), bits) for bits in (1, 4, 8, 24, 32)
    }
    masks = {"555": (0x7C00, 0x3E0, 0x1F), "565": (0xF800, 0x7E0, 0x1F), "444": (0xF00, 0xF0, 0xF)}
    sixteen = _packed_bmp(colour, grey, 16)
    for name, mask in masks.items():
        made[f"bmp-16-{name}"] = bmp_file(sixteen, 16, 3, struct.pack("<3I", *mask))
    wide = struct.pack("<4I", 0xFF, 0xFF00, 0xFF0000, 0xFF000000)
    full = _packed_bmp(colour, grey, 32)
    made["bmp-32-masks"] = bmp_file(full, 32, 6, wide)
    for size in (52, 56, 108, 124):
        made[f"bmp-header-{size}"] = bmp_file(full, 32, 3, wide, size)
    made["bmp-rle8"] = bmp_file(_runs(grey), 8, 1)
    made["bmp-rle4"] = bmp_file(_runs(grey // 16 * 17), 4, 2)
    made["bmp-top-down"] = bmp_file(_packed_bmp(colour, grey, 24), 24, height=-HEIGHT)
    core = struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, 24)
    pixels = _packed_bmp(colour, grey, 24)
    made["bmp-os2"] = struct.pack("<2sIII", b"BM", 26 + len(pixels), 0, 26) + core + pixels
    return made


def _packed_bmp(colour: U8Array, grey: U8Array, bits: int) -> bytes:
    """Rows from the bottom up, each padded to whole words."""
    if bits >= 24:
        shape = (*grey.shape, bits // 8)
        rows = np.full(shape, 200, np.uint8)
        rows[..., :3] = colour[..., ::-1]
        rows = rows.reshape(len(grey), -1)
    elif bits == 16:
        rows = (grey.astype("<u2") << 7).view(np.uint8)
    else:
        shifted = (grey >> (8 - bits))[..., None] >> np.arange(bits - 1, -1, -1) & 1
        rows = np.packbits(shifted.reshape(len(grey), -1).astype(np.uint8), axis=1)
    padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4)))
    return padded[::-1].tobytes()


def bmp_file(  # the fields of the header
    pixels: bytes,
    bits: int,
    compression: int = 0,
    masks: bytes = b"",
    size: int = 40,
    width: int = WIDTH,
    height: int = HEIGHT,
) -> bytes:
    """Coded pixels behind a BMP's header of so many bytes, and a palette where they need one."""
    colours = 1 << bits if bits <= 8 else 0
    palette = b"".join(bytes((i * 251 // max(colours - 1, 1),) * 3) + b"\0" for i in range(colours))
    head = struct.pack(
        "<IiiHHIIiiII", size, width, height, 1, bits, compression, len(pixels), 0, 0, colours, 0
    )
    rest = (head + masks).ljust(size, b"\0") if size > 40 else head + masks
    start = 14 + len(rest) + len(palette)
    return struct.pack("<2sIII", b"BM", start + len(pixels), 0, start) + rest + palette + pixels


def _runs(grey: U8Array) -> bytes:
    """Rows as runs, some of them spelt out, with a jump at the end."""
    coded = b""
    for number, row in enumerate(grey[::-1]):
        if number % 2:
            coded += b"".join(bytes((1, value)) for value in row)
        else:
            spelt = row[:96].tobytes()
            coded += b"\0\x60" + spelt + b"\x01" + row[96:].tobytes()
        coded += b"\0\0"
    return coded + b"\0\x02\x01\x01\0\x01"
