"""Photographs of 8 to 24 megapixels whose mattes are true by construction."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

from models.arrays import FloatArray, U8Array
from models.matting.scenes import SCENES, draw_scene
from scripts.evaluate.cases import EXAMPLE_PHOTOS, example_cases
from scripts.resolution.shapes import Shape, blob, hair, holes, soft, wheel

_NOISE = 1.8  # of a sensor, in levels: standard deviation
_LENS = 0.5  # standard deviation of a lens's blur, in pixels
_JPEG_QUALITY = 92
_TILE = 1024


class Scene(NamedTuple):
    """One picture with its truth.

    Attributes:
        name: Shape, and what is behind it.
        source: Colours ``[H, W, 3]``, with a lens's blur, a sensor's noise and JPEG artefacts.
        alpha_u8: True matte ``[H, W]``.
    """

    name: str
    source: U8Array
    alpha_u8: U8Array


def make_scenes(height: int, width: int) -> Iterator[Scene]:
    """Make all of them at one size, always the same."""
    for number, (name, (shape, subject, behind)) in enumerate(_RECIPES.items()):
        rng = np.random.default_rng(number)
        alpha_u8 = shape(height, width, rng)
        front, back = (_paint(paint, height, width, rng) for paint in (subject, behind))
        yield Scene(name, _photograph(front, back, alpha_u8, rng), alpha_u8)


def _portrait(height: int, width: int, _: np.random.Generator) -> U8Array:
    """The matte of a photograph, enlarged and steeper: some edges hard, hair soft."""
    cutout = cv2.imread(str(EXAMPLE_PHOTOS.parent / "cutouts" / "astronaut.png"), -1)
    assert cutout is not None, "examples/cutouts is not here"  # noqa: S101
    matte = np.ascontiguousarray(cutout[..., 3]).astype(np.float32)
    large = cv2.resize(matte, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(2.5 * (large - 127.5) + 127.5, 0, 255), np.uint8)


#: Shape, what the subject is painted with, and what is behind it: a photograph enlarged (`photo`),
#: out of focus (`blurred`), or in small repeats (`busy`), a scene, a colour, or one with `grain`.
_RECIPES: dict[str, tuple[Shape, str, str]] = {
    "hair, garden": (hair, "grain 70 45 30", "scene bokeh-garden"),
    "hair, out of focus": (hair, "grain 70 45 30", "blurred coffee"),
    "hair, busy": (hair, "grain 70 45 30", "busy chelsea"),
    "hard, photograph": (blob, "photo chelsea", "photo astronaut"),
    "hard, busy": (blob, "busy coffee", "busy astronaut"),
    "soft, night": (soft, "photo coffee", "scene bokeh-night"),
    "soft, busy": (soft, "photo coffee", "busy chelsea"),
    "wires, studio": (wheel, "grain 60 60 66", "scene studio-warm"),
    "wires, busy": (wheel, "plain 200 30 40", "busy astronaut"),
    "holes, out of focus": (holes, "busy coffee", "blurred chelsea"),
    "portrait, studio": (_portrait, "whole astronaut", "scene studio-blue"),
    "portrait, out of focus": (_portrait, "whole astronaut", "blurred chelsea"),
    "one colour": (blob, "plain 120 110 100", "plain 122 111 99"),
    "one texture": (hair, "turned chelsea", "busy chelsea"),
}


def _paint(words: str, height: int, width: int, rng: np.random.Generator) -> FloatArray:
    """Colours ``[height, width, 3]``, 0..255."""
    kind, *rest = words.split()
    if kind == "scene":
        return draw_scene(SCENES[rest[0]], height, width).astype(np.float32)
    if kind in ("plain", "grain"):
        colour = np.full((height, width, 3), [float(level) for level in rest], np.float32)
        return colour if kind == "plain" else colour * (1 + 0.25 * _grain(height, width, rng))
    photo = _photo(rest[0])
    if kind in ("busy", "turned"):
        return _repeated(photo[:, ::-1] if kind == "turned" else photo, height, width)
    zoom = 1.0 if kind == "whole" else 1.5
    enlarged = _part(photo, height, width, zoom, rng)
    if kind != "blurred":
        return enlarged
    return np.asarray(cv2.GaussianBlur(enlarged, (0, 0), 0.004 * width), np.float32)


def _grain(height: int, width: int, rng: np.random.Generator) -> FloatArray:
    coarse = rng.standard_normal((height // 6 + 1, width // 40 + 1), dtype=np.float32)
    return np.asarray(cv2.resize(coarse, (width, height))[..., None], np.float32)


def _repeated(photo: U8Array, height: int, width: int) -> FloatArray:
    half = np.concatenate([photo, photo[:, ::-1]], axis=1)
    whole = np.concatenate([half, half[::-1]], axis=0)
    tile = cv2.resize(whole, None, fx=1.5, fy=1.5, interpolation=cv2.INTER_CUBIC)
    times = (height // tile.shape[0] + 1, width // tile.shape[1] + 1, 1)
    return np.tile(tile, times)[:height, :width].astype(np.float32)


def _part(
    photo: U8Array, height: int, width: int, zoom: float, rng: np.random.Generator
) -> FloatArray:
    scale = min(photo.shape[0] / height, photo.shape[1] / width) / zoom
    rows, columns = int(height * scale), int(width * scale)
    top = int(rng.integers(0, photo.shape[0] - rows + 1))
    left = int(rng.integers(0, photo.shape[1] - columns + 1))
    part = np.ascontiguousarray(photo[top : top + rows, left : left + columns])
    enlarged = cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(enlarged, np.float32)


def _photograph(
    subject: FloatArray, behind: FloatArray, alpha_u8: U8Array, rng: np.random.Generator
) -> U8Array:
    """What a camera makes of two layers."""
    mixed = behind + (alpha_u8[..., None].astype(np.float32) / 255.0) * (subject - behind)
    mixed = np.asarray(cv2.GaussianBlur(mixed, (0, 0), _LENS), np.float32)
    noise = _NOISE * rng.standard_normal((_TILE, _TILE, 3), dtype=np.float32)
    height, width = alpha_u8.shape
    mixed += np.tile(noise, (height // _TILE + 1, width // _TILE + 1, 1))[:height, :width]
    pixels = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(decoded[..., ::-1])


@cache
def _photo(name: str) -> U8Array:
    return next(case.source for case in example_cases() if case.name == name)
