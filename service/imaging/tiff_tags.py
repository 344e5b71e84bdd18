"""The directories of a TIFF: tags with their numbers, every count and place checked.

Source: TIFF Revision 6.0, Adobe 1992.
"""

from __future__ import annotations

import struct

BYTE_ORDER = {b"II": "<", b"MM": ">"}

NEW_SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
FILL_ORDER, STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_SIZES = 266, 273, 277, 278, 279
PLANAR, PREDICTOR, PALETTE, TILE_WIDTH, TILE_HEIGHT = 284, 317, 320, 322, 323
TILE_OFFSETS, TILE_SIZES, SUB_DIRECTORIES, INK_SET, EXTRA_SAMPLES = 324, 325, 330, 332, 338
SAMPLE_FORMAT, JPEG_TABLES, PROFILE, DNG_VERSION = 339, 347, 34675, 50706

_ENTRY_BYTES = 12
# Real directories have some dozens; it is damage or malice that has thousands.
_MAX_ENTRIES = 4096
_BYTES_OF_TYPE = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1}
_NUMBERS = {1: "B", 3: "H", 4: "I"}
# More than anybody takes; smaller copies count here.
_MAX_DIRECTORIES = 1000
_REDUCED = 1


class Directory:
    """One directory; of a tag that stands there twice the first counts.

    Args:
        data: The file.
        order: Its byte order, as `struct` spells it.
        at: Where the directory begins.

    Raises:
        struct.error: If it begins behind the end of the file.
    """

    def __init__(self, data: bytes, order: str, at: int) -> None:
        self._data, self._order = data, order
        self._entries: dict[int, tuple[int, int, int]] = {}
        (count,) = struct.unpack_from(order + "H", data, at)
        unpack = struct.Struct(order + "HHI").unpack_from
        for i in range(min(count, (len(data) - at - 2) // _ENTRY_BYTES, _MAX_ENTRIES)):
            tag, kind, values = unpack(data, at + 2 + i * _ENTRY_BYTES)
            self._entries.setdefault(tag, (kind, values, at + 10 + i * _ENTRY_BYTES))

    def __contains__(self, tag: int) -> bool:
        return tag in self._entries

    def numbers(self, tag: int, most: int) -> tuple[int, ...]:
        """The numbers of a tag, at most so many; empty where it is not there.

        Raises:
            ValueError: If they are no whole numbers, or not all in the file.
        """
        if tag not in self._entries:
            return ()
        kind, count, at = self._place(tag)
        if kind not in _NUMBERS:
            raise ValueError("a tag of another type")
        wanted = f"{self._order}{min(count, most)}{_NUMBERS[kind]}"
        return struct.unpack_from(wanted, self._data, at)

    def number(self, tag: int, default: int) -> int:
        """The first number of a tag."""
        return next(iter(self.numbers(tag, 1)), default)

    def raw(self, tag: int, most: int) -> bytes | None:
        """The bytes of a tag; None where they are not all there, or more than so many."""
        if tag not in self._entries:
            return None
        try:
            kind, count, at = self._place(tag)
        except (ValueError, struct.error):
            return None
        size = count * _BYTES_OF_TYPE[kind]
        return self._data[at : at + size] if size <= most else None

    def _place(self, tag: int) -> tuple[int, int, int]:
        """Type, count and place of a tag's values."""
        kind, count, at = self._entries[tag]
        size = count * _BYTES_OF_TYPE.get(kind, 0)
        if size > 4:
            (at,) = struct.unpack_from(self._order + "I", self._data, at)
        if not 0 < size <= len(self._data) - at:
            raise ValueError("values outside the file")
        return kind, count, at


def count_pages(data: bytes, order: str, at: int) -> int:
    """How many pages a file has from this directory on; smaller copies of one are none.

    A chain that comes back to itself, or leaves the file, ends there.
    """
    pages = 0
    seen: set[int] = set()
    while 8 <= at <= len(data) - 2 and at not in seen and len(seen) < _MAX_DIRECTORIES:
        seen.add(at)
        (count,) = struct.unpack_from(order + "H", data, at)
        end = at + 2 + count * _ENTRY_BYTES
        pages += not pages or not _is_smaller_copy(data, order, at, count)
        at = struct.unpack_from(order + "I", data, end)[0] if end + 4 <= len(data) else 0
    return max(pages, 1)


def _is_smaller_copy(data: bytes, order: str, at: int, count: int) -> bool:
    """Whether the first tag of a directory, they being sorted, says so."""
    if not count or at + 2 + _ENTRY_BYTES > len(data):
        return False
    tag, _, _, value = struct.unpack_from(order + "HHII", data, at + 2)
    return bool(tag == NEW_SUBFILE_TYPE and value & _REDUCED)
