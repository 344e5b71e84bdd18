"""Writes AVIFs and HEICs of any kind, honest or not, from pictures that are coded already."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from service.imaging.heif_boxes import read_boxes


@dataclass(frozen=True)
class Item:
    """One item of a file.

    Attributes:
        kind: `av01`, `hvc1`, `grid`.
        data: Its bytes.
        properties: Its boxes of properties, in their order.
    """

    kind: bytes
    data: bytes
    properties: tuple[bytes, ...] = ()


#: Kind, number of the item that refers, numbers of those it refers to.
Reference = tuple[bytes, int, tuple[int, ...]]


def box(kind: bytes, *body: bytes) -> bytes:
    """One box."""
    whole = b"".join(body)
    return struct.pack(">I", 8 + len(whole)) + kind + whole


def size_box(width: int, height: int) -> bytes:
    """The property that states a size."""
    return box(b"ispe", bytes(4), struct.pack(">II", width, height))


def nclx_box(primaries: int, transfer: int, matrix: int, full_range: int = 1) -> bytes:
    """The property that states colours by numbers."""
    return box(b"colr", b"nclx", struct.pack(">HHHB", primaries, transfer, matrix, full_range << 7))


def grid_item(rows: int, across: int, width: int, height: int, *properties: bytes) -> Item:
    """A picture put together of cells."""
    data = bytes((0, 0, rows - 1, across - 1)) + struct.pack(">HH", width, height)
    return Item(b"grid", data, (size_box(width, height), *properties))


def coded_item(file: bytes, item: int = 1) -> Item:
    """A coded picture of a file that another program wrote, with its properties."""
    items = read_boxes(file)
    properties = tuple(
        box(kind, file[at:end])
        for kind, at, end in items.properties_of(item)
        if kind not in (b"irot", b"imir")
    )
    return Item(items.kinds[item], items.data_of(item, file), properties)


def write_heif(
    items: Sequence[Item],
    references: Sequence[Reference] = (),
    primary: int = 1,
    brand: bytes = b"avif",
    more: bytes = b"",
) -> bytes:
    """A file of these items, numbered from 1.

    Args:
        items: The items.
        references: How they refer to each other.
        primary: Which stands for the file.
        brand: Which kind of file it says it is.
        more: Boxes behind all others.
    """
    properties = list(dict.fromkeys(one for item in items for one in item.properties))
    uses, entries = b"", b""
    for number, item in enumerate(items, 1):
        own = bytes(1 + properties.index(one) for one in item.properties)
        uses += struct.pack(">HB", number, len(own)) + own
        infe = struct.pack(">IHH4sB", 2 << 24, number, 0, item.kind, 0)
        entries += box(b"infe", infe)
    n = len(items)
    refs = b"".join(
        box(kind, struct.pack(f">HH{len(to)}H", by, len(to), *to)) for kind, by, to in references
    )
    boxes = [
        box(b"hdlr", bytes(8), b"pict", bytes(13)),
        box(b"pitm", bytes(4), struct.pack(">H", primary)),
        box(b"iinf", bytes(4), struct.pack(">H", n), entries),
        box(b"iref", bytes(4), refs),
        box(
            b"iprp",
            box(b"ipco", *properties),
            box(b"ipma", bytes(4), struct.pack(">I", n), uses),
        ),
    ]
    head = box(b"ftyp", brand, bytes(4), brand, b"mif1")
    start = len(head) + 12 + sum(map(len, boxes)) + 16 + 14 * n + 8
    places = b""
    for number, item in enumerate(items, 1):
        places += struct.pack(">HHHII", number, 0, 1, start, len(item.data))
        start += len(item.data)
    locations = box(b"iloc", struct.pack(">IBBH", 0, 0x44, 0, n), places)
    meta = box(b"meta", bytes(4), *boxes, locations)
    return head + meta + box(b"mdat", *(item.data for item in items)) + more
