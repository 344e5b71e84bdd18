"""TIFF: its first page, put together from strips or tiles by NumPy.

Source: TIFF Revision 6.0, Adobe 1992.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

import cv2
import numpy as np

from models.arrays import U8Array, U16Array
from service.imaging import tiff_tags as tags
from service.imaging.container import CheckDeadline, ColourTags, StoredPixels
from service.imaging.exif import Exif, read_exif
from service.imaging.samples import by_palette, eight_bits, unmultiply
from service.imaging.tiff_kinds import PALETTE, WHITE_IS_ZERO, YCBCR, TiffKind, kind_of, refuse
from service.imaging.tiff_pieces import BATCH_BYTES, JPEG, PLAIN, Pieces, jpeg_tables
from service.imaging.tiff_tags import BYTE_ORDER, Directory, count_pages

_CAMERA_MARK = (8, b"CR")
_EVERY_ROW = 2**32 - 1
# An 8K picture of four planes has 30,000 strips of a row, or 8,000 tiles of 64 pixels a side.
_MAX_PIECES, _MAX_JPEGS = 40_000, 10_000
# Tiles may stand over; a small picture may be one large tile.
_MOST_PADDED, _PADDED_IS_SMALL = 4, 4_194_304
_MAX_TABLES_BYTES = 4096
_MAX_PROFILE_BYTES = 8 * 1024 * 1024
_STRIP_ROWS = 128
_WORK_BYTES = 8 * 1024 * 1024
# What one piece is held in: the decoder's picture, and copies of it.
_COPIES = 3


@dataclass(frozen=True)
class TiffFile:
    """The layout of a TIFF.

    Attributes:
        width: Columns.
        height: Rows.
        frames: Pages, of which the first is used.
        order: Byte order of 16 bits, as `struct` spells it.
        kind: What the samples mean.
        pieces: Where they are.
        palette: Colours ``[2^bits, 3]`` RGB, or None.
        exif: What EXIF says, whose data a TIFF is itself.
        colour_tags: The ICC profile.
    """

    width: int
    height: int
    frames: int
    order: str
    kind: TiffKind
    pieces: Pieces
    palette: U8Array | None
    exif: Exif
    colour_tags: ColourTags

    @property
    def scans(self) -> int:
        """One pass."""
        return 1

    @property
    def stored_bytes(self) -> int:
        """A byte for every sample that is used; a palette has three."""
        more = 2 if self.palette is not None else 0
        return self.width * self.height * (len(self.kind.used) + more)

    @property
    def decode_bytes(self) -> int:
        """The samples, the colours and opacity made of them, and what is unpacked at once."""
        used = len(self.kind.used) * self.width * self.height
        apart = used if self.kind.alpha is not None else 0
        piece = max(self.pieces.height * self.pieces.row_bytes, BATCH_BYTES)
        copies = 0 if self.kind.compression == PLAIN else _COPIES
        by_palette = self.stored_bytes if self.palette is not None else 0
        return used + apart + by_palette + copies * piece + _WORK_BYTES

    def decode(self, data: bytes, check_deadline: CheckDeadline) -> StoredPixels:
        """Decode; see `PictureFile`. 16 bits a sample become 8."""
        stored = np.empty((self.height, self.width, len(self.kind.used)), np.uint8)
        for number, rows in self.pieces.unpack(data, check_deadline):
            plane, y, x = self.pieces.place(number)
            targets = self._targets(plane)
            for top in range(0, min(len(rows), self.height - y), _STRIP_ROWS):
                check_deadline()
                samples = self._samples(rows[top : top + _STRIP_ROWS])[: self.height - y - top]
                self._lay(samples, stored[y + top :, x:], targets)
        check_deadline()
        return self._finish(stored)

    def _targets(self, plane: int) -> list[int]:
        """Which of the used samples a plane has."""
        used = enumerate(self.kind.used)
        return [i for i, sample in used if not self.kind.planar or sample == plane]

    def _lay(self, samples: U8Array | U16Array, stored: U8Array, targets: list[int]) -> None:
        """Put the used ones of ``[rows, columns, samples]`` into a corner of the picture."""
        rows, columns = len(samples), min(self.pieces.width, stored.shape[1])
        for target in targets:
            source = 0 if self.kind.planar else self.kind.used[target]
            stored[:rows, :columns, target] = _to_8(samples[:, :columns, source])

    def _samples(self, rows: U8Array) -> U8Array | U16Array:
        """Rows of bytes as samples ``[rows, columns, samples]``."""
        shape = (len(rows), self.pieces.width, self.pieces.samples)
        if self.kind.bits < 8:
            bits = np.unpackbits(rows, axis=1).reshape(len(rows), -1, self.kind.bits)
            weights = 1 << np.arange(self.kind.bits, dtype=np.uint8)[::-1]
            packed = np.asarray((bits * weights).sum(axis=2, dtype=np.uint8))
            return packed[:, : self.pieces.width, None]
        samples: U8Array | U16Array = rows
        if self.kind.bits == 16:
            samples = rows.view(self.order + "u2").astype(np.uint16)
        samples = samples.reshape(shape)
        if self.kind.predicted:
            samples = np.add.accumulate(samples, axis=1, dtype=samples.dtype)
        return samples

    def _finish(self, stored: U8Array) -> StoredPixels:
        """Samples as colours and opacity."""
        n = self.kind.colours
        alpha = None
        if self.kind.alpha is not None:
            alpha = np.asarray(cv2.extractChannel(stored, n), np.uint8)
        if self.palette is not None:
            indices = np.minimum(stored[..., 0], len(self.palette) - 1)
            return StoredPixels(by_palette(indices, self.palette), alpha)
        colours = stored[..., 0] if n == 1 else np.ascontiguousarray(stored[..., :n])
        if n == 1:
            colours = np.asarray(cv2.LUT(np.ascontiguousarray(colours), self._greys()), np.uint8)
        if alpha is not None and self.kind.associated:
            unmultiply(colours, alpha)
        return StoredPixels(colours, alpha)

    def _greys(self) -> U8Array:
        """What each level of grey is in 8 bits."""
        most = (1 << min(self.kind.bits, 8)) - 1
        greys = np.rint(np.arange(256) * (255 / most)).clip(0, 255)
        inverted = self.kind.photometric == WHITE_IS_ZERO
        return np.asarray(255 - greys if inverted else greys).astype(np.uint8)


def _to_8(samples: U8Array | U16Array) -> U8Array:
    """One sample of each pixel in 8 bits."""
    if samples.dtype == np.uint16:
        return eight_bits(np.ascontiguousarray(samples, np.uint16))
    return np.asarray(samples, np.uint8)


def read_tiff(data: bytes) -> TiffFile:
    """Read the layout of a TIFF.

    Args:
        data: A file that begins with the signature of a TIFF.

    Raises:
        ValueError: If there is no picture in it.
        struct.error: If it ends too early.
        UnsupportedFormat: If it is of a kind that is not read.
    """
    at, mark = _CAMERA_MARK
    if data[at : at + len(mark)] == mark:
        refuse("a camera's raw file (CR2)")
    order = BYTE_ORDER[data[:2]]
    (at,) = struct.unpack_from(order + "I", data, 4)
    if at < 8:
        raise ValueError("no directory")
    page = Directory(data, order, at)
    kind = kind_of(page)
    width, height = page.number(tags.WIDTH, 0), page.number(tags.HEIGHT, 0)
    if not width or not height:
        raise ValueError("no size")
    return TiffFile(
        width=width,
        height=height,
        frames=count_pages(data, order, at),
        order=order,
        kind=kind,
        pieces=_pieces(data, page, kind, width, height),
        palette=_palette(page, kind) if kind.photometric == PALETTE else None,
        exif=read_exif(data),
        colour_tags=ColourTags(icc=page.raw(tags.PROFILE, _MAX_PROFILE_BYTES)),
    )


def _pieces(data: bytes, page: Directory, kind: TiffKind, width: int, height: int) -> Pieces:
    """Where the strips or tiles are; every one of them inside the file, and none twice."""
    tiled = tags.TILE_OFFSETS in page
    if tiled:
        wide, high = page.number(tags.TILE_WIDTH, 0), page.number(tags.TILE_HEIGHT, 0)
    else:
        wide, high = width, min(page.number(tags.ROWS_PER_STRIP, _EVERY_ROW), height)
    if not wide or not high:
        raise ValueError("pieces of no size")
    across, down = -(-width // wide), -(-height // high)
    if across * wide * down * high > max(_MOST_PADDED * width * height, _PADDED_IS_SMALL):
        raise ValueError("tiles far larger than the picture")
    samples = 1 if kind.planar else kind.samples
    pieces = Pieces(
        compression=kind.compression,
        at=page.numbers(tags.TILE_OFFSETS if tiled else tags.STRIP_OFFSETS, _MAX_PIECES + 1),
        sizes=page.numbers(tags.TILE_SIZES if tiled else tags.STRIP_SIZES, _MAX_PIECES + 1),
        width=wide,
        height=high,
        across=across,
        down=down,
        total_height=height,
        tiled=tiled,
        samples=samples,
        row_bytes=-(-wide * samples * kind.bits // 8),
        tables=jpeg_tables(page.raw(tags.JPEG_TABLES, _MAX_TABLES_BYTES)),
        transform=kind.photometric == YCBCR,
    )
    return _checked(data, pieces, planes=kind.samples if kind.planar else 1)


def _checked(data: bytes, pieces: Pieces, planes: int) -> Pieces:
    """The pieces the picture needs, if they can be had at a bounded cost."""
    wanted = pieces.across * pieces.down * planes
    if wanted > (_MAX_JPEGS if pieces.compression == JPEG else _MAX_PIECES):
        refuse(f"a TIFF in {wanted:,} pieces")
    if len(pieces.at) < wanted:
        raise ValueError("pieces missing")
    sizes = pieces.sizes[:wanted]
    if not sizes and pieces.compression == PLAIN:
        sizes = tuple(pieces.rows(n) * pieces.row_bytes for n in range(wanted))
    at, end = pieces.at[:wanted], len(data)
    sizes = tuple(min(size, max(0, end - start)) for start, size in zip(at, sizes, strict=True))
    if not all(sizes) or sum(sizes) > end:
        raise ValueError("pieces outside the file, or one over another")
    return replace(pieces, at=at, sizes=sizes)


def _palette(page: Directory, kind: TiffKind) -> U8Array:
    """Colours of 16 bits, of which programs write the upper 8 alone or twice."""
    n = 1 << kind.bits
    values = page.numbers(tags.PALETTE, 3 * n)
    if len(values) < 3 * n:
        raise ValueError("a palette cut short")
    return np.ascontiguousarray((np.array(values, np.uint16) >> 8).reshape(3, n).T.astype(np.uint8))
