"""GIF: the first frame, given to the decoder as a file of its own.

Source: Graphics Interchange Format, Version 89a, CompuServe 1990.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from models.arrays import U8Array
from service.imaging.container import (
    CheckDeadline,
    ColourTags,
    StoredPixels,
    WatchedBytes,
    on_canvas,
)
from service.imaging.exif import Exif
from service.imaging.samples import by_palette

_HEADER_BYTES = 13
_EXTENSION, _FRAME, _TRAILER = 0x21, 0x2C, 0x3B
_GRAPHIC_CONTROL = 0xF9
_HAS_PALETTE, _INTERLACED, _TRANSPARENT = 0x80, 0x40, 0x01
_CODE_BITS = range(1, 9)
# Of blocks, and of the pieces in them. Encoders write pieces of 255 bytes; it is malice that cuts
# ten megabytes into single ones.
_MAX_BLOCKS = 200_000
# Pillow's picture and the array made of it; then colours, and a canvas where a frame leaves some.
_COPIES_BYTES = 3
_FILLS = (0, 1)


@dataclass(frozen=True)
class GifFrame:
    """One frame.

    Attributes:
        x: Column of the canvas where it begins.
        y: Row of the canvas where it begins.
        width: Columns.
        height: Rows.
        interlaced: Whether every eighth row comes first.
        palette: Colours ``[256, 3]`` RGB; black beyond the last.
        transparent: Which index is transparent, or None.
        code_bits: Bits of the first codes.
        at: Where its pieces of codes begin.
        end: Where they end.
    """

    x: int
    y: int
    width: int
    height: int
    interlaced: bool
    palette: U8Array
    transparent: int | None
    code_bits: int
    at: int
    end: int


@dataclass(frozen=True)
class GifFile:
    """The layout of a GIF.

    Attributes:
        width: Columns of the canvas.
        height: Rows of the canvas.
        frames: How many frames there are.
        first: The first frame.
    """

    width: int
    height: int
    frames: int
    first: GifFrame

    @property
    def scans(self) -> int:
        """One."""
        return 1

    @property
    def exif(self) -> Exif:
        """A GIF has none."""
        return Exif()

    @property
    def colour_tags(self) -> ColourTags:
        """A GIF says nothing of its colour space."""
        return ColourTags()

    @property
    def stored_bytes(self) -> int:
        """RGB, with opacity where some of the canvas is left or an index transparent."""
        whole = (self.first.width, self.first.height) == (self.width, self.height)
        opaque = whole and self.first.transparent is None
        return self.width * self.height * (3 if opaque else 4)

    @property
    def decode_bytes(self) -> int:
        """Indices as Pillow's picture and as an array, and the canvas."""
        frame = self.first.width * self.first.height
        return frame * (_COPIES_BYTES + 3) + self.stored_bytes + self.first.end - self.first.at

    def decode(self, data: bytes, check_deadline: CheckDeadline) -> StoredPixels:
        """Decode; see `PictureFile`. What the first frame leaves of the canvas is transparent."""
        first = self.first
        indices = _indices(data, first, check_deadline)
        colours = by_palette(indices, first.palette)
        alpha = None
        if first.transparent is not None:
            opacity = np.full(256, 255, np.uint8)
            opacity[first.transparent] = 0
            alpha = np.asarray(cv2.LUT(indices, opacity), np.uint8)
        frame = StoredPixels(colours, alpha)
        return on_canvas(frame, self.height, self.width, (first.y, first.x))


def read_gif(data: bytes) -> GifFile:
    """Read the layout of a GIF.

    Args:
        data: A file that begins with the signature of a GIF.

    Raises:
        ValueError: If there is no picture in it.
        struct.error: If it ends too early.
    """
    width, height, flags, _, _ = struct.unpack_from("<HHBBB", data, 6)
    own_at = _HEADER_BYTES
    at = own_at + _palette_bytes(flags)
    common = data[own_at:at] if flags & _HAS_PALETTE else b""
    walk = _Walk(data, at)
    first, frames, transparent = None, 0, None
    while (kind := walk.byte()) is not None and kind != _TRAILER:
        if kind == _EXTENSION:
            label, at = walk.byte(), walk.at
            walk.skip_pieces()
            if label == _GRAPHIC_CONTROL and first is None and data[at : at + 1] == b"\4":
                transparent = data[at + 4] if data[at + 1] & _TRANSPARENT else None
        elif kind == _FRAME:
            frame_at = walk.at
            (frame_flags,) = struct.unpack_from("<8xB", data, frame_at)
            walk.at += 9 + _palette_bytes(frame_flags) + 1
            codes_at = walk.at
            walk.skip_pieces()
            frames += 1
            if first is None:
                first = _frame(data, frame_at, (codes_at, walk.at), common, transparent)
        elif kind:  # zeros between the blocks are nobody's harm
            break
    if first is None:
        raise ValueError("no frame")
    # A frame larger than the canvas enlarges it, as in browsers.
    width, height = max(width, first.x + first.width), max(height, first.y + first.height)
    return GifFile(width, height, frames, first)


class _Walk:
    """A place in a file that goes from block to block.

    Args:
        data: The file.
        at: Where the first block begins.
    """

    def __init__(self, data: bytes, at: int) -> None:
        self.at = at
        self._data, self._blocks = data, 0

    def byte(self) -> int | None:
        """The next byte; None behind the end."""
        if self.at >= len(self._data):
            return None
        self._count()
        self.at += 1
        return self._data[self.at - 1]

    def skip_pieces(self) -> None:
        """Go behind the pieces of a block, the last of which is empty, or to the end."""
        data, at, end = self._data, self.at, len(self._data)
        while at < end and data[at]:
            at += 1 + data[at]
            self._count()
        self.at = min(at + 1, end)

    def _count(self) -> None:
        self._blocks += 1
        if self._blocks > _MAX_BLOCKS:
            raise ValueError("too many blocks")


def _frame(
    data: bytes, at: int, codes: tuple[int, int], common: bytes, transparent: int | None
) -> GifFrame:
    x, y, width, height, flags = struct.unpack_from("<HHHHB", data, at)
    own = data[at + 9 : codes[0] - 1]
    if not width or not height or data[codes[0] - 1] not in _CODE_BITS:
        raise ValueError("a frame of no size or no codes")
    palette = _palette(own if flags & _HAS_PALETTE else common)
    interlaced = bool(flags & _INTERLACED)
    bits = data[codes[0] - 1]
    return GifFrame(x, y, width, height, interlaced, palette, transparent, bits, *codes)


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & _HAS_PALETTE else 0


def _palette(entries: bytes) -> U8Array:
    """Colours of the indices; greys where there is no palette at all."""
    if not entries:
        return np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    return np.frombuffer(entries.ljust(768, b"\0"), np.uint8).reshape(256, 3)


def _indices(data: bytes, frame: GifFrame, check_deadline: CheckDeadline) -> U8Array:
    """The frame's indices ``[H, W]``.

    Where the codes end too early the decoder leaves what it filled the picture with. So a last
    pixel of that value is looked at again with another filling.
    """
    for fill in _FILLS:
        still = WatchedBytes(_as_still(data, frame, fill), check_deadline)
        with Image.open(still, formats=["GIF"]) as image:
            indices = np.asarray(image)
        last = _last_row(frame.height) if frame.interlaced else frame.height - 1
        if indices[last, -1] != fill:
            return indices
    raise ValueError("cut short")


def _last_row(height: int) -> int:
    """The row that comes last where every eighth comes first: the last odd one."""
    return (height - 2) // 2 * 2 + 1 if height > 1 else 0


def _as_still(data: bytes, frame: GifFrame, fill: int) -> bytes:
    """The codes as a file without a palette, which makes the decoder give the indices."""
    size = struct.pack("<HH", frame.width, frame.height)
    flags = _INTERLACED if frame.interlaced else 0
    return b"".join(
        (
            b"GIF89a" + size + bytes(3),
            bytes((_EXTENSION, _GRAPHIC_CONTROL, 4, _TRANSPARENT, 0, 0, fill, 0)),
            bytes((_FRAME, 0, 0, 0, 0)) + size + bytes((flags, frame.code_bits)),
            memoryview(data)[frame.at : frame.end],
            bytes((0, _TRAILER)),
        )
    )
