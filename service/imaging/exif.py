"""The two things EXIF says that change how a picture looks: which way is up, and Adobe RGB.

Three directories at most are read, each once and none of their neighbours, so that neither a loop
nor a huge directory costs anything.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_ORIENTATION = 0x0112
_EXIF_DIRECTORY = 0x8769
_INTEROPERABILITY_DIRECTORY = 0xA005
_COLOUR_SPACE = 0xA001
_INTEROPERABILITY_INDEX = 0x0001

_BYTE_ORDER = {b"II": "<", b"MM": ">"}
_ENTRY_BYTES = 12
# Real directories have some dozens; it is damage or malice that has thousands.
_MAX_ENTRIES = 4096
_FORMAT_OF_TYPE = {1: "B", 3: "H", 4: "I"}
_SRGB = 1
_ADOBE_RGB = 2
_LAST_ORIENTATION = 8


@dataclass(frozen=True)
class Exif:
    """What EXIF data says of how a picture is to be shown.

    Attributes:
        orientation: 1..8; how the stored pixels must be turned to be upright.
        adobe_rgb: Whether the colours are Adobe RGB, as cameras say it: by the interoperability
            index R03 of the DCF standard, or by the colour space 2 some of them write.
    """

    orientation: int = 1
    adobe_rgb: bool = False


def read_exif(data: bytes | None) -> Exif:
    """Read EXIF data; where it is damaged it says nothing.

    Args:
        data: From the TIFF header on, with or without `Exif` and two zeros before it.
    """
    if not data:
        return Exif()
    tiff = data.removeprefix(b"Exif\0\0")
    order = _BYTE_ORDER.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return Exif()
    main = _directory(tiff, order, struct.unpack_from(order + "I", tiff, 4)[0])
    orientation = main.get(_ORIENTATION, 1)
    camera = _directory(tiff, order, main.get(_EXIF_DIRECTORY, 0))
    interoperability = _directory(tiff, order, camera.get(_INTEROPERABILITY_DIRECTORY, 0))
    space = camera.get(_COLOUR_SPACE)
    is_r03 = interoperability.get(_INTEROPERABILITY_INDEX) == int.from_bytes(b"R03", "big")
    return Exif(
        orientation if 1 <= orientation <= _LAST_ORIENTATION else 1,
        space == _ADOBE_RGB or (is_r03 and space != _SRGB),
    )


def _directory(tiff: bytes, order: str, at: int) -> dict[int, int]:
    """The single numbers of a directory by their tag; a short text is the number of its letters."""
    return {} if at < 8 else dict(_entries(tiff, order, at))


def _entries(tiff: bytes, order: str, at: int) -> Iterator[tuple[int, int]]:
    if at + 2 > len(tiff):
        return
    (count,) = struct.unpack_from(order + "H", tiff, at)
    in_file = (len(tiff) - at - 2) // _ENTRY_BYTES
    for i in range(min(count, in_file, _MAX_ENTRIES)):
        entry = at + 2 + i * _ENTRY_BYTES
        tag, kind, values = struct.unpack_from(order + "HHI", tiff, entry)
        value = tiff[entry + 8 : entry + _ENTRY_BYTES]
        if kind in _FORMAT_OF_TYPE and values == 1:
            yield tag, struct.unpack_from(order + _FORMAT_OF_TYPE[kind], value)[0]
        elif kind == 2 and values <= len(value):
            yield tag, int.from_bytes(value.rstrip(b"\0"), "big")
