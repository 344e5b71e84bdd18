"""Small TIFFs, GIFs, AVIFs and HEICs of every kind we read: what a fuzzer starts from."""

from __future__ import annotations

import io
from importlib import import_module
from importlib.util import find_spec

import numpy as np
from PIL import Image

from scripts.hostile.drawing import HEIGHT, WIDTH, encode, make_exif, picture, srgb_profile
from scripts.hostile.heif_files import (
    Item,
    box,
    coded_item,
    grid_item,
    nclx_box,
    size_box,
    write_heif,
)
from scripts.hostile.tiff_files import (
    CMYK,
    DEFLATE,
    GREY,
    JPEG,
    LZW,
    PACK_BITS,
    PALETTE,
    PLAIN,
    RGB,
    WHITE_IS_ZERO,
    YCBCR,
    Samples,
    TiffLayout,
    write_tiff,
)

_COMPRESSIONS = {
    "plain": PLAIN,
    "lzw": LZW,
    "deflate": DEFLATE,
    "packbits": PACK_BITS,
    "jpeg": JPEG,
}


def tiff_seeds() -> dict[str, bytes]:
    """TIFFs of every compression, colour, depth and order."""
    made: dict[str, bytes] = {}
    rgba = np.asarray(picture("RGBA"))
    rgb = rgba[..., :3]
    deep: Samples = rgba.astype(np.uint16) * 257
    for name, code in _COMPRESSIONS.items():
        kinds: dict[str, tuple[Samples, TiffLayout]] = {
            "rgb": (rgb, TiffLayout(YCBCR if code == JPEG else RGB, code, rows=16)),
            "grey-tiles": (rgb[..., :1], TiffLayout(GREY, code, ">", tile=(32, 32))),
            "cmyk": (rgba, TiffLayout(CMYK, code)),
            "planes": (rgb, TiffLayout(RGB, code, planar=True, rows=24)),
        }
        if code != JPEG:
            premultiplied = {338: (3, (1,))}
            kinds |= {
                "rgba": (rgba, TiffLayout(RGB, code, tags=premultiplied)),
                "deep": (deep, TiffLayout(RGB, code, ">", rows=8)),
                "bits": (np.right_shift(rgb[..., :1], 7), TiffLayout(WHITE_IS_ZERO, code, bits=1)),
            }
        if code in (LZW, DEFLATE):
            kinds["predicted"] = (rgb, TiffLayout(RGB, code, predictor=True, tile=(48, 64)))
        made |= {f"tiff-{name}-{k}": write_tiff(*kind) for k, kind in kinds.items()}
    colours = tuple(np.random.default_rng(0).integers(0, 65536, 48).tolist())
    by_palette = TiffLayout(PALETTE, LZW, bits=4, tags={320: (3, colours)})
    pages = [picture("RGB").rotate(angle) for angle in (10, 20)]
    return {
        **made,
        "tiff-palette": write_tiff(np.right_shift(rgb[..., :1], 4), by_palette),
        "tiff-pages": encode(picture(), "TIFF", save_all=True, append_images=pages),
        "tiff-all": encode(
            picture(), "TIFF", exif=make_exif(), icc_profile=srgb_profile(), compression="tiff_lzw"
        ),
    }


def gif_seeds() -> dict[str, bytes]:
    """GIFs with and without rows in turn, opacity and more frames."""
    few, many = picture("RGB").quantize(8), picture("RGB").quantize(256)
    frames = [picture("RGB").rotate(angle).quantize(64) for angle in (10, 20, 30)]
    return {
        "gif-few": encode(few, "GIF", interlace=0),
        "gif-many": encode(many, "GIF", interlace=0),
        "gif-interlaced": encode(many, "GIF", interlace=1, comment=b"a word"),
        "gif-clear": encode(few, "GIF", transparency=1),
        "gif-animated": encode(
            many, "GIF", save_all=True, append_images=frames, disposal=2, loop=0, duration=20
        ),
    }


def avif_seeds() -> dict[str, bytes]:
    """AVIFs of every sampling, with opacity, as a sequence and as a grid."""
    colour, clear = picture(), picture("RGBA")
    frames = [colour.rotate(angle) for angle in (10, 20)]
    extras = {"exif": make_exif(), "icc_profile": srgb_profile(), "xmp": b"<x/>"}
    grey = picture("L")
    return {
        "avif-420": encode(colour, "AVIF", speed=10),
        "avif-444": encode(colour, "AVIF", speed=10, subsampling="4:4:4", quality=95),
        "avif-grey": encode(grey, "AVIF", speed=10),
        "avif-clear": encode(clear, "AVIF", speed=10, alpha_premultiplied=True),
        "avif-all": encode(clear, "AVIF", speed=10, **extras),
        "avif-sequence": encode(colour, "AVIF", speed=10, save_all=True, append_images=frames),
        "avif-grid": _grid(
            [encode(f, "AVIF", speed=10) for f in (colour, *frames, colour)], b"avif"
        ),
        "avif-wide": write_heif([_wide(coded_item(encode(colour, "AVIF", speed=10)))]),
    }


def heic_seeds() -> dict[str, bytes]:
    """HEICs, where their encoder is installed."""
    if find_spec("pillow_heif") is None:
        return {}
    pillow_heif = import_module("pillow_heif")

    def encoded(image: Image.Image, **options: object) -> bytes:
        file = io.BytesIO()
        pillow_heif.from_pillow(image).save(file, **options)
        return file.getvalue()

    colour = picture()
    cells = [encoded(colour.rotate(angle).resize((128, 64))) for angle in (0, 10, 20, 30)]
    return {
        "heic-420": encoded(colour),
        "heic-444": encoded(colour, chroma=444, quality=95),
        "heic-grey": encoded(picture("L")),
        "heic-clear": encoded(picture("RGBA")),
        "heic-all": encoded(colour, exif=make_exif().tobytes(), icc_profile=srgb_profile()),
        "heic-grid": _grid(cells, b"heic", (128, 64)),
    }


def _grid(cells: list[bytes], brand: bytes, size: tuple[int, int] = (WIDTH, HEIGHT)) -> bytes:
    """Four pictures as the cells of one, a little of which is cut off."""
    grid = grid_item(2, 2, 2 * size[0] - 5, 2 * size[1] - 3)
    items = [grid, *map(coded_item, cells)]
    return write_heif(items, [(b"dimg", 1, (2, 3, 4, 5))], brand=brand)


def _wide(item: Item) -> Item:
    """A picture in the colours of BT.2020 and PQ, turned and mirrored."""
    kept = tuple(one for one in item.properties if one[4:8] not in (b"colr", b"ispe"))
    more = (nclx_box(9, 16, 9), box(b"irot", b"\1"), box(b"imir", b"\1"))
    return Item(item.kind, item.data, (size_box(WIDTH, HEIGHT), *kept, *more))
