"""Pictures of every kind, made at run time: arrays in, files out."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

from models.arrays import U8Array

# JPEG is lossy: a smooth picture at quality 95 stays within this of the original, per channel.
JPEG_TOLERANCE = 6


def make_array(height: int = 96, width: int = 128) -> U8Array:
    """A smooth picture ``[H, W, 3]`` without any symmetry, so that a wrong turn shows."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    red = 255 * x / max(width - 1, 1)
    green = 255 * y / max(height - 1, 1)
    blue = 127 + 100 * np.sin(x / width * 2) * np.cos(y / height)
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def make_noise(height: int, width: int, seed: int = 0) -> U8Array:
    """A picture nothing can compress."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def make_image(format: str = "JPEG", height: int = 96, width: int = 128, **options: Any) -> bytes:
    """`make_array` as a file."""
    if format in ("JPEG", "MPO"):
        options.setdefault("quality", 95)
    if format == "WEBP":
        options.setdefault("lossless", True)
    return save(Image.fromarray(make_array(height, width)), format, **options)


def make_solid(
    format: str, width: int, height: int, colour: Any = "white", mode: str = "RGB", **options: Any
) -> bytes:
    """One colour as a file; as small as its format allows."""
    return save(Image.new(mode, (width, height), colour), format, **options)


def make_portrait(height: int = 120, width: int = 160) -> U8Array:
    """A bright disc on black: `FakeEngine`'s matte of it is the disc."""
    y, x = np.mgrid[0:height, 0:width]
    inside = (x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(height, width) / 3) ** 2
    return np.where(inside[..., None], (200, 255, 180), (90, 0, 60)).astype(np.uint8)


def save(image: Image.Image, format: str, **options: Any) -> bytes:
    """A Pillow image as a file."""
    buffer = io.BytesIO()
    image.save(buffer, format=format, **options)
    return buffer.getvalue()


def open_image(data: bytes) -> Image.Image:
    """A file as a loaded Pillow image."""
    image = Image.open(io.BytesIO(data))  # our own output
    image.load()
    return image


def pixels_of(data: bytes) -> U8Array:
    """A file as an array, in whatever mode it has."""
    return np.asarray(open_image(data))


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def make_png(
    width: int, height: int, depth: int, colour_type: int, rows: bytes, *extra: bytes
) -> bytes:
    """A PNG with a header of our choosing; `rows` have filter bytes, `extra` comes before."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            png_chunk(b"IHDR", header),
            *extra,
            png_chunk(b"IDAT", zlib.compress(rows)),
            png_chunk(b"IEND", b""),
        )
    )


def png_chunks(data: bytes) -> list[bytes]:
    """Kinds of the chunks of a PNG, in order; fails where bytes follow the last."""
    return [kind for kind, _ in chunks_of(data)]


def chunks_of(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kinds and data of the chunks of a PNG, in order; fails where bytes follow the last."""
    chunks, at = [], 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    assert at == len(data), "bytes behind the last chunk"
    return chunks


def with_orientation(orientation: int) -> Image.Exif:
    """EXIF data that says how the camera was held, and where."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Camera of a stranger"
    exif.get_ifd(0x8825)[1] = "N"
    return exif
