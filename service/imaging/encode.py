"""Encodes pixels as a file that carries nothing but the picture."""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import simplejpeg
from isal import isal_zlib
from PIL import Image

from models.arrays import Rows, U8Array
from models.spare_cores import SPARE_CORES

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FILTER_UP = 2
_COLOUR_TYPE = {1: 0, 3: 2, 4: 6}  # channels -> grey, RGB, RGBA
_PERCEPTUAL_INTENT = b"\x00"
_DEFLATE_LEVEL = 1
_ZLIB_HEADER = b"\x78\x01"  # deflate with a window of 32 KiB, fastest level (RFC 1950)
_RAW = -15  # deflate alone, same window
_ADLER = 65521
_PIECE_BYTES = 4_000_000
_STRIP_BYTES = 500_000  # of a piece that is filtered and deflated while it is in the cache
# Speed for size, as measured in docs/benchmarks/2026-11-27-looks.md.
_WEBP_METHOD = 0
_AVIF_SPEED = 9
#: Media type of `encode_parts`.
ZIP = "application/zip"
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the first a ZIP can state: nothing of ours


@dataclass(frozen=True)
class EncodedFile:
    """A finished file.

    Attributes:
        data: Its bytes.
        media_type: Its media type.
        suffix: How its name ends, without the dot.
    """

    data: bytes
    media_type: str
    suffix: str


class _Encoding(NamedTuple):
    media_type: str
    suffix: str
    encode: Callable[[Rows, int], bytes]


def encode_picture(pixels: Rows, file_format: str, quality: int = 90) -> EncodedFile:
    """Encode 8-bit sRGB pixels.

    Args:
        pixels: ``[H, W, 4]`` RGBA, ``[H, W, 3]`` RGB or ``[H, W]`` grey.
        file_format: A key of `ENCODINGS`; `jpeg` takes no RGBA.
        quality: 1..100, of the formats that lose something.
    """
    media_type, suffix, encode = ENCODINGS[file_format]
    return EncodedFile(encode(pixels, quality), media_type, suffix)


def encode_parts(colours: U8Array, alpha: U8Array, quality: int = 90) -> EncodedFile:
    """Colours as JPEG and opacity as PNG, in one ZIP: a fraction of the bytes of a large PNG.

    Args:
        colours: ``[H, W, 3]``; what is under alpha 0 is sent as well.
        alpha: ``[H, W]``.
        quality: 1..100, of the JPEG.
    """
    files = {
        "color.jpg": _encode_jpeg(colours, quality),
        "alpha.png": encode_png(alpha),
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, _ZIP_DATE), data)
    return EncodedFile(packed.getvalue(), ZIP, "zip")


def _encode_jpeg(pixels: Rows, quality: int) -> bytes:
    grey = len(pixels.shape) == 2
    rows = np.ascontiguousarray(pixels[:][..., None] if grey else pixels[:])
    colours, sampling = ("GRAY", "Gray") if grey else ("RGB", "420" if quality < 90 else "444")
    return bytes(simplejpeg.encode_jpeg(rows, quality, colours, sampling, fastdct=False))


def _encode_webp(pixels: Rows, quality: int) -> bytes:
    return _saved(pixels, "WEBP", quality=quality, method=_WEBP_METHOD)


def _encode_avif(pixels: Rows, quality: int) -> bytes:
    return _saved(pixels, "AVIF", quality=quality, speed=_AVIF_SPEED, max_threads=1)


def _saved(pixels: Rows, file_format: str, **parameters: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels[:]).save(file, file_format, **parameters)
    return file.getvalue()


def encode_png(pixels: Rows) -> bytes:
    """Encode 8-bit sRGB pixels.

    The Up filter for every row and ISA-L's fastest level: a quarter of the time OpenCV's or
    Pillow's encoder takes, and no larger (`docs/benchmarks/`). The file carries nothing but the
    picture. It is made in pieces of a few megabytes, which idle cores share; its bytes are the same
    however many there are.

    Args:
        pixels: ``[H, W, 4]`` RGBA, ``[H, W, 3]`` RGB or ``[H, W]`` grey; rows are read in parts.

    Returns:
        The file.
    """
    height, width, *channels = pixels.shape
    row_bytes = 1 + math.prod(pixels.shape[1:])
    step = max(1, _PIECE_BYTES // row_bytes)
    tops = range(0, height, step)
    pieces: list[_Piece] = [_Piece(b"", 0, 0)] * len(tops)

    def make(number: int) -> None:
        pieces[number] = _deflate(pixels, tops[number], step)

    SPARE_CORES.each(make, range(len(tops)))
    checksum = 1
    for piece in pieces:
        checksum = _adler32_of_both(checksum, piece.checksum, piece.n_bytes)
    colour_type = _COLOUR_TYPE[channels[0] if channels else 1]
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    return b"".join(
        (
            _SIGNATURE,
            chunk(b"IHDR", header),
            chunk(b"sRGB", _PERCEPTUAL_INTENT),
            *(piece.chunk for piece in pieces),
            chunk(b"IDAT", struct.pack(">I", checksum)),
            chunk(b"IEND", b""),
        )
    )


class _Piece(NamedTuple):
    """Some rows, deflated.

    Attributes:
        chunk: As an IDAT chunk, after which a decoder is at a byte's border.
        checksum: Adler-32 of the filtered rows.
        n_bytes: Length of the filtered rows.
    """

    chunk: bytes
    checksum: int
    n_bytes: int


def _deflate(pixels: Rows, top: int, step: int) -> _Piece:
    """Filter and deflate rows from ``top`` on, as if nothing came before them."""
    stream = isal_zlib.compressobj(_DEFLATE_LEVEL, isal_zlib.DEFLATED, _RAW)
    bottom = min(top + step, pixels.shape[0])
    deflated, checksum, n_bytes = [b"" if top else _ZLIB_HEADER], 1, 0
    for filtered in _filter(pixels, top, bottom):
        deflated.append(stream.compress(filtered.data))
        checksum = isal_zlib.adler32(filtered.data, checksum)
        n_bytes += filtered.size
    is_last = bottom == pixels.shape[0]
    deflated.append(stream.flush(isal_zlib.Z_FINISH if is_last else isal_zlib.Z_FULL_FLUSH))
    return _Piece(chunk(b"IDAT", b"".join(deflated)), checksum, n_bytes)


def _filter(pixels: Rows, top: int, bottom: int) -> Iterator[U8Array]:
    """Rows as what they differ by from those above, strip by strip, in the same memory."""
    row_bytes = math.prod(pixels.shape[1:])
    step = max(1, _STRIP_BYTES // (1 + row_bytes))
    filtered = np.empty((step, 1 + row_bytes), dtype=np.uint8)
    filtered[:, 0] = _FILTER_UP
    above = pixels[top - 1 : top].reshape(-1) if top else np.zeros(row_bytes, np.uint8)
    for start in range(top, bottom, step):
        rows = pixels[start : min(start + step, bottom)]
        rows = np.ascontiguousarray(rows).reshape(len(rows), row_bytes)
        np.subtract(rows[0], above, out=filtered[0, 1:])  # modulo 256, as PNG wants it
        np.subtract(rows[1:], rows[:-1], out=filtered[1 : len(rows), 1:])
        above = rows[-1]
        yield filtered[: len(rows)]


def _adler32_of_both(first: int, second: int, n_bytes: int) -> int:
    """Adler-32 of two pieces one after the other, from those of each (RFC 1950, section 8.2).

    Args:
        first: Of the first.
        second: Of the second.
        n_bytes: Length of the second.
    """
    low = (first % 65536 + second % 65536 - 1) % _ADLER
    high = (first // 65536 + second // 65536 + n_bytes * ((first % 65536) - 1)) % _ADLER
    return high << 16 | low


def chunk(kind: bytes, data: bytes) -> bytes:
    """Length, kind, data, checksum."""
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return b"".join((struct.pack(">I", len(data)), kind, data, struct.pack(">I", checksum)))


ENCODINGS: Mapping[str, _Encoding] = {
    "png": _Encoding("image/png", "png", lambda pixels, _: encode_png(pixels)),
    "webp": _Encoding("image/webp", "webp", _encode_webp),
    "jpeg": _Encoding("image/jpeg", "jpg", _encode_jpeg),
    "avif": _Encoding("image/avif", "avif", _encode_avif),
}
