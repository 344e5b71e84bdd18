"""The strips and tiles of a TIFF, unpacked one after another.

No decoder sees a tag that a caller wrote: Deflate is zlib's alone, JPEG goes the way of every JPEG,
and for LZW and PackBits libtiff is given files of our own making, with plain bytes in strips.

Source: TIFF Revision 6.0, and Adobe's TIFF Technical Note 2 for JPEG.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from PIL import Image

from models.arrays import U8Array
from service.errors import UnsupportedFormat
from service.imaging.container import CheckDeadline
from service.imaging.jpeg import JpegFile, read_jpeg

PLAIN, LZW, JPEG, DEFLATE, OLD_DEFLATE, PACK_BITS = 1, 5, 7, 8, 32946, 32773
#: What libtiff unpacks at once, or more where a piece has more; the clock is asked in between.
BATCH_BYTES = 4 * 1024 * 1024
_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_PROGRESSIVE = 0xC2
_CMYK_COMPONENTS = 4


@dataclass(frozen=True)
class Pieces:
    """Strips or tiles, plane by plane, from left to right and from top to bottom.

    Attributes:
        compression: How each is packed.
        at: Where they are in the file.
        sizes: How many bytes they have there.
        width: Columns of one.
        height: Rows of one.
        across: How many lie side by side.
        down: How many lie one above another.
        total_height: Rows of all; a strip ends there, a tile goes on.
        tiled: Whether they are tiles.
        samples: Samples of a pixel in one piece.
        row_bytes: Bytes of its row, unpacked.
        tables: Tables that the JPEGs share.
        transform: Whether the colours of JPEGs are YCbCr.
    """

    compression: int
    at: Sequence[int]
    sizes: Sequence[int]
    width: int
    height: int
    across: int
    down: int
    total_height: int
    tiled: bool
    samples: int
    row_bytes: int
    tables: bytes
    transform: bool

    def place(self, number: int) -> tuple[int, int, int]:
        """Plane, first row and first column of a piece."""
        plane, within = divmod(number, self.across * self.down)
        return plane, within // self.across * self.height, within % self.across * self.width

    def rows(self, number: int) -> int:
        """Rows of a piece."""
        if self.tiled:
            return self.height
        return min(self.height, self.total_height - self.place(number)[1])

    def unpack(self, data: bytes, check_deadline: CheckDeadline) -> Iterator[tuple[int, U8Array]]:
        """Number and bytes ``[rows, row_bytes]`` of every piece.

        Args:
            data: The file.
            check_deadline: Called between the pieces.

        Raises:
            DECODER_FAULTS: If one is damaged or has less than it should.
            UnsupportedFormat: If there is a JPEG in it that a TIFF should not have.
        """
        if self.compression in (LZW, PACK_BITS):
            yield from self._by_libtiff(data, check_deadline)
            return
        for number in range(len(self.at)):
            check_deadline()
            packed = self._packed(data, number)
            if self.compression == JPEG:
                raw = self._jpeg(packed, self.rows(number), check_deadline)
            else:
                inflate = self.compression != PLAIN
                raw = _plain(packed, self.rows(number) * self.row_bytes, inflate=inflate)
            yield number, raw.reshape(self.rows(number), self.row_bytes)

    def _packed(self, data: bytes, number: int) -> memoryview:
        return memoryview(data)[self.at[number] : self.at[number] + self.sizes[number]]

    def _by_libtiff(
        self, data: bytes, check_deadline: CheckDeadline
    ) -> Iterator[tuple[int, U8Array]]:
        """Some pieces at a time, as strips of one picture in grey."""
        per_plane = self.across * self.down
        per_batch = max(1, BATCH_BYTES // (self.height * self.row_bytes))
        for plane_starts in range(0, len(self.at), per_plane):
            plane_ends = plane_starts + per_plane
            for first in range(plane_starts, plane_ends, per_batch):
                check_deadline()
                batch = range(first, min(first + per_batch, plane_ends))
                file = self._as_grey(data, batch)
                with Image.open(io.BytesIO(file), formats=["TIFF"]) as image:
                    rows = np.asarray(image)
                for number in batch:
                    top = (number - first) * self.height
                    yield number, rows[top : top + self.rows(number)]

    def _as_grey(self, data: bytes, batch: range) -> bytes:
        """Pieces as the strips of a TIFF of bytes."""
        packed = [self._packed(data, number) for number in batch]
        n, n_rows = len(batch), sum(map(self.rows, batch))
        tags: list[tuple[int, int]] = [
            (256, self.row_bytes),
            (257, n_rows),
            (258, 8),
            (259, self.compression),
            (262, 1),
        ]
        lists_at = 8 + 2 + 12 * 9 + 4
        starts = lists_at + 8 * n + np.cumsum([0, *map(len, packed)])[:-1]
        where = (lists_at, lists_at + 4 * n) if n > 1 else (int(starts[0]), len(packed[0]))
        ifd = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
        ifd += struct.pack("<HHII", 273, 4, n, where[0])
        ifd += struct.pack("<HHII", 277, 4, 1, 1)
        ifd += struct.pack("<HHII", 278, 4, 1, self.height)
        ifd += struct.pack("<HHII", 279, 4, n, where[1])
        lists = struct.pack(f"<{2 * n}I", *starts.tolist(), *map(len, packed))
        return b"".join((b"II*\0\x08\0\0\0\x09\0", ifd, bytes(4), lists, *packed))

    def _jpeg(self, packed: memoryview, rows: int, check_deadline: CheckDeadline) -> U8Array:
        """A piece that is a JPEG without its tables."""
        alone = b"".join((self.tables or _SOI, packed[2:]))
        file = read_jpeg(alone)
        layout = file.layout
        if layout.frame_kind == _PROGRESSIVE:
            raise UnsupportedFormat(
                "Unsupported file format: this is a progressive JPEG inside a TIFF, which hardly "
                "any program reads. Please save it as PNG or JPEG."
            )
        size_fits = layout.width == self.width and rows <= layout.height <= self.height
        if not size_fits or len(layout.components) != self.samples:
            raise ValueError("a JPEG of another size or kind")
        if len(layout.scans) > self.samples:
            raise ValueError("a JPEG of too many scans")
        meant = replace(layout, has_jfif=False, adobe_transform=int(self.transform))
        pixels = JpegFile(meant, file.exif, file.colour_tags).decode(alone, check_deadline)
        if self.samples == _CMYK_COMPONENTS:  # not turned round here, as it is in a file of its own
            cv2.bitwise_not(pixels.colours, dst=pixels.colours)
        return np.ascontiguousarray(pixels.colours[:rows])


def jpeg_tables(tables: bytes | None) -> bytes:
    """Tables that JPEGs share, to be put before each: from the start of a file, without its end."""
    if tables is None or not tables.startswith(_SOI):
        return b""
    return tables.removesuffix(_EOI)


def _plain(packed: memoryview, wanted: int, *, inflate: bool) -> U8Array:
    """So many bytes, as they are or inflated; what follows them is nobody's."""
    raw: bytes | memoryview = packed[:wanted]
    if inflate:
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(packed, wanted)
        unpacker.decompress(unpacker.unconsumed_tail, 1)  # the checksum, if it follows
    if len(raw) < wanted:
        raise ValueError("cut short")
    return np.frombuffer(raw, np.uint8)
