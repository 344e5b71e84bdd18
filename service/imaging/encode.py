"""Encodes pixels as a PNG file."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from isal import isal_zlib

from models.arrays import U8Array

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FILTER_UP = 2
_COLOUR_TYPE = {1: 0, 3: 2, 4: 6}  # channels -> grey, RGB, RGBA
_PERCEPTUAL_INTENT = b"\x00"
_DEFLATE_LEVEL = 1


def encode_png(pixels: U8Array) -> bytes:
    """Encode 8-bit sRGB pixels.

    The Up filter for every row and ISA-L's fastest level: a quarter of the time OpenCV's or
    Pillow's encoder takes, and no larger (`docs/benchmarks/`). The file carries nothing but the
    picture.

    Args:
        pixels: ``[H, W, 4]`` RGBA, ``[H, W, 3]`` RGB or ``[H, W]`` grey.

    Returns:
        The file.
    """
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    rows = np.ascontiguousarray(pixels).reshape(height, width * channels)
    filtered = np.empty((height, 1 + width * channels), dtype=np.uint8)
    filtered[:, 0] = _FILTER_UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])  # modulo 256, as PNG wants it
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPE[channels], 0, 0, 0)
    return b"".join(
        (
            _SIGNATURE,
            chunk(b"IHDR", header),
            chunk(b"sRGB", _PERCEPTUAL_INTENT),
            chunk(b"IDAT", isal_zlib.compress(filtered.data, _DEFLATE_LEVEL)),
            chunk(b"IEND", b""),
        )
    )


def chunk(kind: bytes, data: bytes) -> bytes:
    """Length, kind, data, checksum."""
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return b"".join((struct.pack(">I", len(data)), kind, data, struct.pack(">I", checksum)))
