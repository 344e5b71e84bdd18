"""BMP as Windows, OS/2 and thirty years of programs write it, read by NumPy.

Source:
    Microsoft, BITMAPINFOHEADER, BITMAPV4HEADER and BITMAPV5HEADER; for OS/2, Murray and vanRyper,
    "Encyclopedia of Graphics File Formats".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from models.arrays import U8Array
from service.errors import UnsupportedFormat
from service.imaging.bmp_rle import unpack_rle
from service.imaging.container import CheckDeadline, ColourTags, StoredPixels
from service.imaging.exif import Exif

_FILE_HEADER_BYTES = 14
_OS2_1_HEADER_BYTES = 12
_SMALLEST_OS2_2_HEADER_BYTES = 16
_OS2_2_HEADER_BYTES = 64
_WINDOWS_HEADER_BYTES = 40
_WINDOWS_HEADERS = (40, 52, 56, 108, 124)
_LONGEST_HEADER_BYTES = 124

_PLAIN, _RLE8, _RLE4, _BIT_FIELDS, _ALPHA_BIT_FIELDS = 0, 1, 2, 3, 6
_STRANGE = {4: "a JPEG inside a BMP", 5: "a PNG inside a BMP"}
_OS2_STRANGE = {3: "a fax inside a BMP", 4: "an OS/2 bitmap compressed as RLE24"}
_DEFAULT_MASKS = {16: (0x7C00, 0x3E0, 0x1F, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}
_EMBEDDED_PROFILE = 0x4D424544
_STRIP_ROWS = 256
# What a strip, or a piece of run lengths, takes while it is worked on.
_WORK_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class BmpFile:
    """The layout of a BMP.

    Attributes:
        width: Columns.
        height: Rows.
        top_down: Whether the first row stored is the top one.
        bits: Bits per pixel.
        compression: 0 none, 1 RLE8, 2 RLE4, 3 none with bit fields.
        masks: Where red, green, blue and opacity are in a pixel of 16 or 32 bits.
        palette: Colours ``[256, 3]`` RGB; black beyond the last.
        pixels_at: Where the pixels begin.
        colour_tags: The ICC profile of a version 5 header.
    """

    width: int
    height: int
    top_down: bool
    bits: int
    compression: int
    masks: tuple[int, int, int, int]
    palette: U8Array
    pixels_at: int
    colour_tags: ColourTags

    @property
    def frames(self) -> int:
        """One."""
        return 1

    @property
    def scans(self) -> int:
        """One."""
        return 1

    @property
    def exif(self) -> Exif:
        """A BMP has none."""
        return Exif()

    @property
    def stored_bytes(self) -> int:
        """Always RGB, with opacity where a mask says where."""
        return self.width * self.height * (4 if self.masks[3] else 3)

    @property
    def decode_bytes(self) -> int:
        """The pixels, and a copy without padding or the indices of run lengths."""
        copied = 3 if self.bits == 24 or self.compression in (_RLE8, _RLE4) else 0
        return self.stored_bytes + _WORK_BYTES + copied * self.width * self.height

    def decode(self, data: bytes, check_deadline: CheckDeadline) -> StoredPixels:
        """Decode; see `PictureFile`."""
        if self.compression in (_RLE8, _RLE4):
            indices = unpack_rle(
                memoryview(data)[self.pixels_at :],
                self.height,
                self.width,
                nibbles=self.compression == _RLE4,
                check_deadline=check_deadline,
            )
            return StoredPixels(self.palette[self._upright(indices)])
        rows = self._upright(self._rows(data))
        check_deadline()
        if self.bits <= 8:
            return StoredPixels(self._by_palette(rows, check_deadline))
        if self.bits == 24:
            pixels = rows[:, : 3 * self.width].reshape(self.height, self.width, 3)
            return StoredPixels(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8))
        return self._by_masks(rows, check_deadline)

    def _rows(self, data: bytes) -> U8Array:
        """The stored rows with their padding ``[H, bytes]``; the last one's may be missing."""
        used = -(-self.width * self.bits // 8)
        stride = -(-self.width * self.bits // 32) * 4
        stored = np.frombuffer(data, np.uint8, offset=min(self.pixels_at, len(data)))
        if stored.size < stride * (self.height - 1) + used:
            raise ValueError("cut short")
        missing = stride * self.height - stored.size
        if missing > 0:
            stored = np.concatenate([stored, np.zeros(missing, np.uint8)])
        return stored[: stride * self.height].reshape(self.height, stride)

    def _upright(self, rows: U8Array) -> U8Array:
        return rows if self.top_down else rows[::-1]

    def _by_palette(self, rows: U8Array, check_deadline: CheckDeadline) -> U8Array:
        pixels = np.empty((self.height, self.width, 3), np.uint8)
        for top in range(0, self.height, _STRIP_ROWS):
            check_deadline()
            strip = rows[top : top + _STRIP_ROWS]
            if self.bits < 8:
                bits = np.unpackbits(strip, axis=1).reshape(len(strip), -1, self.bits)
                weights = 1 << np.arange(self.bits, dtype=np.uint8)[::-1]
                strip = (bits * weights).sum(axis=2, dtype=np.uint8)
            np.take(self.palette, strip[:, : self.width], 0, pixels[top : top + _STRIP_ROWS])
        return pixels

    def _by_masks(self, rows: U8Array, check_deadline: CheckDeadline) -> StoredPixels:
        """Cut the colours out of pixels of 16 or 32 bits.

        Opacity that is 0 everywhere was never meant: programs that know of none leave it so.
        """
        kind: npt.DTypeLike = "<u2" if self.bits == 16 else "<u4"
        pixels = np.empty((self.height, self.width, 3), np.uint8)
        alpha = np.full((self.height, self.width), 255, np.uint8)
        for top in range(0, self.height, _STRIP_ROWS):
            check_deadline()
            strip = np.ascontiguousarray(rows[top : top + _STRIP_ROWS]).view(kind)[:, : self.width]
            for channel, mask in enumerate(self.masks[:3]):
                pixels[top : top + _STRIP_ROWS, :, channel] = _cut_out(strip, mask)
            if self.masks[3]:
                alpha[top : top + _STRIP_ROWS] = _cut_out(strip, self.masks[3])
        return StoredPixels(pixels, alpha if self.masks[3] and alpha.any() else None)


def read_bmp(data: bytes) -> BmpFile:
    """Read the layout of a BMP.

    Args:
        data: A file that begins with the signature of a BMP.

    Raises:
        ValueError: If there is no picture in it.
        struct.error: If it ends too early.
        UnsupportedFormat: If its pixels are in a way hardly any program writes.
    """
    pixels_at, size = struct.unpack_from("<II", data, 10)
    if size == _OS2_1_HEADER_BYTES:
        width, height, planes, bits = struct.unpack_from("<HHHH", data, 18)
        compression = colours = 0
    elif _SMALLEST_OS2_2_HEADER_BYTES <= size <= _LONGEST_HEADER_BYTES:
        header = data[14 : 14 + min(size, _WINDOWS_HEADER_BYTES)].ljust(
            _WINDOWS_HEADER_BYTES, b"\0"
        )
        _, width, height, planes, bits, compression, _, _, _, colours, _ = struct.unpack(
            "<IiiHHIIiiII", header
        )
    else:
        raise ValueError("a header of unknown length")
    windows = size in _WINDOWS_HEADERS
    _check_kind(bits, compression, windows)
    if planes != 1 or width <= 0 or height == 0 or (height < 0 and compression in (_RLE8, _RLE4)):
        raise ValueError("no size")
    masks, palette_at = _read_masks(data, size, bits, compression)
    entry_bytes = 3 if size == _OS2_1_HEADER_BYTES else 4
    palette_end = palette_at
    if bits <= 8:
        wanted = min(colours or 1 << bits, 256)
        room = (pixels_at - palette_at) // entry_bytes if pixels_at > palette_at else wanted
        palette_end += min(wanted, room) * entry_bytes
    return BmpFile(
        width=width,
        height=abs(height),
        top_down=height < 0,
        bits=bits,
        compression=compression if windows or compression in (_RLE8, _RLE4) else _PLAIN,
        masks=masks,
        palette=_read_palette(data[palette_at:palette_end], entry_bytes),
        pixels_at=pixels_at if pixels_at >= palette_end else palette_end,
        colour_tags=ColourTags(icc=_read_profile(data, size)),
    )


def _check_kind(bits: int, compression: int, windows: bool) -> None:
    """Tell what is readable from what is rare and what is damaged."""
    strange = (_STRANGE if windows else _OS2_STRANGE).get(compression)
    if strange is not None:
        raise UnsupportedFormat(
            f"Unsupported file format: this is {strange}, which hardly any program reads. "
            "Please save it as PNG or JPEG."
        )
    known = {
        _PLAIN: (1, 2, 4, 8, 16, 24, 32),
        _RLE8: (8,),
        _RLE4: (4,),
        _BIT_FIELDS: (16, 32),
        _ALPHA_BIT_FIELDS: (16, 32),
    }
    if bits not in known.get(compression, ()):
        raise ValueError("a compression nobody knows, or not for so many bits")


def _read_masks(
    data: bytes, size: int, bits: int, compression: int
) -> tuple[tuple[int, int, int, int], int]:
    """Masks of the channels, and where the palette begins."""
    behind = _FILE_HEADER_BYTES + size
    if compression not in (_BIT_FIELDS, _ALPHA_BIT_FIELDS):
        return _DEFAULT_MASKS.get(bits, (0, 0, 0, 0)), behind
    n_masks = 4 if size >= 56 or (size < 52 and compression == _ALPHA_BIT_FIELDS) else 3
    at = _FILE_HEADER_BYTES + _WINDOWS_HEADER_BYTES
    red, green, blue, alpha = (*struct.unpack_from(f"<{n_masks}I", data, at), 0)[:4]
    return (red, green, blue, alpha), behind if size >= 52 else at + 4 * n_masks


def _read_palette(entries: bytes, entry_bytes: int) -> U8Array:
    palette = np.zeros((256, 3), np.uint8)
    count = len(entries) // entry_bytes
    stored = np.frombuffer(entries[: count * entry_bytes], np.uint8).reshape(count, entry_bytes)
    palette[:count] = stored[:, 2::-1]
    return palette


def _read_profile(data: bytes, size: int) -> bytes | None:
    if size != _LONGEST_HEADER_BYTES or len(data) < _FILE_HEADER_BYTES + size:
        return None
    (kind,) = struct.unpack_from("<I", data, _FILE_HEADER_BYTES + 56)
    at, length = struct.unpack_from("<II", data, _FILE_HEADER_BYTES + 112)
    if kind != _EMBEDDED_PROFILE or not length:
        return None
    return data[_FILE_HEADER_BYTES + at : _FILE_HEADER_BYTES + at + length] or None


def _cut_out(pixels: npt.NDArray[np.unsignedinteger], mask: int) -> U8Array:
    """One channel in 8 bits: the upper ones of more, spread evenly where there are fewer."""
    mask &= (1 << 8 * pixels.itemsize) - 1
    if mask == 0:
        return np.zeros(pixels.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    n_bits = mask.bit_length() - shift
    spare = max(0, n_bits - 8)
    levels = ((pixels & mask) >> (shift + spare)).astype(np.uint8)
    most = (1 << min(n_bits, 8)) - 1
    spread = np.rint(np.arange(256) * (255 / most)).clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(levels, spread), np.uint8)
