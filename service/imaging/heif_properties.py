"""What a HEIF says of its items: size, colours, opacity, and which way is up.

Source: ISO/IEC 23008-12 (HEIF), ISO/IEC 23000-22 (MIAF).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from math import floor

import numpy as np

from service.errors import UnsupportedFormat
from service.imaging.heif_boxes import Box, HeifItems

_OPACITIES = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
_MAX_PROFILE_BYTES = 8 * 1024 * 1024
# Exif's number for what becomes of the corners 0 1 / 2 3.
_ORIENTATIONS = {
    (0, 1, 2, 3): 1,
    (1, 0, 3, 2): 2,
    (3, 2, 1, 0): 3,
    (2, 3, 0, 1): 4,
    (0, 2, 1, 3): 5,
    (2, 0, 3, 1): 6,
    (3, 1, 2, 0): 7,
    (1, 3, 0, 2): 8,
}
# Coded pictures end with whole blocks, and what stands over is cut off.
_BLOCK = 64
# Pictures that go with one: its opacity, depth, gain map.
_MAX_HELPERS = 16
_LAYERS = (b"a1op", b"lsel", b"a1lx")


@dataclass(frozen=True)
class Nclx:
    """Colours told by numbers of H.273.

    Attributes:
        primaries: Of the primaries.
        transfer: Of the transfer function.
        matrix: Of the matrix.
        full_range: Whether samples use all of their range.
    """

    primaries: int
    transfer: int
    matrix: int
    full_range: bool


def size_of(data: bytes, items: HeifItems, item: int) -> tuple[int, int]:
    """Columns and rows that are stated of an item.

    Raises:
        ValueError: If none are.
        UnsupportedFormat: If it has layers.
    """
    properties = items.properties_of(item)
    if any(kind in _LAYERS for kind, _, _ in properties):
        raise UnsupportedFormat(
            "Unsupported file format: this is a picture in layers, which is not read here. "
            "Please save it without layers, or as PNG or JPEG."
        )
    at = next((at for kind, at, _ in properties if kind == b"ispe"), None)
    if at is None:
        raise ValueError("no size")
    width, height = struct.unpack_from(">II", data, at + 4)
    if not width or not height:
        raise ValueError("no size")
    return width, height


def aperture_of(
    data: bytes, properties: list[Box], width: int, height: int
) -> tuple[int, int, int, int]:
    """First column and row, columns and rows of what is to be shown (clap).

    Raises:
        ValueError: If that is not inside the picture.
        UnsupportedFormat: If more is cut off than what fills the last blocks: it would be decoded
            although no limit counts it.
    """
    at = next((at for kind, at, _ in properties if kind == b"clap"), None)
    if at is None:
        return 0, 0, width, height
    numbers = struct.unpack_from(">IIIIiIiI", data, at)
    if not all(numbers[1::2]):
        raise ValueError("a fraction of nothing")
    columns, rows, right, down = map(Fraction, numbers[::2], numbers[1::2])
    left = floor(right + (width - columns) / 2)
    top = floor(down + (height - rows) / 2)
    shown = (left, top, floor(columns), floor(rows))
    if min(left, top) < 0 or left + shown[2] > width or top + shown[3] > height:
        raise ValueError("an aperture outside the picture")
    if width - shown[2] >= _BLOCK or height - shown[3] >= _BLOCK:
        raise UnsupportedFormat(
            "Unsupported file format: this picture is to be shown cropped, which is not done here. "
            "Please save the part that is meant, or save it as PNG or JPEG."
        )
    return shown


def colours_of(data: bytes, properties: list[Box]) -> tuple[Nclx | None, bytes | None]:
    """Colours by numbers, and the profile."""
    nclx, profile = None, None
    for kind, at, end in properties:
        if kind != b"colr":
            continue
        if data[at : at + 4] == b"nclx" and nclx is None and end - at >= 11:
            primaries, transfer, matrix, full = struct.unpack_from(">HHHB", data, at + 4)
            nclx = Nclx(primaries, transfer, matrix, bool(full >> 7))
        elif data[at : at + 4] in (b"prof", b"rICC") and end - at <= _MAX_PROFILE_BYTES:
            profile = profile or data[at + 4 : end]
    return nclx, profile


def opacity_of(data: bytes, items: HeifItems, primary: int) -> int | None:
    """The item that is the opacity of the picture."""
    for item in items.referring(b"auxl", primary)[:_MAX_HELPERS]:
        for kind, at, end in items.properties_of(item):
            if kind == b"auxC" and data[at + 4 : end].split(b"\0", 1)[0] in _OPACITIES:
                return item
    return None


def orientation_of(data: bytes, properties: list[Box]) -> int:
    """Turns (irot) and mirrors (imir), in their order, as EXIF says them."""
    corners = np.arange(4).reshape(2, 2)
    for kind, at, _ in properties:
        if kind == b"irot":
            corners = np.rot90(corners, data[at] & 3)
        elif kind == b"imir":
            corners = np.flip(corners, data[at] & 1)
    first, second, third, fourth = corners.ravel().tolist()
    return _ORIENTATIONS[first, second, third, fourth]
