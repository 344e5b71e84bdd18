"""What the reader of each format gives: the layout of a file, then its pixels as they are stored.

A reader takes from a file only what makes the picture and the few notes that change how it looks.
Everything else (comments, thumbnails, previews) is stepped over unread, so that none of it can cost
the picture, or much time.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from models.arrays import U8Array
from service.imaging.exif import Exif

#: Called often during long work; raises once the time is up.
CheckDeadline = Callable[[], None]

#: What a damaged file makes Pillow, simplejpeg and the readers here raise.
DECODER_FAULTS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True)
class ColourTags:
    """What a file says about the colour space of its numbers; each is None where it says nothing.

    Attributes:
        cicp: PNG's cICP: primaries, transfer, matrix and range by their numbers in ITU-T H.273.
        icc: An ICC profile, unchecked.
        srgb: Whether a PNG states that it is sRGB.
        gamma: PNG's gAMA: the exponent the numbers were encoded with.
        chromaticities: PNG's cHRM: x and y of white, red, green and blue.
    """

    cicp: tuple[int, int, int, int] | None = None
    icc: bytes | None = None
    srgb: bool = False
    gamma: float | None = None
    chromaticities: tuple[float, ...] | None = None


@dataclass(frozen=True)
class StoredPixels:
    """The pixels of a file as they are stored: not turned, in the file's own colour space.

    Attributes:
        colours: ``[H, W]`` grey, ``[H, W, 3]`` RGB or ``[H, W, 4]`` CMYK (255: full ink), uint8.
        alpha: Opacity ``[H, W]`` uint8, or None where the file has none.
    """

    colours: U8Array
    alpha: U8Array | None = None


def on_canvas(
    stored: StoredPixels, height: int, width: int, corner: tuple[int, int]
) -> StoredPixels:
    """A frame on its canvas, of which the rest is transparent; as it is where it fills it.

    Args:
        stored: The frame, RGB.
        height: Rows of the canvas.
        width: Columns of the canvas.
        corner: Row and column of the frame's first pixel.
    """
    rows, columns = stored.colours.shape[:2]
    if (rows, columns) == (height, width):
        return stored
    place = np.s_[corner[0] : corner[0] + rows, corner[1] : corner[1] + columns]
    canvas, opaque = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8)
    canvas[place] = stored.colours
    opaque[place] = 255 if stored.alpha is None else stored.alpha
    return StoredPixels(canvas, opaque)


class PictureFile(Protocol):
    """The layout of one file. It keeps places in the file, not the bytes themselves."""

    @property
    def width(self) -> int:
        """Columns as stored."""

    @property
    def height(self) -> int:
        """Rows as stored."""

    @property
    def frames(self) -> int:
        """Frames of an animation; 1 for a picture."""

    @property
    def scans(self) -> int:
        """How often the decoder passes over the picture."""

    @property
    def exif(self) -> Exif:
        """What EXIF data, or the format in its own way, says of how it is to be shown."""

    @property
    def colour_tags(self) -> ColourTags:
        """What the file says about its colour space."""

    @property
    def stored_bytes(self) -> int:
        """Bytes of the pixels as they are stored, opacity included."""

    @property
    def decode_bytes(self) -> int:
        """Estimate of the most memory `decode` takes at once, its result included."""

    def decode(self, data: bytes, check_deadline: CheckDeadline) -> StoredPixels:
        """Decode the first frame.

        Args:
            data: The file this layout was read from.
            check_deadline: Called between the steps; what it raises passes through.

        Raises:
            DECODER_FAULTS: If the file is damaged.
            UnsupportedFormat: If it is of a rare kind that is not read.
        """


class WatchedBytes(io.BytesIO):
    """A file in memory that looks at the clock whenever a decoder asks for more.

    Args:
        data: The file.
        check_deadline: Called before each read.
    """

    def __init__(self, data: bytes, check_deadline: CheckDeadline) -> None:
        super().__init__(data)
        self._check_deadline = check_deadline

    def read(self, size: int | None = -1, /) -> bytes:
        """Read on, unless the time is up."""
        self._check_deadline()
        return super().read(size)
