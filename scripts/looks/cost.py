"""What each effect costs: CPU time of one thread, and memory, at two sizes."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from models.arrays import U8Array
from models.matting.backdrop import blur_backdrop, contain, cover, fill_hidden
from models.matting.canvas import Box, place, subject_box
from models.matting.colour_match import match_colours
from models.matting.compositing import Cutout, underlay
from models.matting.edges import feather, shift_edge
from models.matting.outline import outline
from models.matting.shadow import cast_shadow
from scripts.looks.trials import CUTOUTS, PHOTOS, read
from service.imaging.encode import ENCODINGS, encode_parts, encode_picture, encode_png

#: Rows and columns: 2 and 12 megapixels.
SIZES = ((1225, 1632), (3000, 4000))
_REPEATS = 3


@dataclass(frozen=True)
class Cost:
    """What one call takes.

    Attributes:
        call: The function and what it is given.
        small_ms: CPU time at 2 megapixels.
        large_ms: CPU time at 12 megapixels.
        bytes_per_pixel: Most memory it holds at 12 megapixels, its results included.
        file_kb: Size of the file it makes at 12 megapixels; None where it makes none.
    """

    call: str
    small_ms: float
    large_ms: float
    bytes_per_pixel: float
    file_kb: float | None


def measure_costs() -> Iterator[Cost]:
    """Measure every effect; the first row is what they are compared with."""
    small, large = (calls(*size) for size in SIZES)
    for name, call in large.items():
        made = call()
        file_kb = made / 1000 if isinstance(made, int) else None
        memory = _memory(call) / np.prod(SIZES[1])
        yield Cost(name, _time(small[name]), _time(call), memory, file_kb)


def calls(height: int, width: int) -> dict[str, Callable[[], object]]:
    """Calls of every effect on a photograph of one size.

    Args:
        height: Rows.
        width: Columns.

    Returns:
        By what they are.
    """
    picture, alpha, behind = _picture(height, width)
    rows, columns = height * 2 // 3, width * 2 // 3
    shadow, rgba = cast_shadow(alpha, "drop", 0.5), Cutout(picture, alpha)[:]
    formats = {
        f"{name}, quality 90": partial(_encode, picture if name == "jpeg" else rgba, name)
        for name in ENCODINGS
    }
    return {
        "cutout and PNG, to compare": lambda: encode_png(Cutout(picture, alpha)),
        "shift_edge 2.5 px": lambda: shift_edge(alpha, 2.5),
        "shift_edge -20 px": lambda: shift_edge(alpha, -20.0),
        "feather 3 px": lambda: feather(alpha, 3.0),
        "feather 12 px": lambda: feather(alpha, 12.0),
        "feather 40 px": lambda: feather(alpha, 40.0),
        "outline 20 px": lambda: outline(alpha, 20.0),
        "cast_shadow drop": lambda: cast_shadow(alpha, "drop", 0.5),
        "cast_shadow contact": lambda: cast_shadow(alpha, "contact", 0.5),
        "underlay of the drop shadow": lambda: underlay(picture, alpha, (0, 0, 0), shadow),
        "match_colours": lambda: match_colours(picture, alpha, behind, 0.35),
        "blur_backdrop 2 px": lambda: blur_backdrop(picture, alpha, 2.0),
        "blur_backdrop 10 px": lambda: blur_backdrop(picture, alpha, 10.0),
        "blur_backdrop 60 px": lambda: blur_backdrop(picture, alpha, 60.0),
        "cover, half the sides": lambda: cover(picture, height // 2, width // 3),
        "contain, half the sides": lambda: contain(picture, height // 2, width // 3, (9, 9, 9)),
        "subject_box": lambda: subject_box(alpha),
        "place, same size": lambda: place(picture, alpha, Box(9, 9, width, height), alpha.shape),
        "place, two thirds": lambda: place(picture, alpha, Box(0, 0, columns, rows), alpha.shape),
        "place, three halves": lambda: place(
            picture, alpha, Box(-99, -99, width * 3 // 2, height * 3 // 2), alpha.shape
        ),
        "fill_hidden": lambda: fill_hidden(rgba),
        **formats,
        "parts, quality 90": lambda: len(encode_parts(fill_hidden(rgba), alpha).data),
    }


def _encode(pixels: U8Array, name: str) -> int:
    """Encode, and say how many bytes that gave."""
    return len(encode_picture(pixels, name).data)


def _picture(height: int, width: int) -> tuple[U8Array, U8Array, U8Array]:
    """A photograph with a sensor's noise, its matte, and something to lay it over."""
    small, cut = read(PHOTOS / "astronaut.jpg"), read(CUTOUTS / "astronaut.png")
    size = (width, height)
    smooth = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_CUBIC), np.float32)
    noise = np.random.default_rng(0).normal(0.0, 2.0, smooth.shape)
    picture = np.clip(np.rint(smooth + noise), 0, 255).astype(np.uint8)
    alpha = cv2.resize(np.ascontiguousarray(cut[..., 3]), size, interpolation=cv2.INTER_CUBIC)
    return picture, np.asarray(alpha, np.uint8), np.ascontiguousarray(picture[::-1])


def _time(call: Callable[[], object]) -> float:
    """The least CPU time of a few calls, in milliseconds."""
    taken = []
    for _ in range(_REPEATS):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return 1000 * min(taken)


def _memory(call: Callable[[], object]) -> float:
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
