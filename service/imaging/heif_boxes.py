"""The boxes of an AVIF or a HEIC: which items it has, where they are, and what is said of them.

Every loop is bounded, and of boxes in boxes only the known ones are opened, each at its own depth.

Source: ISO/IEC 14496-12 (boxes), ISO/IEC 23008-12 (items and their properties).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

Box = tuple[bytes, int, int]

_MAX_BOXES = 10_000
_MAX_ENTRIES = 20_000
_MAX_TRACKS = 8
_IN_FILE, _IN_STORE = 0, 1


@dataclass
class HeifItems:
    """What the boxes say.

    Attributes:
        primary: Number of the item that is the picture, or None.
        kinds: Kind of each item.
        extents: Pieces of each item in the file: beginning and end.
        references: Kind, item that refers and items referred to.
        properties: Kind, beginning and end of each property.
        uses: Which properties an item has, by their place among these.
        frames: Pictures of the longest track of a sequence, or 0.
    """

    primary: int | None = None
    kinds: dict[int, bytes] = field(default_factory=dict)
    extents: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    references: list[tuple[bytes, int, tuple[int, ...]]] = field(default_factory=list)
    properties: list[Box] = field(default_factory=list)
    uses: dict[int, tuple[int, ...]] = field(default_factory=dict)
    frames: int = 0

    def properties_of(self, item: int) -> list[Box]:
        """The properties of an item, in their order."""
        used = self.uses.get(item, ())
        return [self.properties[i - 1] for i in used if 0 < i <= len(self.properties)]

    def referred(self, kind: bytes, item: int) -> tuple[int, ...]:
        """The items that an item refers to in one way."""
        return next((to for k, by, to in self.references if (k, by) == (kind, item)), ())

    def referring(self, kind: bytes, item: int) -> list[int]:
        """The items that refer to an item in one way."""
        return [by for k, by, to in self.references if k == kind and item in to]

    def data_of(self, item: int, data: bytes) -> bytes:
        """The bytes of an item.

        Raises:
            ValueError: If it has none, or more than the file.
        """
        extents = self.extents.get(item, [])
        if not extents or sum(end - at for at, end in extents) > len(data):
            raise ValueError("an item without data, or with too much")
        return b"".join(data[at:end] for at, end in extents)


def read_boxes(data: bytes) -> HeifItems:
    """Read the boxes of a file.

    Raises:
        ValueError: If they are damaged, or too many.
        struct.error: If a box ends too early.
    """
    items, boxes = HeifItems(), first_boxes(data, 0, len(data))
    if b"meta" in boxes:
        at, end = boxes[b"meta"]
        _read_meta(data, at + 4, end, items)
    if b"moov" in boxes:
        tracks = [box for box in children(data, *boxes[b"moov"]) if box[0] == b"trak"]
        items.frames = max(
            (_samples(data, at, end) for _, at, end in tracks[:_MAX_TRACKS]), default=0
        )
    return items


def first_boxes(data: bytes, at: int, end: int) -> dict[bytes, tuple[int, int]]:
    """Beginning and end of the first box of each kind between two places."""
    return {kind: (start, until) for kind, start, until in reversed(children(data, at, end))}


def children(data: bytes, at: int, end: int) -> list[Box]:
    """Kind, beginning and end of the boxes between two places; what is cut short ends there."""
    found: list[Box] = []
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, at)
        body = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, body)
            body += 8
        elif size == 0:
            size = end - at
        if size < body - at or len(found) >= _MAX_BOXES:
            raise ValueError("a box smaller than its head, or too many")
        found.append((kind, body, min(at + size, end)))
        at += size
    return found


def _samples(data: bytes, at: int, end: int) -> int:
    """How many samples a track has."""
    for wanted in (b"mdia", b"minf", b"stbl", b"stsz"):
        boxes = first_boxes(data, at, end)
        if wanted not in boxes:
            return 0
        at, end = boxes[wanted]
    return int(struct.unpack_from(">I", data, at + 8)[0])


def _read_meta(data: bytes, at: int, end: int, items: HeifItems) -> None:
    boxes = first_boxes(data, at, end)
    if b"pitm" in boxes:
        start = boxes[b"pitm"][0]
        (items.primary,) = struct.unpack_from(">I" if data[start] else ">H", data, start + 4)
    if b"iinf" in boxes:
        _read_kinds(data, *boxes[b"iinf"], items)
    if b"iloc" in boxes:
        _Locations(data, *boxes[b"iloc"], boxes.get(b"idat", (0, 0))).read(items)
    if b"iref" in boxes:
        _read_references(data, *boxes[b"iref"], items)
    if b"iprp" in boxes:
        for kind, start, until in children(data, *boxes[b"iprp"]):
            if kind == b"ipco":
                items.properties = children(data, start, until)
            elif kind == b"ipma":
                _read_uses(data, start, until, items)


def _read_kinds(data: bytes, at: int, end: int, items: HeifItems) -> None:
    for kind, start, until in children(data, at + (8 if data[at] else 6), end):
        version = data[start]
        if kind == b"infe" and version in (2, 3) and until - start >= 12 + 2 * (version == 3):
            (item,) = struct.unpack_from(">H" if version == 2 else ">I", data, start + 4)
            name_at = start + (8 if version == 2 else 10)
            items.kinds.setdefault(item, data[name_at : name_at + 4])


class _Locations:
    """The box that says where the items are (iloc).

    Args:
        data: The file.
        at: Where its body begins.
        end: Where it ends.
        store: Beginning and end of the box of small items (idat).
    """

    def __init__(self, data: bytes, at: int, end: int, store: tuple[int, int]) -> None:
        self._data, self._at, self._end, self._store = data, at, end, store

    def _number(self, n_bytes: int) -> int:
        at, self._at = self._at, self._at + n_bytes
        if self._at > self._end:
            raise ValueError("places cut short")
        return int.from_bytes(self._data[at : self._at], "big")

    def read(self, items: HeifItems) -> None:
        """Note the pieces of every item that is in the file."""
        version, _, sizes = self._number(1), self._number(3), self._number(2)
        offset, length, base, index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
        wide = 4 if version == 2 else 2
        n_extents = 0
        for _ in range(self._number(wide)):
            item = self._number(wide)
            method = self._number(2) & 15 if version else _IN_FILE
            self._number(2)  # which file
            start = self._number(base)
            pieces = []
            n_pieces = self._number(2)
            n_extents += 1 + n_pieces
            if n_extents > _MAX_ENTRIES:
                raise ValueError("too many pieces")
            for _ in range(n_pieces):
                self._number(index if version else 0)
                pieces.append((start + self._number(offset), self._number(length)))
            if method in (_IN_FILE, _IN_STORE):
                items.extents.setdefault(item, [self._place(method, *piece) for piece in pieces])

    def _place(self, method: int, at: int, size: int) -> tuple[int, int]:
        """Beginning and end of a piece; without a size it goes to the end."""
        first, last = (0, len(self._data)) if method == _IN_FILE else self._store
        at = min(first + at, last)
        return at, min(at + size, last) if size else last


def _read_references(data: bytes, at: int, end: int, items: HeifItems) -> None:
    code = "I" if data[at] else "H"
    wide = struct.calcsize(code)
    total = 0
    for kind, start, until in children(data, at + 4, end):
        by, count = struct.unpack_from(f">{code}H", data, start)
        total += count
        if start + wide + 2 + count * wide > until or total > _MAX_ENTRIES:
            raise ValueError("references cut short, or too many")
        items.references.append(
            (kind, by, struct.unpack_from(f">{count}{code}", data, start + wide + 2))
        )


def _read_uses(data: bytes, at: int, end: int, items: HeifItems) -> None:
    version, flags = data[at], data[at + 3]
    (count,) = struct.unpack_from(">I", data, at + 4)
    at += 8
    entry, most = ("H", 0x7FFF) if flags & 1 else ("B", 0x7F)
    head = struct.Struct(">IB" if version else ">HB")
    if count > _MAX_ENTRIES:
        raise ValueError("too many uses")
    for _ in range(count):
        if at + head.size > end:
            raise ValueError("uses cut short")
        item, n = head.unpack_from(data, at)
        at += head.size
        uses = struct.unpack_from(f">{n}{entry}", data, at)
        at += n * struct.calcsize(entry)
        items.uses.setdefault(item, tuple(use & most for use in uses))
