"""WebP: the bitstream of the first frame, and the few chunks that say how it is meant.

Source:
    WebP Container Specification, Google; RFC 9649.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from service.imaging.container import (
    CheckDeadline,
    ColourTags,
    StoredPixels,
    WatchedBytes,
    on_canvas,
)
from service.imaging.exif import Exif, read_exif

_RIFF_HEADER_BYTES = 12
_CHUNK_HEADER_BYTES = 8
_FRAME_HEADER_BYTES = 16
_ALPHA_FLAG = 0x10
_KEY_FRAME_START = b"\x9d\x01\x2a"
_LOSSLESS_SIGNATURE = 0x2F
# Two canvases, the bytes handed out and Pillow's file and picture of them: four each.
_COPIES_BYTES = 20
_FOURTEEN_BITS = 0x3FFF
# Of a still picture there are six, of an animation one a frame.
_MAX_CHUNKS = 100_000
_MAX_NOTE_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class Bitstream:
    """One coded picture.

    Attributes:
        kind: `VP8 ` (lossy) or `VP8L` (lossless).
        at: Where its bytes begin.
        end: Where they end.
        alpha: Where the bytes of a lossy picture's opacity are, or None.
        width: Columns.
        height: Rows.
        has_alpha: Whether it has transparency at all.
    """

    kind: bytes
    at: int
    end: int
    alpha: tuple[int, int] | None
    width: int
    height: int
    has_alpha: bool


@dataclass(frozen=True)
class WebpFile:
    """The layout of a WebP.

    Attributes:
        width: Columns of the canvas.
        height: Rows of the canvas.
        frames: How many frames there are.
        first: The first frame.
        x: Column of the canvas where the first frame begins.
        y: Row of the canvas where it begins.
        exif: What EXIF says.
        colour_tags: The ICC profile.
    """

    width: int
    height: int
    frames: int
    first: Bitstream
    x: int
    y: int
    exif: Exif
    colour_tags: ColourTags

    @property
    def scans(self) -> int:
        """One pass."""
        return 1

    @property
    def stored_bytes(self) -> int:
        """RGB, with opacity where there is some or a frame leaves some of the canvas."""
        whole = (self.first.width, self.first.height) == (self.width, self.height)
        return self.width * self.height * (3 if whole and not self.first.has_alpha else 4)

    @property
    def decode_bytes(self) -> int:
        """Libwebp's canvas twice, Pillow's copies of it, and the arrays made of them."""
        frame = self.first.width * self.first.height
        return frame * _COPIES_BYTES + self.stored_bytes + 3 * (self.first.end - self.first.at)

    def decode(self, data: bytes, check_deadline: CheckDeadline) -> StoredPixels:
        """Decode; see `PictureFile`. What the first frame leaves of the canvas is transparent."""
        still = WatchedBytes(_as_still(data, self.first), check_deadline)
        with Image.open(still, formats=["WEBP"]) as image:
            image.load()
            check_deadline()
            if image.mode != "RGBA":
                colours, alpha = np.asarray(image.convert("RGB")), None
            else:
                rgba = np.asarray(image)
                colours = np.asarray(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), np.uint8)
                alpha = np.asarray(cv2.extractChannel(rgba, 3), np.uint8)
        frame = StoredPixels(colours, alpha)
        return on_canvas(frame, self.height, self.width, (self.y, self.x))


def read_webp(data: bytes) -> WebpFile:
    """Read the layout of a WebP.

    Args:
        data: A file that begins with the signature of a WebP.

    Raises:
        ValueError: If there is no picture in it.
        struct.error: If it ends too early.
    """
    canvas, frames, first, corner = None, 0, None, (0, 0)
    notes: dict[bytes, bytes] = {}
    alpha: tuple[int, int] | None = None
    end = min(len(data), struct.unpack_from("<I", data, 4)[0] + 8)
    for kind, at, size in _chunks(data, _RIFF_HEADER_BYTES, end):
        if kind == b"ANMF":
            frames += 1
            if first is None:
                corner, first = _frame(data, at, at + size)
        elif kind == b"VP8X" and canvas is None and size >= 10:
            canvas = (1 + _uint24(data, at + 4), 1 + _uint24(data, at + 7))
        elif kind == b"ALPH" and alpha is None:
            alpha = (at, at + size)
        elif kind in (b"VP8 ", b"VP8L") and first is None:
            first = _bitstream(data, kind, at, at + size, alpha)
        elif kind in (b"ICCP", b"EXIF") and kind not in notes and size <= _MAX_NOTE_BYTES:
            notes[kind] = data[at : at + size]
    if first is None:
        raise ValueError("no picture")
    width, height = canvas if canvas is not None and frames else (first.width, first.height)
    if corner[0] + first.width > width or corner[1] + first.height > height:
        raise ValueError("a frame beyond the canvas")
    tags = ColourTags(icc=notes.get(b"ICCP"))
    exif = read_exif(notes.get(b"EXIF"))
    return WebpFile(width, height, max(frames, 1), first, *corner, exif, tags)


def _chunks(data: bytes, at: int, end: int) -> list[tuple[bytes, int, int]]:
    """Kind, place and size of each chunk that is all there, or of what is left of the last."""
    found = []
    while at + _CHUNK_HEADER_BYTES <= end:
        kind, size = struct.unpack_from("<4sI", data, at)
        at += _CHUNK_HEADER_BYTES
        found.append((kind, at, min(size, end - at)))
        if len(found) > _MAX_CHUNKS:
            raise ValueError("too many chunks")
        at += size + size % 2
    return found


def _frame(data: bytes, at: int, end: int) -> tuple[tuple[int, int], Bitstream]:
    """Corner and bitstream of one frame of an animation."""
    x, y = 2 * _uint24(data, at), 2 * _uint24(data, at + 3)
    size = (1 + _uint24(data, at + 6), 1 + _uint24(data, at + 9))
    alpha = None
    for kind, start, length in _chunks(data, at + _FRAME_HEADER_BYTES, end):
        if kind == b"ALPH" and alpha is None:
            alpha = (start, start + length)
        elif kind in (b"VP8 ", b"VP8L"):
            stream = _bitstream(data, kind, start, start + length, alpha)
            if (stream.width, stream.height) != size:
                raise ValueError("a frame of two sizes")
            return (x, y), stream
    raise ValueError("an empty frame")


def _bitstream(
    data: bytes, kind: bytes, at: int, end: int, alpha: tuple[int, int] | None
) -> Bitstream:
    """Read the size where the decoder reads it."""
    if end - at < 10:
        raise ValueError("an empty bitstream")
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, at + 1)
        if data[at] != _LOSSLESS_SIGNATURE:
            raise ValueError("not lossless")
        width, height = 1 + (bits & _FOURTEEN_BITS), 1 + (bits >> 14 & _FOURTEEN_BITS)
        return Bitstream(kind, at, end, None, width, height, bool(bits >> 28 & 1))
    if data[at + 3 : at + 6] != _KEY_FRAME_START:
        raise ValueError("not a key frame")
    width, height = (side & _FOURTEEN_BITS for side in struct.unpack_from("<HH", data, at + 6))
    return Bitstream(kind, at, end, alpha, width, height, alpha is not None)


def _as_still(data: bytes, stream: Bitstream) -> bytes:
    """The bitstream as a file of its own, with nothing else in it."""
    parts = []
    if stream.alpha is not None:
        size = (stream.width - 1).to_bytes(3, "little") + (stream.height - 1).to_bytes(3, "little")
        parts.append(_chunk(b"VP8X", bytes([_ALPHA_FLAG, 0, 0, 0]) + size))
        parts.append(_chunk(b"ALPH", data[stream.alpha[0] : stream.alpha[1]]))
    parts.append(_chunk(stream.kind, data[stream.at : stream.end]))
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def _uint24(data: bytes, at: int) -> int:
    if at + 3 > len(data):
        raise ValueError("cut short")
    return int.from_bytes(data[at : at + 3], "little")
