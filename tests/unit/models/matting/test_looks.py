"""The effects give what `tests/data/looks` records, and take little memory."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.matting.backdrop import blur_backdrop
from models.matting.canvas import Box, place, subject_box
from models.matting.colour_match import match_colours
from models.matting.compositing import underlay
from models.matting.edges import feather, shift_edge
from models.matting.outline import outline
from models.matting.shadow import cast_shadow
from scripts.looks.vectors import FUNCTIONS, INDEX, write_vectors
from tests.support import looks_formulas, matte_formulas
from tests.support.mattes import colours, disc

FORMULAS = looks_formulas.FORMULAS | matte_formulas.FORMULAS
FOLDER = Path(__file__).parents[3] / "data" / "looks"
VECTORS = json.loads((FOLDER / INDEX).read_text())


def read(name: str) -> np.ndarray:
    stored = cv2.imread(str(FOLDER / name), cv2.IMREAD_UNCHANGED)
    if stored.ndim == 2:
        return stored
    transparent = stored.shape[2] == 4
    return cv2.cvtColor(stored, cv2.COLOR_BGRA2RGBA if transparent else cv2.COLOR_BGR2RGB)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["output"])
def test_an_effect_gives_what_is_recorded(vector: dict) -> None:
    pictures = {name: read(file) for name, file in vector["inputs"].items()}
    made = FUNCTIONS[vector["function"]](**pictures, **vector["parameters"])
    assert np.array_equal(made, read(vector["output"]))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["output"])
def test_whoever_follows_the_formulas_comes_within_the_tolerance(vector: dict) -> None:
    pictures = {name: read(file) for name, file in vector["inputs"].items()}
    made = FORMULAS[vector["function"]](**pictures, **vector["parameters"])
    differs = np.abs(made - read(vector["output"]).astype(float))
    if vector["function"] in ("match_colours", "estimate_foreground"):
        differs = differs[pictures["alpha_u8"] > 0]
    assert differs.max() <= vector["tolerance"]


def test_the_records_are_those_the_script_writes(tmp_path: Path) -> None:
    write_vectors(tmp_path)
    written, kept = (
        {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "README.md"}
        for folder in (tmp_path, FOLDER)
    )
    assert written == kept


def test_every_effect_has_records_and_a_formula() -> None:
    formulas = (FOLDER / "README.md").read_text()
    assert {vector["function"] for vector in VECTORS} == set(FUNCTIONS)
    assert all(f"`{name}`" in formulas for name in FUNCTIONS)


MATTE, PICTURE = disc(1200, 1600, 400, 8), colours(1200, 1600)
#: Bytes per pixel that a call holds at its peak, what it returns included.
MOST_BYTES: dict[str, tuple[float, Callable[[], object]]] = {
    "shift_edge": (2.5, lambda: shift_edge(MATTE, 12.5)),
    "feather": (2.5, lambda: feather(MATTE, 9.0)),
    "feather, reduced": (2.5, lambda: feather(MATTE, 40.0)),
    "outline": (3.5, lambda: outline(MATTE, 12.0)),
    "drop shadow": (5, lambda: cast_shadow(MATTE, "drop", 0.5)),
    "contact shadow": (5, lambda: cast_shadow(MATTE, "contact", 0.5)),
    "underlay": (5, lambda: underlay(PICTURE, MATTE, (0, 0, 0), MATTE)),
    "match_colours": (8, lambda: match_colours(PICTURE, MATTE, PICTURE, 0.35)),
    "blur_backdrop": (8, lambda: blur_backdrop(PICTURE, MATTE, 9.0)),
    "blur_backdrop, sharp": (13, lambda: blur_backdrop(PICTURE, MATTE, 2.0)),
    "subject_box": (4, lambda: subject_box(MATTE)),
    "place, enlarged": (7, lambda: place(PICTURE, MATTE, Box(-99, 9, 2000, 1500), MATTE.shape)),
    "place, shrunk": (8, lambda: place(PICTURE, MATTE, Box(9, 9, 1200, 900), MATTE.shape)),
}


@pytest.mark.parametrize("name", MOST_BYTES)
def test_an_effect_takes_so_much_memory(name: str) -> None:
    most, call = MOST_BYTES[name]
    tracemalloc.start()
    try:
        call()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak / MATTE.size < most
