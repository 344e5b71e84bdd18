"""Writes a HEIF of one item, which is all a decoder is ever given."""

from __future__ import annotations

import struct

from service.imaging.heif_properties import Nclx

_IN_BYTES_0_AND_4 = 0x44  # sizes of offsets and lengths in the box of places
_ESSENTIAL = 0x80
_LOCATION_BYTES = 30


def single_item(
    brand: bytes, kind: bytes, size: tuple[int, int], config: bytes, nclx: Nclx, data: bytes
) -> bytes:
    """A file of one coded picture.

    Args:
        brand: Which kind of file it is.
        kind: Kind of its item.
        size: Columns and rows.
        config: The box that configures the decoder.
        nclx: Its colours.
        data: The bitstream.
    """
    numbers = (nclx.primaries, nclx.transfer, nclx.matrix, nclx.full_range << 7)
    properties = (
        box(b"ispe", bytes(4) + struct.pack(">II", *size))
        + config
        + box(b"colr", b"nclx" + struct.pack(">HHHB", *numbers))
    )
    uses = struct.pack(">IHB3B", 1, 1, 3, 1, 2 | _ESSENTIAL, 3)
    entry = box(b"infe", struct.pack(">IHH4sB", 2 << 24, 1, 0, kind, 0))
    boxes = b"".join(
        (
            bytes(4),
            box(b"hdlr", bytes(8) + b"pict" + bytes(13)),
            box(b"pitm", bytes(4) + struct.pack(">H", 1)),
            box(b"iinf", bytes(4) + struct.pack(">H", 1) + entry),
            box(b"iprp", box(b"ipco", properties) + box(b"ipma", bytes(4) + uses)),
        )
    )
    head = box(b"ftyp", brand + bytes(4) + brand + b"mif1")
    at = len(head) + 8 + len(boxes) + _LOCATION_BYTES + 8
    place = struct.pack(">IBBHHHHII", 0, _IN_BYTES_0_AND_4, 0, 1, 1, 0, 1, at, len(data))
    return head + box(b"meta", boxes + box(b"iloc", place)) + box(b"mdat", data)


def box(kind: bytes, body: bytes) -> bytes:
    """One box."""
    return struct.pack(">I", 8 + len(body)) + kind + body
