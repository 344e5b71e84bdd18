"""Every effect on one photograph, side by side."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from models.arrays import U8Array
from models.matting.backdrop import blur_backdrop, cover
from models.matting.canvas import Box, place
from models.matting.colour_match import RECOMMENDED_STRENGTH, match_colours
from models.matting.compositing import composite, underlay
from models.matting.edges import feather, shift_edge
from models.matting.foreground import estimate_foreground
from models.matting.outline import outline
from models.matting.shadow import cast_shadow
from scripts.looks.trials import CUTOUTS, PHOTOS, read

_SIDE, _CAPTION, _COLUMNS = 330, 22, 4
_INK, _PAPER = (40, 40, 40), (255, 255, 255)
_WHITE, _GREEN = (242, 242, 242), (70, 140, 100)


def draw_sheet() -> Image.Image:
    """Draw the effects on the astronaut of `examples/`."""
    panels = list(_panels())
    rows = -(-len(panels) // _COLUMNS)
    sheet = Image.new("RGB", (_COLUMNS * _SIDE, rows * (_SIDE + _CAPTION)), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for number, (name, pixels) in enumerate(panels):
        left = number % _COLUMNS * _SIDE
        top = number // _COLUMNS * (_SIDE + _CAPTION)
        draw.text((left + 4, top + 3), name, _INK, font)
        sheet.paste(Image.fromarray(cover(pixels, _SIDE, _SIDE)), (left, top + _CAPTION))
    return sheet


def _panels() -> Iterator[tuple[str, U8Array]]:
    photo = read(PHOTOS / "astronaut.jpg")
    alpha = np.ascontiguousarray(read(CUTOUTS / "astronaut.png")[..., 3])
    own = estimate_foreground(photo, alpha)
    canvas = alpha.shape
    cafe = cover(read(PHOTOS / "coffee.jpg"), *canvas)
    blue = relit(cafe)
    yield "source", photo
    yield "blurred backdrop, sigma 10", lay(own, alpha, blur_backdrop(photo, alpha, 10.0))
    yield "the backdrop alone", blur_backdrop(photo, alpha, 10.0)
    yield "edge 4 px inwards", lay(own, shift_edge(alpha, -4.0), _WHITE)
    yield "over a blue-lit picture", lay(own, alpha, blue)
    matched = match_colours(own, alpha, blue, RECOMMENDED_STRENGTH)
    yield "the same, colours matched", lay(matched, alpha, blue)
    yield "feather 6 px", lay(own, feather(alpha, 6.0), _WHITE)
    small, matte = place(own, alpha, Box(66, 60, 380, 380), canvas)
    yield "placed on a canvas", lay(small, matte, _GREEN)
    for kind in ("drop", "contact"):
        shadow = cast_shadow(matte, kind, 0.5)
        yield f"{kind} shadow", lay(*underlay(small, matte, (0, 0, 0), shadow), _WHITE)
    for width in (6.0, 16.0):
        band = outline(matte, width)
        yield f"outline {width:g} px", lay(*underlay(small, matte, (255, 255, 255), band), _GREEN)


def lay(colours: U8Array, alpha: U8Array, behind: U8Array | tuple[int, int, int]) -> U8Array:
    """Show straight colours over a picture or one colour."""
    return composite(np.dstack([colours, alpha]), np.asarray(behind, np.uint8))


def relit(colours: U8Array) -> U8Array:
    """A cool and dim version of a picture."""
    return np.asarray(np.rint(colours * np.array([0.45, 0.6, 0.8])), np.uint8)
