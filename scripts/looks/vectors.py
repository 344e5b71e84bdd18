"""Reference vectors of the effects: small pictures with parameters and what comes out of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from models.arrays import U8Array
from models.matting.backdrop import blur_backdrop
from models.matting.canvas import Box, place, subject_box
from models.matting.colour_match import match_colours
from models.matting.compositing import Cutout, composite, underlay
from models.matting.edges import feather, shift_edge
from models.matting.foreground import estimate_foreground
from models.matting.outline import outline
from models.matting.postprocess import smooth_alpha
from models.matting.refine import refine_alpha
from models.matting.shadow import SHADOWS, cast_shadow
from models.spec import Refinement
from scripts.looks.trials import CUTOUTS, PHOTOS, read
from service.imaging.encode import encode_png


def _refine(alpha_u8: U8Array, source: U8Array, **parameters: Any) -> U8Array:
    return refine_alpha(alpha_u8, source, Refinement(**parameters))


def _draw_box(alpha_u8: U8Array) -> U8Array:
    """White in the subject's box, black outside."""
    drawn, box = np.zeros_like(alpha_u8), subject_box(alpha_u8)
    if box is not None:
        drawn[box.top : box.top + box.height, box.left : box.left + box.width] = 255
    return drawn


def _lay_under(
    colours: U8Array, alpha_u8: U8Array, opacity: U8Array, colour: tuple[int, int, int]
) -> U8Array:
    return Cutout(*underlay(colours, alpha_u8, colour, opacity))[:]


def _lay_over(colours: U8Array, alpha_u8: U8Array, background: U8Array) -> U8Array:
    return composite(Cutout(colours, alpha_u8), background)


def _place(colours: U8Array, alpha_u8: U8Array, box: tuple[int, ...]) -> U8Array:
    return Cutout(*place(colours, alpha_u8, Box(*box), alpha_u8.shape))[:]


#: The functions by name; they take a vector's inputs and parameters by name.
FUNCTIONS: dict[str, Callable[..., U8Array]] = {
    "feather": feather,
    "shift_edge": shift_edge,
    "outline": outline,
    "cast_shadow": cast_shadow,
    "match_colours": match_colours,
    "blur_backdrop": blur_backdrop,
    "smooth_alpha": smooth_alpha,
    "estimate_foreground": estimate_foreground,
    "refine_alpha": _refine,
    "subject_box": _draw_box,
    "underlay": _lay_under,
    "composite": _lay_over,
    "place": _place,
}
INDEX = "vectors.json"
_HEIGHT, _WIDTH = 96, 72
#: Height and width of a picture that is worked on at a reduced size, with a remainder.
_TALL_SIZE = (381, 19)


class Vector(NamedTuple):
    """One call with its result.

    Attributes:
        function: Name of the function.
        parameters: Its numbers and words, by name.
        inputs: Files of its pictures, by name.
        output: File of the result.
        tolerance: Levels another implementation may differ by, at any pixel.
    """

    function: str
    parameters: dict[str, Any]
    inputs: dict[str, str]
    output: str
    tolerance: int


_MATTE = {"alpha_u8": "alpha.png"}
_COLOURS = {"colours": "colours.png", **_MATTE}
_TALL = {"source": "tall_colours.png", "alpha_u8": "tall_alpha.png"}
_FIT = {"radius": 2.0, "epsilon": 3e-4, "low": 0.2, "high": 0.8}
_CALLS: tuple[tuple[str, dict[str, Any], dict[str, str], int], ...] = (
    *(("feather", {"radius": radius}, _MATTE, 1) for radius in (0.7, 2.0, 6.0)),
    ("feather", {"radius": 20.0}, _MATTE, 4),
    *(("shift_edge", {"pixels": pixels}, _MATTE, 1) for pixels in (-6.5, -1.0, 0.5, 2.0, 9.25)),
    *(("outline", {"width": width}, _MATTE, 2) for width in (2.5, 8.0)),
    *(
        ("cast_shadow", {"kind": kind, "opacity": 0.5}, {"alpha_u8": file}, 2)
        for file in ("alpha.png", "standing.png")
        for kind in SHADOWS
    ),
    *(
        ("match_colours", {"strength": strength}, names, 1)
        for strength in (0.35, 1.0)
        for names in [{"colours": "colours.png", **_MATTE, "background": "background.png"}]
    ),
    *(
        ("blur_backdrop", {"sigma": sigma}, {"pixels": "colours.png", **_MATTE}, tolerance)
        for sigma, tolerance in ((0.0, 2), (2.5, 2), (8.0, 2))
    ),
    ("smooth_alpha", {}, _MATTE, 0),
    ("estimate_foreground", {}, {"source": "colours.png", **_MATTE}, 2),
    ("estimate_foreground", {}, _TALL, 2),
    *(
        ("refine_alpha", {**_FIT, "max_side": side}, {"alpha_u8": "coarse.png", "source": file}, 2)
        for side, file in ((640, "colours.png"), (40, "colours.png"), (100, "tall_colours.png"))
    ),
    *(("subject_box", {}, {"alpha_u8": file}, 0) for file in ("alpha.png", "specks.png")),
    ("underlay", {"colour": (20, 60, 200)}, {**_COLOURS, "opacity": "standing.png"}, 1),
    ("composite", {}, {**_COLOURS, "background": "background.png"}, 1),
    *(("place", {"box": box}, _COLOURS, 2) for box in ((-9, 7, 101, 119), (11, 20, 31, 50))),
)


def make_vectors(inputs: Mapping[str, U8Array]) -> Iterator[tuple[Vector, U8Array]]:
    """Compute every result.

    Args:
        inputs: The pictures by their file's name.

    Yields:
        The vector and its result.
    """
    for number, (function, parameters, names, tolerance) in enumerate(_CALLS, start=1):
        pictures = {name: inputs[file] for name, file in names.items()}
        made = FUNCTIONS[function](**pictures, **parameters)
        yield Vector(function, parameters, names, f"{number:02d}-{function}.png", tolerance), made


def write_vectors(folder: Path) -> None:
    """Write the inputs, the results, and the index that names them."""
    folder.mkdir(parents=True, exist_ok=True)
    inputs = _make_inputs()
    for name, picture in inputs.items():
        (folder / name).write_bytes(encode_png(picture))
    vectors = []
    for vector, made in make_vectors(inputs):
        (folder / vector.output).write_bytes(encode_png(made))
        vectors.append(vector._asdict())
    (folder / INDEX).write_text(json.dumps(vectors, indent=1) + "\n")


def _make_inputs() -> dict[str, U8Array]:
    """A head with hair, its matte in other shapes, and a picture to lay it over."""
    part = (slice(0, 384), slice(100, 388))
    photo, cut = read(PHOTOS / "astronaut.jpg")[part], read(CUTOUTS / "astronaut.png")[part]
    behind = read(PHOTOS / "coffee.jpg")[:384, :288]
    colours, background = (_shrink(one, _HEIGHT, _WIDTH) for one in (photo, behind))
    alpha = _shrink(cut[..., 3], _HEIGHT, _WIDTH)
    box = Box(12, 14, 46, 62)
    _, standing = place(colours, alpha, box, (_HEIGHT, _WIDTH))
    return {
        "standing.png": standing,
        "colours.png": colours,
        "alpha.png": alpha,
        "background.png": background,
        "tall_colours.png": _shrink(photo, *_TALL_SIZE),
        "tall_alpha.png": _shrink(cut[..., 3], *_TALL_SIZE),
        "coarse.png": _shrink(alpha, 24, 24),
        "specks.png": _with_specks(standing),
    }


def _shrink(picture: U8Array, height: int, width: int) -> U8Array:
    shrunk = cv2.resize(
        np.ascontiguousarray(picture), (width, height), interpolation=cv2.INTER_AREA
    )
    return np.asarray(shrunk, np.uint8)


def _with_specks(alpha_u8: U8Array) -> U8Array:
    """The matte eight times as large, with three specks; only the largest is not left out."""
    large: U8Array = alpha_u8.repeat(8, axis=0).repeat(8, axis=1)
    for left, side in ((8, 3), (40, 6), (80, 20)):
        large[12 : 12 + side, left : left + side] = 255
    return large
