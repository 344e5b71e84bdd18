"""Writes TIFFs of any kind, honest or not: byte orders, tiles, planes, predictors, compressions."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

PLAIN, LZW, JPEG, DEFLATE, PACK_BITS = 1, 5, 7, 8, 32773
#: Photometric interpretations.
WHITE_IS_ZERO, GREY, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
_STRUCTS = {1: "B", 2: "B", 3: "H", 4: "I", 7: "B"}
_JPEG_SPACES = {1: "GRAY", 3: "RGB", 4: "CMYK"}

Samples = npt.NDArray[np.unsignedinteger[Any]]
#: Type and values of a tag.
Tag = tuple[int, tuple[int, ...] | bytes]


@dataclass(frozen=True)
class TiffLayout:
    """How a TIFF is written.

    Attributes:
        photometric: What the samples mean.
        compression: How they are packed.
        order: Byte order, `<` or `>`.
        rows: Rows of a strip, or None for all.
        tile: Height and width of a tile, or None for strips.
        planar: Whether each sample has a plane.
        predictor: Whether samples are stored as differences.
        bits: Bits of a sample where they are fewer than 8.
        tags: More tags, or others than would be written.
    """

    photometric: int = RGB
    compression: int = PLAIN
    order: str = "<"
    rows: int | None = None
    tile: tuple[int, int] | None = None
    planar: bool = False
    predictor: bool = False
    bits: int | None = None
    tags: Mapping[int, Tag] = field(default_factory=dict)


def write_tiff(samples: Samples, layout: TiffLayout) -> bytes:
    """A TIFF of one page.

    Args:
        samples: ``[H, W, S]`` uint8 or uint16.
        layout: How to write them.
    """
    height, width, n = samples.shape
    bits = layout.bits or 8 * samples.itemsize
    tile_height, tile_width = layout.tile or (layout.rows or height, width)
    pieces = [
        pack(piece, bits, layout)
        for plane in (np.split(samples, n, axis=2) if layout.planar else [samples])
        for y in range(0, height, tile_height)
        for x in range(0, width, tile_width)
        for piece in [_cut(plane[y : y + tile_height, x : x + tile_width], layout)]
    ]
    at = [8 + sum(map(len, pieces[:i])) for i in range(len(pieces))]
    places: dict[int, Tag] = (
        {322: (3, (tile_width,)), 323: (3, (tile_height,)), 324: (4, tuple(at))}
        if layout.tile
        else {273: (4, tuple(at)), 278: (4, (tile_height,))}
    )
    tags: dict[int, Tag] = {
        256: (4, (width,)),
        257: (4, (height,)),
        258: (3, (bits,) * n),
        259: (3, (layout.compression,)),
        262: (3, (layout.photometric,)),
        277: (3, (n,)),
        284: (3, (2 if layout.planar else 1,)),
        **places,
        325 if layout.tile else 279: (4, tuple(map(len, pieces))),
        **({317: (3, (2,))} if layout.predictor else {}),
        **layout.tags,
    }
    body = b"".join(pieces)
    body += bytes(len(body) % 2)
    return (
        tiff_head(layout.order, 8 + len(body)) + body + directory(tags, layout.order, 8 + len(body))
    )


def tiff_head(order: str, at: int) -> bytes:
    """The first eight bytes: where the first directory is."""
    return (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, at)


def directory(tags: Mapping[int, Tag], order: str, at: int, behind: int = 0) -> bytes:
    """A directory that begins at a place of the file, and the values it points to."""
    entries, values = b"", b""
    values_at = at + 2 + 12 * len(tags) + 4
    for tag, (kind, numbers) in sorted(tags.items()):
        value = struct.pack(f"{order}{len(numbers)}{_STRUCTS[kind]}", *numbers)
        if len(value) > 4:
            where, values = values_at + len(values), values + value + bytes(len(value) % 2)
            value = struct.pack(order + "I", where)
        entries += struct.pack(order + "HHI", tag, kind, len(numbers)) + value.ljust(4, b"\0")
    return struct.pack(order + "H", len(tags)) + entries + struct.pack(order + "I", behind) + values


def pack(piece: Samples, bits: int, layout: TiffLayout) -> bytes:
    """One strip or tile ``[H, W, S]`` as it is stored."""
    if layout.compression == JPEG:
        space = _JPEG_SPACES[piece.shape[2]]
        pixels = np.ascontiguousarray(piece, np.uint8)
        return bytes(
            simplejpeg.encode_jpeg(pixels, quality=90, colorspace=space, colorsubsampling="444")
        )
    if layout.predictor:
        piece = np.diff(piece, axis=1, prepend=np.zeros_like(piece[:, :1]))
    if bits < 8:
        spread = piece[..., None] >> np.arange(bits - 1, -1, -1) & 1
        rows = np.packbits(spread.reshape(len(piece), -1).astype(np.uint8), axis=1)
    else:
        ordered = piece.astype(f"{layout.order}u{piece.itemsize}")
        rows = np.ascontiguousarray(ordered).view(np.uint8).reshape(len(piece), -1)
    return compress(rows, layout.compression)


def compress(rows: npt.NDArray[np.uint8], compression: int) -> bytes:
    """Rows of bytes, packed."""
    if compression == DEFLATE:
        return zlib.compress(rows.tobytes(), 1)
    if compression not in (LZW, PACK_BITS):
        return rows.tobytes()
    name = "tiff_lzw" if compression == LZW else "packbits"
    file = io.BytesIO()
    Image.fromarray(rows).save(file, "TIFF", compression=name, tiffinfo={278: len(rows)})
    data = file.getvalue()
    tags = {}
    (at,) = struct.unpack_from("<I", data, 4)
    for i in range(struct.unpack_from("<H", data, at)[0]):
        tag, _, n, value = struct.unpack_from("<HHII", data, at + 2 + 12 * i)
        tags[tag] = (n, value)
    if tags[273][0] != 1:
        raise ValueError("more than one strip")
    return data[tags[273][1] :][: tags[279][1]]


def _cut(piece: Samples, layout: TiffLayout) -> Samples:
    """A tile is filled up where the picture ends."""
    if layout.tile is None:
        return piece
    height, width = layout.tile
    return np.pad(piece, ((0, height - len(piece)), (0, width - piece.shape[1]), (0, 0)), "edge")
