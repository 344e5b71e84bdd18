"""TIFF, GIF and AVIF files that cost a decoder dear."""

from __future__ import annotations

import struct
from functools import lru_cache

import numpy as np
from PIL import Image

from models.arrays import U8Array
from scripts.hostile.drawing import encode
from scripts.hostile.heif_files import Item, box, coded_item, grid_item, nclx_box, write_heif
from scripts.hostile.recipe import MOST_BYTES, SIDES, WIDTH, Numbers, Recipe, noise, varied
from scripts.hostile.tiff_files import (
    DEFLATE,
    GREY,
    JPEG,
    LZW,
    PACK_BITS,
    PLAIN,
    RGB,
    YCBCR,
    Samples,
    TiffLayout,
    directory,
    tiff_head,
    write_tiff,
)

_COMPRESSIONS = (PLAIN, LZW, DEFLATE, PACK_BITS, JPEG)
_NAMES = ("plain", "lzw", "deflate", "packbits", "jpeg")
_TIFF = {
    **SIDES,
    "compression": (1, 0, 4),
    "samples": (4, 1, 4),
    "deep": (1, 0, 1),
    "planar": (0, 0, 1),
    "predictor": (1, 0, 1),
    "big_endian": (1, 0, 1),
    "tile": (0, 0, 64),  # of 16 pixels; 0 for strips
    "rows": (16, 1, 4320),
    "noise": (0, 0, 255),
    "opacity": (1, 0, 2),
    "turned": (0, 0, 1),
}
_GIF = {
    **SIDES,
    "noise": (255, 0, 255),
    "colours": (256, 2, 256),
    "interlace": (1, 0, 1),
    "clear": (1, 0, 1),
    "frames": (1, 1, 100),
}
_AVIF = {
    **SIDES,
    "noise": (40, 0, 255),
    "quality": (60, 0, 100),
    "sampling": (0, 0, 2),
    "alpha": (0, 0, 1),
    "across": (1, 1, 60),
    "down": (1, 1, 60),
    "numbers": (0, 0, 1),
    "padding": (0, 0, 400_000),  # which makes a flat picture no bomb
}
# AV1 is slow to write. A tile of this size is repeated as the cells of a grid.
_MOST_CODED = 4_000_000


def tiff_recipes() -> list[Recipe]:
    """Those of TIFF."""
    small = varied(_TIFF, width=2200, height=1500, deep=0, samples=3, predictor=0)
    kinds = [
        Recipe(f"tiff {name}, {shape}", _tiff, varied(_TIFF, compression=code, **numbers))
        for code, name in enumerate(_NAMES)
        if name in ("lzw", "deflate", "packbits")
        for shape, numbers in (
            ("16 rows each", {}),
            ("one strip", {"rows": 4320}),
            ("a row each, planes", {"rows": 1, "planar": 1}),
            ("tiles of 64, planes", {"tile": 4, "planar": 1}),
            ("8 bits, turned", {"deep": 0, "turned": 1}),
        )
    ]
    return [
        *kinds,
        Recipe("tiff plain", _tiff, varied(small, compression=0, noise=255)),
        Recipe("tiff jpeg, strips", _tiff, varied(_TIFF, compression=4, samples=3, deep=0)),
        Recipe(
            "tiff jpeg, tiles of 64", _tiff, varied(_TIFF, compression=4, samples=3, deep=0, tile=4)
        ),
        Recipe("tiff pages", _tiff_pages, {"count": (1_600_000, 1, 1_600_000), "tags": (0, 0, 50)}),
        Recipe(
            "tiff tags", _tiff_tags, {"count": (65_535, 1, 65_535), "values": (40_000, 1, 10**6)}
        ),
    ]


def gif_recipes() -> list[Recipe]:
    """Those of GIF."""
    return [
        Recipe("gif flat", _gif, varied(_GIF, noise=0)),
        Recipe("gif, noise of 2 levels", _gif, varied(_GIF, noise=1, colours=2)),
        Recipe("gif, noise", _gif, varied(_GIF, width=3000, height=2500)),
        Recipe("gif animated", _gif, varied(_GIF, width=900, height=900, frames=9)),
        Recipe(
            "gif codes",
            _gif_codes,
            {**SIDES, "code": (0, 0, 7), "bits": (2, 1, 8), "ends": (0, 0, 1)},
        ),
        Recipe(
            "gif pieces",
            _gif_pieces,
            {"size": (1, 0, 255), "kind": (0, 0, 2), "count": (5_000_000, 1, 5_000_000)},
        ),
    ]


def avif_recipes() -> list[Recipe]:
    """Those of AVIF."""
    grids = varied(_AVIF, width=512, height=480, across=15, down=9)
    full = varied(grids, noise=255, quality=60)
    return [
        Recipe("avif", _avif, varied(_AVIF, width=2000, height=2000)),
        Recipe("avif 8K", _avif, varied(_AVIF, noise=1, quality=30, padding=300_000)),
        Recipe(
            "avif 8K of BT.2020 with alpha",
            _avif,
            varied(_AVIF, noise=1, quality=30, padding=300_000, alpha=1, numbers=1),
        ),
        Recipe("avif grid", _avif, varied(grids, noise=20, quality=50)),
        Recipe("avif grid, 10 MB", _avif, full),
        Recipe("avif grid, 10 MB, of BT.2020", _avif, varied(full, numbers=1)),
        Recipe(
            "avif boxes",
            _avif_boxes,
            {"kind": (0, 0, 4), "payload": (0, 0, 4000), "count": (1_200_000, 1, 1_200_000)},
        ),
    ]


def _tiff(n: Numbers) -> bytes:
    code = _COMPRESSIONS[n["compression"]]
    deep = n["deep"] and code != JPEG
    samples = 3 if code == JPEG and n["samples"] > 1 else max(1, n["samples"])
    samples = 3 if samples == 2 else samples
    pixels: Samples = noise(n["width"], n["height"], samples, n["noise"])
    photometric = {1: GREY, 3: YCBCR if code == JPEG and not n["planar"] else RGB, 4: RGB}[samples]
    tags = {338: (3, (n["opacity"],))} if samples == 4 else {}
    layout = TiffLayout(
        photometric,
        code,
        ">" if n["big_endian"] else "<",
        n["rows"],
        (16 * n["tile"],) * 2 if n["tile"] else None,
        bool(n["planar"]),
        bool(n["predictor"]) and code in (LZW, DEFLATE),
        tags={**tags, 274: (3, (5 if n["turned"] else 1,))},
    )
    return write_tiff(pixels.astype(np.uint16) * 257 if deep else pixels, layout)


def _tiff_pages(n: Numbers) -> bytes:
    """A chain of directories behind a picture."""
    head = bytearray(_tiff({**_defaults(), "width": 64, "height": 64}))
    (at,) = struct.unpack_from(">I", head, 4)
    (count,) = struct.unpack_from(">H", head, at)
    size = 6 + 12 * n["tags"]
    struct.pack_into(">I", head, at + 2 + 12 * count, len(head))
    page = struct.pack(">H", n["tags"]) + struct.pack(">HHII", 254, 4, 1, 1) * n["tags"]
    most = min(n["count"], (MOST_BYTES - len(head)) // size)
    start = len(head)
    chain = (page + struct.pack(">I", start + (i + 1) * size) for i in range(most))
    return bytes(head) + b"".join(chain)


def _tiff_tags(n: Numbers) -> bytes:
    """A directory of very many tags, and lists of very many values."""
    values = (4, (8,) * n["values"])
    tags = {256: (4, (WIDTH,)), 257: (4, (4320,)), 273: values, 279: values, 320: values}
    whole = directory(tags, ">", 8)
    many = struct.pack(">H", n["count"]) + whole[2 : 2 + 12 * len(tags)]
    many += b"".join(struct.pack(">HHII", 1000 + i % 60_000, 4, 1, i) for i in range(n["count"]))
    return tiff_head(">", 8 + len(whole)) + whole + many


def _defaults() -> dict[str, int]:
    return {name: bound[0] for name, bound in _TIFF.items()}


def _gif(n: Numbers) -> bytes:
    levels = np.arange(256) % n["colours"]
    image = Image.fromarray(noise(n["width"], n["height"], 1, n["noise"])[..., 0])
    image = image.point(levels.tolist()).convert("P")
    more = [image.rotate(180)] * (n["frames"] - 1)
    options = {"transparency": 1} if n["clear"] else {}
    return encode(
        image, "GIF", interlace=n["interlace"], save_all=True, append_images=more, **options
    )


def _gif_codes(n: Numbers) -> bytes:
    """Ten megabytes of one code of the decoder."""
    codes = bytes((n["code"] * 0x49 & 255,)) * (MOST_BYTES - 60_000)
    pieces = b"".join(b"\xff" + codes[at : at + 255] for at in range(0, len(codes) - 45_000, 255))
    size = struct.pack("<HH", n["width"], n["height"])
    frame = b"," + bytes(4) + size + bytes((0x40, n["bits"])) + pieces
    return b"GIF89a" + size + bytes(3) + frame + b"\0;" * n["ends"]


def _gif_pieces(n: Numbers) -> bytes:
    """Very many blocks, or pieces of one, in front of a picture."""
    piece = bytes((n["size"],)) + bytes(n["size"])
    many = min(n["count"], (MOST_BYTES - 1000) // (len(piece) + 3))
    blocks = (b"!\xfe" + piece * many + b"\0", (b"!\xfe" + piece + b"\0") * many, b"\0" * many)
    small = encode(Image.new("L", (64, 64)), "GIF")
    return small[:13] + blocks[n["kind"]] + small[13:]


def _avif(n: Numbers) -> bytes:
    """One picture, or many as the cells of a grid; a cell is written once."""
    width, height, across, down = n["width"], n["height"], n["across"], n["down"]
    if width * height > _MOST_CODED and n["noise"] > 1:
        width, height = 2000, 2000
    item = _coded(width, height, n["noise"], n["quality"], n["sampling"])
    if n["numbers"]:
        kept = tuple(one for one in item.properties if one[4:8] != b"colr")
        item = Item(item.kind, item.data, (*kept, nclx_box(9, 16, 9)))
    padding = box(b"free", bytes(n["padding"]))
    alpha = box(b"auxC", bytes(4), b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")
    if across * down == 1:
        if not n["alpha"]:
            return write_heif([item], more=padding)
        grey = _coded(width, height, n["noise"], n["quality"], 3)
        clear = Item(grey.kind, grey.data, (*grey.properties, alpha))
        references = [(b"auxl", 2, (1,)), (b"prem", 1, (2,))]
        return write_heif([item, clear], references, more=padding)
    cells = max(1, min(across * down, 120, (MOST_BYTES - 30_000) // len(item.data)))
    down = max(1, cells // across)
    cells = across * down
    grid = grid_item(down, across, across * width, down * height, *item.properties[2:])
    numbers = tuple(range(2, 2 + cells))
    return write_heif([grid, *[item] * cells], [(b"dimg", 1, numbers)])


@lru_cache(maxsize=8)
def _coded(width: int, height: int, level: int, quality: int, sampling: int) -> Item:
    pixels: U8Array = noise(width, height, 3, level)
    picture = pixels[..., 0] if sampling == 3 else pixels
    names = ("4:4:4", "4:2:2", "4:2:0", "4:0:0")
    options = {"quality": quality, "subsampling": names[sampling], "speed": 10}
    return coded_item(encode(Image.fromarray(picture), "AVIF", **options))


def _avif_boxes(n: Numbers) -> bytes:
    """Very many boxes at some place."""
    one = box((b"free", b"infe", b"trak", b"meta", b"dimg")[n["kind"]], bytes(n["payload"]))
    many = one * min(n["count"], (MOST_BYTES - 10_000) // len(one))
    small = coded_item(encode(Image.new("RGB", (64, 64)), "AVIF"))
    wrapped = (many, box(b"iinf", bytes(6), many), box(b"moov", many), many, many)[n["kind"]]
    return write_heif([small], more=wrapped)
