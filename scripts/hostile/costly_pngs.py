"""PNGs that cost a decoder dear."""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache

from PIL import Image

from scripts.hostile.drawing import encode
from scripts.hostile.mutations import split
from scripts.hostile.recipe import MOST_BYTES, SIDES, Numbers, Recipe, noise, varied
from scripts.hostile.seeds import CHANNELS, DEPTHS, png_chunk, png_file

_CHUNKS = (
    b"tEXt",
    b"zTXt",
    b"iTXt",
    b"abCd",
    b"IDAT",
    b"tIME",
    b"eXIf",
    b"iCCP",
    b"sPLT",
    b"fcTL",
    b"gAMA",
    b"PLTE",
)
#: What stands before the packed bytes of those that have them.
_PACKED = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0", b"iCCP": b"a\0\0"}
_PNG = {
    **SIDES,
    "kind": (1, 0, 4),
    "depth": (0, 0, 4),
    "interlaced": (0, 0, 1),
    "filter": (4, 0, 4),
    "noise": (0, 0, 255),
    "idat": (1 << 20, 1, 1 << 20),
    "clear": (0, 0, 1),
}
_CHUNK = {
    "kind": (0, 0, len(_CHUNKS) - 1),
    "payload": (0, 0, 1_000_000),
    "unpacked": (0, 0, 50_000_000),
    "count": (900_000, 1, 900_000),
    "before": (1, 0, 1),
}


_KINDS = (
    (0, 0, "grey 1"),
    (0, 4, "grey 16"),
    (1, 0, "RGB 8"),
    (1, 1, "RGB 16"),
    (2, 0, "palette 1"),
    (2, 3, "palette 8"),
    (3, 1, "grey and alpha 16"),
    (4, 0, "RGBA 8"),
    (4, 1, "RGBA 16"),
)


def png_recipes() -> list[Recipe]:
    """Those of PNG."""
    return [
        *(
            Recipe(
                f"png {name}{' interlaced' * interlaced}",
                _png,
                varied(_PNG, kind=kind, depth=depth, interlaced=interlaced),
            )
            for kind, depth, name in _KINDS
            for interlaced in (0, 1)
        ),
        Recipe("png noisy", _png, varied(_PNG, noise=3, width=4000)),
        Recipe("png tiny IDATs", _png, varied(_PNG, idat=1)),
        Recipe("png transparent colour", _png, varied(_PNG, clear=1, depth=1)),
        *(
            Recipe(f"png chunks {kind.decode()}", _png_chunks, varied(_CHUNK, kind=at))
            for at, kind in enumerate(_CHUNKS)
        ),
        *(
            Recipe(
                f"png {kind.decode()} that unpacks",
                _png_chunks,
                varied(_CHUNK, kind=at, unpacked=40_000_000, count=200),
            )
            for at, kind in enumerate(_CHUNKS)
            if kind in _PACKED
        ),
        *(
            Recipe(
                f"png empty blocks {order}",
                _png_blocks,
                {"order": (order, 1, 4), "count": (900_000, 1, 900_000)},
            )
            for order in (1, 4)
        ),
    ]


def _png(n: Numbers) -> bytes:
    """Any colour type, depth and filter; rows of noise, packed into chunks of so many bytes."""
    kind, depths = list(DEPTHS.items())[n["kind"]]
    depth = depths[n["depth"] % len(depths)]
    bits = depth * CHANNELS[kind]
    packed = _packed_rows(n["width"], n["height"], bits, n["interlaced"], n["filter"], n["noise"])
    chunks = []
    if kind == 3:
        chunks.append(png_chunk(b"PLTE", bytes(i & 255 for i in range(3 << depth))))
    if n["clear"] and kind < 4:
        chunks.append(png_chunk(b"tRNS", bytes(1 if kind == 3 else 6 if kind == 2 else 2)))
    step = max(n["idat"], len(packed) // 1_000_000, 1)
    chunks += [png_chunk(b"IDAT", packed[at : at + step]) for at in range(0, len(packed), step)]
    return png_file((n["width"], n["height"]), kind, depth, n["interlaced"], *chunks)


@lru_cache(8)
def _packed_rows(  # all that decides the bytes
    width: int, height: int, bits: int, interlaced: int, filtered: int, level: int
) -> bytes:
    packer = zlib.compressobj(1)
    passes = ((8, 8), (8, 8), (8, 4), (4, 4), (4, 2), (2, 2), (2, 1)) if interlaced else ((1, 1),)
    packed = b""
    for down, right in passes:
        columns = -(-max(1, -(-width // right)) * bits // 8)
        rows = noise(columns + 1, -(-height // down), 1, level)[..., 0].copy()
        rows[:, 0] = filtered
        packed += packer.compress(rows.tobytes())
    return packed + packer.flush()


def _png_chunks(n: Numbers) -> bytes:
    """So many chunks of one kind, before or behind the pixels of a small picture."""
    kind = _CHUNKS[n["kind"]]
    payload = b"" if kind == b"IDAT" else _note(kind, b"\0" * n["unpacked"], n["payload"])
    chunk = png_chunk(kind, payload)
    many = chunk * min(n["count"], (MOST_BYTES - 10_000) // len(chunk))
    parts = split(encode(Image.new("RGB", (64, 64), "grey"), "PNG"))
    at = 2 if n["before"] else len(parts) - 1
    return b"".join((*parts[:at], many, *parts[at:]))


def _note(kind: bytes, unpacked: bytes, n_bytes: int) -> bytes:
    if kind in _PACKED:
        return _PACKED[kind] + zlib.compress(unpacked)
    return b"a\0" + bytes(n_bytes)


def _png_blocks(n: Numbers) -> bytes:
    """Pixels behind hundreds of thousands of empty blocks, each with a code table of its own."""
    unit = _empty_blocks(n["order"])
    rows = bytes(64 * (1 + 64 * 3))
    last = zlib.compressobj(wbits=-15)
    many = unit * min(n["count"], (MOST_BYTES - 10_000) // len(unit))
    packed = b"\x78\x01" + many + last.compress(rows) + last.flush()
    packed += struct.pack(">I", zlib.adler32(rows))
    return png_file((64, 64), 2, 8, 0, png_chunk(b"IDAT", packed))


def _empty_blocks(order: int) -> bytes:
    """Eight deflate blocks without data, whose longest codes have ``2 ** order - 1`` bits.

    Source: RFC 1951, 3.2.7.
    """
    longest = (1 << order) - 1
    used = [*range(1, longest + 1), 18]  # lengths, and 18: a run of zeros
    rank = {symbol: number for number, symbol in enumerate(used)}
    places = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)

    def number(value: int, width: int) -> str:
        return f"{value:0{width}b}"[::-1]

    bits = "0" + number(2, 2) + number(0, 5) + number(0, 5) + number(15, 4)
    bits += "".join(number(order if place in rank else 0, 3) for place in places)
    zeros = 256 - longest
    for run in (138, zeros - 138):
        bits += f"{rank[18]:0{order}b}" + number(run - 11, 7)
    for length in (longest, *range(longest, 0, -1), 1):  # the last one is a distance's
        bits += f"{rank[length]:0{order}b}"
    bits += "1" if longest == 1 else "0"  # the end of the block
    eight = bits * 8
    return bytes(int(eight[at : at + 8][::-1], 2) for at in range(0, len(eight), 8))
