"""What AVIF and HEIC have in common: one coded picture or a grid of them, and its opacity.

No decoder sees the boxes of a caller: each item is cut out, its size read from its own bitstream,
and decoded as a file of our making.

Source: ISO/IEC 23008-12 (HEIF), ISO/IEC 23000-22 (MIAF), AV1 Image File Format 1.1.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.arrays import U8Array
from service.errors import UnsupportedFormat
from service.imaging.container import CheckDeadline, ColourTags, StoredPixels
from service.imaging.exif import Exif
from service.imaging.heif_boxes import HeifItems
from service.imaging.heif_properties import (
    Nclx,
    aperture_of,
    colours_of,
    opacity_of,
    orientation_of,
    size_of,
)
from service.imaging.samples import unmultiply

_MAX_CELLS = 1000
_UNKNOWN = 2
# Of a cell while it is decoded, measured: the decoder's planes, its RGB, and copies of it.
_COPIES_BYTES = 24


@dataclass(frozen=True)
class Coding:
    """One coded picture, ready for its decoder.

    Attributes:
        width: Columns.
        height: Rows.
        grey: Whether it has no colours.
        decode: Gives its pixels: ``[H, W]`` or ``[H, W, 3]`` uint8.
    """

    width: int
    height: int
    grey: bool
    decode: Callable[[], U8Array]


#: Makes ready an item of the kind a format codes: the file, its items, its number, its colours.
ReadItem = Callable[[bytes, HeifItems, int, Nclx | None], Coding]


@dataclass(frozen=True)
class Mosaic:
    """A picture of one cell, or of several in rows.

    Attributes:
        width: Columns of the picture.
        height: Rows of the picture.
        across: How many cells lie side by side.
        cells: The cells, row by row.
    """

    width: int
    height: int
    across: int
    cells: tuple[Coding, ...]

    def decode(self, check_deadline: CheckDeadline) -> U8Array:
        """The pixels; what stands over is cut off."""
        first = self.cells[0]
        if len(self.cells) == 1 and (first.height, first.width) == (self.height, self.width):
            check_deadline()
            return first.decode()
        shape = (self.height, self.width) if first.grey else (self.height, self.width, 3)
        pixels = np.zeros(shape, np.uint8)
        for number, cell in enumerate(self.cells):
            check_deadline()
            y, x = number // self.across * first.height, number % self.across * first.width
            place = pixels[y : y + first.height, x : x + first.width]
            place[...] = cell.decode()[: place.shape[0], : place.shape[1]]
        return pixels


@dataclass(frozen=True)
class HeifFile:
    """The layout of an AVIF or a HEIC.

    Attributes:
        frames: Pictures of a sequence; the one that stands for it is used.
        picture: The colours.
        shown: First column and row, columns and rows of what is shown of it.
        opacity: The opacity, or None.
        associated: Whether it was multiplied into the colours.
        exif: Which way is up, by the format's own properties; those of EXIF do not count.
        colour_tags: Profile, or the numbers of H.273.
    """

    frames: int
    picture: Mosaic
    shown: tuple[int, int, int, int]
    opacity: Mosaic | None
    associated: bool
    exif: Exif
    colour_tags: ColourTags

    @property
    def width(self) -> int:
        """Columns as stored."""
        return self.shown[2]

    @property
    def height(self) -> int:
        """Rows as stored."""
        return self.shown[3]

    @property
    def scans(self) -> int:
        """One pass."""
        return 1

    @property
    def stored_bytes(self) -> int:
        """Grey or RGB, with opacity where there is some."""
        channels = 1 if self.picture.cells[0].grey else 3
        return self.width * self.height * (channels + (self.opacity is not None))

    @property
    def decode_bytes(self) -> int:
        """The pixels, and one cell while it is decoded."""
        cell = self.picture.cells[0]
        return self.stored_bytes + cell.width * cell.height * _COPIES_BYTES

    def decode(self, data: bytes, check_deadline: CheckDeadline) -> StoredPixels:
        """Decode; see `PictureFile`."""
        left, top, width, height = self.shown
        place = np.s_[top : top + height, left : left + width]
        colours = self.picture.decode(check_deadline)[place]
        if self.opacity is None:
            return StoredPixels(np.ascontiguousarray(colours))
        alpha = np.ascontiguousarray(self.opacity.decode(check_deadline)[place])
        if alpha.ndim != 2:
            raise ValueError("opacity in colours")
        colours = np.ascontiguousarray(colours)
        if self.associated:
            colours = colours.copy()
            unmultiply(colours, alpha)
        return StoredPixels(colours, alpha)


def read_heif(data: bytes, items: HeifItems, coded: bytes, read_item: ReadItem) -> HeifFile:
    """Read the layout of the picture that stands for a file.

    Args:
        data: The file.
        items: Its items.
        coded: Kind of the items that are pictures.
        read_item: Reads one of them.

    Raises:
        ValueError: If there is no such picture, or it contradicts itself.
        UnsupportedFormat: If it is of a rare kind that is not read.
    """
    primary = items.primary
    if primary is None and not items.frames:
        raise ValueError("no picture")
    if primary is None:
        raise UnsupportedFormat(
            "Unsupported file format: this is a film without a still picture. "
            "Please upload one of its pictures."
        )
    properties = items.properties_of(primary)
    nclx, profile = colours_of(data, properties)
    picture = _mosaic(data, items, primary, coded, lambda item: read_item(data, items, item, nclx))
    alpha = opacity_of(data, items, primary)
    opacity = None
    if alpha is not None:
        opacity = _mosaic(
            data, items, alpha, coded, lambda item: read_item(data, items, item, None)
        )
        if (opacity.width, opacity.height) != (picture.width, picture.height):
            raise ValueError("opacity of another size")
    cicp = None
    if nclx is not None and profile is None and nclx.transfer != _UNKNOWN:
        cicp = (nclx.primaries, nclx.transfer, 0, 1)
    return HeifFile(
        frames=max(1, items.frames),
        picture=picture,
        shown=aperture_of(data, properties, picture.width, picture.height),
        opacity=opacity,
        associated=alpha is not None and alpha in items.referred(b"prem", primary),
        exif=Exif(orientation_of(data, properties)),
        colour_tags=ColourTags(cicp=cicp, icc=profile),
    )


def _mosaic(
    data: bytes, items: HeifItems, item: int, coded: bytes, read: Callable[[int], Coding]
) -> Mosaic:
    kind = items.kinds.get(item, b"")
    width, height = size_of(data, items, item)
    if kind == coded:
        return Mosaic(width, height, 1, (read(item),))
    if kind != b"grid":
        spoken = kind.decode("ascii", "replace") if kind.isalnum() else "unknown"
        raise UnsupportedFormat(
            f"Unsupported file format: this is a HEIF picture of the kind '{spoken}', which is not "
            "read here. Please save it as PNG or JPEG."
        )
    return _grid(data, items, item, coded, read)


def _grid(
    data: bytes, items: HeifItems, item: int, coded: bytes, read: Callable[[int], Coding]
) -> Mosaic:
    head = items.data_of(item, data)
    flags, rows, across = head[1], head[2] + 1, head[3] + 1
    width, height = struct.unpack_from(">II" if flags & 1 else ">HH", head, 4)
    numbers = items.referred(b"dimg", item)
    stated = size_of(data, items, item)
    if stated != (width, height) or len(numbers) != rows * across or len(numbers) > _MAX_CELLS:
        raise ValueError("a grid of another size, or of too many cells")
    if any(items.kinds.get(number) != coded for number in numbers):
        raise ValueError("a grid of other things than pictures")
    cell_width, cell_height = size_of(data, items, numbers[0])
    if any(size_of(data, items, number) != (cell_width, cell_height) for number in numbers):
        raise ValueError("cells of several sizes")
    fits = (across - 1) * cell_width < width <= across * cell_width
    if not fits or not (rows - 1) * cell_height < height <= rows * cell_height:
        raise ValueError("cells that do not fill the picture, or stand over")
    if sum(len(items.data_of(number, data)) for number in numbers) > len(data):
        raise ValueError("cells one over another")
    cells = tuple(read(number) for number in numbers)
    if len({cell.grey for cell in cells}) > 1:
        raise ValueError("cells of several kinds")
    return Mosaic(width, height, across, cells)
