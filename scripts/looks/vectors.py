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
from models.matting.canvas import Box, place
from models.matting.colour_match import match_colours
from models.matting.edges import feather, shift_edge
from models.matting.outline import outline
from models.matting.shadow import SHADOWS, cast_shadow
from scripts.looks.trials import CUTOUTS, PHOTOS, read
from service.imaging.encode import encode_png

#: The functions by name; they take a vector's inputs and parameters by name.
FUNCTIONS: dict[str, Callable[..., U8Array]] = {
    function.__name__: function
    for function in (feather, shift_edge, outline, cast_shadow, match_colours, blur_backdrop)
}
INDEX = "vectors.json"
_HEIGHT, _WIDTH = 96, 72


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
    """A head with hair, its matte smaller on a canvas, and a picture to lay it over."""
    part = (slice(0, 384), slice(100, 388))
    photo, cut = read(PHOTOS / "astronaut.jpg")[part], read(CUTOUTS / "astronaut.png")[part]
    behind = read(PHOTOS / "coffee.jpg")[:384, :288]
    size = (_WIDTH, _HEIGHT)
    colours, background = (
        np.asarray(
            cv2.resize(np.ascontiguousarray(one), size, interpolation=cv2.INTER_AREA), np.uint8
        )
        for one in (photo, behind)
    )
    alpha = cv2.resize(np.ascontiguousarray(cut[..., 3]), size, interpolation=cv2.INTER_AREA)
    box = Box(12, 14, 46, 62)
    _, standing = place(colours, np.asarray(alpha, np.uint8), box, (_HEIGHT, _WIDTH))
    return {
        "standing.png": standing,
        "colours.png": colours,
        "alpha.png": np.asarray(alpha, np.uint8),
        "background.png": background,
    }
