"""PNG: the chunks that make the picture, and the few that say how its numbers are meant.

Source: Portable Network Graphics (PNG) Specification (Third Edition), W3C 2025.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from dataclasses import dataclass, field
from functools import cached_property, reduce

import cv2
import numpy as np
from PIL import Image

from models.arrays import U8Array, U16Array
from service.errors import UnsupportedFormat
from service.imaging.container import CheckDeadline, ColourTags, StoredPixels, WatchedBytes
from service.imaging.encode import chunk
from service.imaging.exif import Exif, read_exif

Samples = U8Array | U16Array

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6
_DEPTHS = {
    _GREY: (1, 2, 4, 8, 16),
    _RGB: (8, 16),
    _PALETTE: (1, 2, 4, 8),
    _GREY_ALPHA: (8, 16),
    _RGBA: (8, 16),
}
_CHUNK_FRAME_BYTES = 12
# Chunks that are used although the picture could be shown without; the first of each counts.
_NOTES = (b"tRNS", b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"eXIf", b"acTL")
_MAX_PROFILE_BYTES = 8 * 1024 * 1024
_PROFILE_NAME_BYTES = 80
# Bytes per pixel while Pillow's picture is copied into an array, measured: Pillow keeps RGB in four
# bytes, and the copy exists twice for a moment.
_COPIES_BYTES = {_GREY: 3, _RGB: 10, _PALETTE: 11, _GREY_ALPHA: 12, _RGBA: 12}
_DEEP_GREY_BYTES = 7
_DEEP_COLOUR_KEY_BYTES = 18


@dataclass(frozen=True)
class PngFile:
    """The layout of a PNG.

    Attributes:
        width: Columns.
        height: Rows.
        depth: Bits per sample.
        colour_type: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA.
        interlaced: Whether the rows come in seven passes (Adam7).
        palette: Colours, three bytes each.
        data_at: Where the pieces of compressed pixels begin.
        data_bytes: How long they are.
        notes: Ancillary chunks by their kind.
    """

    width: int
    height: int
    depth: int
    colour_type: int
    interlaced: bool
    palette: bytes = b""
    data_at: array[int] = field(default_factory=lambda: array("I"))
    data_bytes: array[int] = field(default_factory=lambda: array("I"))
    notes: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def scans(self) -> int:
        """One pass of work, in as many pieces as it may be."""
        return 1

    @property
    def frames(self) -> int:
        """Frames of an animation (APNG), as its head counts them."""
        head = self.notes.get(b"acTL", b"")
        return max(1, struct.unpack_from(">I", head)[0]) if len(head) == 8 else 1

    @property
    def exif(self) -> Exif:
        """What EXIF says, wherever it stands."""
        return read_exif(self.notes.get(b"eXIf"))

    @cached_property
    def colour_tags(self) -> ColourTags:
        """The colour chunks; a malformed one says nothing."""
        cicp, gamma = self.notes.get(b"cICP", b""), self.notes.get(b"gAMA", b"")
        chromaticities = self.notes.get(b"cHRM", b"")
        return ColourTags(
            cicp=(cicp[0], cicp[1], cicp[2], cicp[3]) if len(cicp) == 4 else None,
            icc=_unpack_profile(self.notes.get(b"iCCP", b"")),
            srgb=len(self.notes.get(b"sRGB", b"")) == 1,
            gamma=struct.unpack(">I", gamma)[0] / 100_000 if len(gamma) == 4 else None,
            chromaticities=tuple(v / 100_000 for v in struct.unpack(">8I", chromaticities))
            if len(chromaticities) == 32
            else None,
        )

    @property
    def stored_bytes(self) -> int:
        """Grey or RGB, with opacity where there is some."""
        grey = self.colour_type in (_GREY, _GREY_ALPHA)
        alpha = self.colour_type in (_GREY_ALPHA, _RGBA) or b"tRNS" in self.notes
        return self.width * self.height * ((1 if grey else 3) + alpha)

    @property
    def decode_bytes(self) -> int:
        """Pillow's picture, the arrays made of it, and the compressed data once more."""
        per_pixel = _COPIES_BYTES[self.colour_type]
        if self.depth == 16 and self.colour_type == _GREY:
            per_pixel = _DEEP_GREY_BYTES
        elif self.depth == 16 and self.colour_type == _RGB and b"tRNS" in self.notes:
            per_pixel = _DEEP_COLOUR_KEY_BYTES
        return self.width * self.height * per_pixel + sum(self.data_bytes)

    def decode(self, data: bytes, check_deadline: CheckDeadline) -> StoredPixels:
        """Decode; see `PictureFile`. 16 bits a sample become 8."""
        key = self.notes.get(b"tRNS", b"")
        if self.depth == 16 and self.colour_type == _RGB and len(key) == 6:
            return self._deep_colour_key(data, check_deadline)
        with self._open(data, check_deadline) as image:
            image.load()
            check_deadline()
            if self.colour_type == _PALETTE:
                return StoredPixels(np.asarray(image.convert("RGB")), self._palette_alpha(image))
            if self.colour_type in (_GREY_ALPHA, _RGBA):
                return _split_alpha(np.asarray(image), grey=self.colour_type == _GREY_ALPHA)
            if self.colour_type == _RGB:
                colours = np.asarray(image)
                return StoredPixels(colours, _colour_key(colours, key))
            grey_8, levels = _grey(image, self.depth)
        if len(key) != 2:
            return StoredPixels(grey_8)
        level = struct.unpack(">H", key)[0] & ((1 << self.depth) - 1)
        if self.depth < 16:  # as `_grey` spreads it over 0..255
            level = level * 255 // ((1 << self.depth) - 1)
        return StoredPixels(grey_8, _inverted(_equal(levels, level)))

    def _palette_alpha(self, image: Image.Image) -> U8Array | None:
        key = self.notes.get(b"tRNS")
        if not key:
            return None
        opacity = np.full(256, 255, np.uint8)
        opacity[: min(len(key), 256)] = np.frombuffer(key[:256], np.uint8)
        return np.asarray(cv2.LUT(np.asarray(image), opacity), np.uint8)

    def _deep_colour_key(self, data: bytes, check_deadline: CheckDeadline) -> StoredPixels:
        """16 bits with one transparent colour, by OpenCV: Pillow has no 16 bits to compare."""
        file = self._without_notes(data, chunk(b"tRNS", self.notes[b"tRNS"]))
        check_deadline()
        deep = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
        if deep is None or deep.shape != (self.height, self.width, 4) or deep.dtype != np.uint16:
            raise ValueError("not a whole PNG of 16 bits")
        check_deadline()
        bgra = deep.view(np.uint8)[..., int(sys.byteorder == "little") :: 2]  # the upper bytes
        colours = cv2.cvtColor(np.ascontiguousarray(bgra[..., :3]), cv2.COLOR_BGR2RGB)
        return StoredPixels(np.asarray(colours, np.uint8), np.ascontiguousarray(bgra[..., 3]))

    def _open(self, data: bytes, check_deadline: CheckDeadline) -> Image.Image:
        """The picture, opened by Pillow."""
        return Image.open(WatchedBytes(self._without_notes(data), check_deadline), formats=["PNG"])

    def _without_notes(self, data: bytes, *but: bytes) -> bytes:
        """The same picture as a file without anything ancillary but these chunks."""
        header = struct.pack(
            ">IIBBBBB", self.width, self.height, self.depth, self.colour_type, 0, 0, self.interlaced
        )
        view = memoryview(data)
        pieces = [
            view[at : at + n] for at, n in zip(self.data_at, self.data_bytes, strict=True) if n
        ]
        parts = [SIGNATURE, chunk(b"IHDR", header)]
        if self.colour_type == _PALETTE:
            parts.append(chunk(b"PLTE", self.palette.ljust(768, b"\0")))  # beyond its end: black
        parts += but
        size = struct.pack(">I", sum(self.data_bytes))
        parts += [size, b"IDAT", *pieces]  # type: ignore[list-item]
        checksum = reduce(
            lambda sofar, piece: zlib.crc32(piece, sofar), pieces, zlib.crc32(b"IDAT")
        )
        return b"".join((*parts, struct.pack(">I", checksum), chunk(b"IEND", b"")))


def read_png(data: bytes) -> PngFile:
    """Read the layout of a PNG.

    Args:
        data: A file that begins with the signature of a PNG.

    Raises:
        ValueError: If there is no picture in it.
        UnsupportedFormat: If it is a PNG only an iPhone reads.
    """
    size, kind = struct.unpack_from(">I4s", data, len(SIGNATURE))
    if kind == b"CgBI":
        raise UnsupportedFormat(
            "Unsupported file format: this PNG was optimised for iPhones (CgBI) and is not one "
            "other programs read. Please upload the original."
        )
    body = data[16 : 16 + 13]
    if kind != b"IHDR" or size != 13 or not _sound(data, 8, size):
        raise ValueError("no header")
    width, height, depth, colour_type, _, _, interlace = struct.unpack(">IIBBBBB", body)
    if depth not in _DEPTHS.get(colour_type, ()) or not width or not height or interlace > 1:
        raise ValueError("a header nobody understands")
    file = PngFile(width, height, depth, colour_type, bool(interlace))
    palette = _walk(data, file)
    if not file.data_at or (colour_type == _PALETTE and not palette):
        raise ValueError("no pixels or no palette")
    return PngFile(**{**file.__dict__, "palette": palette[:768]})


def _walk(data: bytes, file: PngFile) -> bytes:
    """Go from chunk to chunk, noting where the pixels are; the palette is returned.

    Of the notes a damaged one is passed over, as every viewer does.
    """
    at, palette, ended, end = 33, b"", False, len(data)
    unpack = struct.Struct(">I4s").unpack_from
    while at + 8 <= end:
        size, kind = unpack(data, at)
        if kind == b"IDAT":
            if not ended:
                file.data_at.append(at + 8)
                file.data_bytes.append(min(size, end - at - 8))
        elif kind == b"IEND":
            break
        else:
            ended = bool(file.data_at)
            if kind == b"PLTE" and not palette:
                palette = data[at + 8 : at + 8 + size]
                if not _sound(data, at, size) or not 0 < size <= 768 or size % 3:
                    raise ValueError("a damaged palette")
            elif kind in _NOTES and kind not in file.notes and _sound(data, at, size):
                file.notes[kind] = data[at + 8 : at + 8 + size]
        at += size + _CHUNK_FRAME_BYTES
    return palette


def _sound(data: bytes, at: int, size: int) -> bool:
    """Whether the chunk is all there and its checksum is right."""
    end = at + 8 + size
    if end + 4 > len(data):
        return False
    checksum: int = struct.unpack_from(">I", data, end)[0]
    return zlib.crc32(memoryview(data)[at + 4 : end]) == checksum


def _unpack_profile(body: bytes) -> bytes | None:
    """The ICC profile in an iCCP chunk; None where it is damaged or beyond all measure."""
    name_end = body[:_PROFILE_NAME_BYTES].find(b"\0")
    if name_end < 0 or body[name_end + 1 : name_end + 2] != b"\0":
        return None
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(memoryview(body)[name_end + 2 :], _MAX_PROFILE_BYTES)
    except zlib.error:
        return None
    return profile if unpacker.eof else None


def _grey(image: Image.Image, depth: int) -> tuple[U8Array, Samples]:
    """Grey in 8 bits, and the levels a transparent one is looked for among."""
    if depth == 1:
        image = image.convert("L")
    levels = np.asarray(image)
    if depth < 16:
        return levels, levels
    return np.asarray(cv2.convertScaleAbs(levels, alpha=255 / 65535), np.uint8), levels


def _split_alpha(samples: U8Array, *, grey: bool) -> StoredPixels:
    """Opacity is the last channel; Pillow makes grey of 16 bits RGB."""
    colours = cv2.extractChannel(samples, 0) if grey else cv2.cvtColor(samples, cv2.COLOR_RGBA2RGB)
    alpha = cv2.extractChannel(samples, samples.shape[2] - 1)
    return StoredPixels(np.asarray(colours, np.uint8), np.asarray(alpha, np.uint8))


def _colour_key(colours: U8Array, key: bytes) -> U8Array | None:
    """Opacity where one colour of 8 bits is transparent; None where none is."""
    if len(key) != 6:
        return None
    return _inverted(_equal(colours, list(struct.unpack(">xBxBxB", key))))


def _equal(samples: Samples, value: int | list[int]) -> U8Array:
    """255 where the samples are these, else 0."""
    wanted = tuple(value) if isinstance(value, list) else (value,)
    return np.asarray(cv2.inRange(samples, wanted, wanted), np.uint8)


def _inverted(mask: U8Array) -> U8Array:
    return np.asarray(cv2.bitwise_not(mask), np.uint8)
