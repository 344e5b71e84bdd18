"""Pictures whose true mattes are known, to judge precisions by: two subjects on many backgrounds.

The subjects are cut from the photographs in `reference/`. Each picture is made of its matte, so the
matte is true by construction, whatever it missed in the photograph.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from models.arrays import FloatArray, U8Array
from models.matting.foreground import estimate_foreground
from models.matting.scenes import SCENES, draw_scene

_FOLDER = Path(__file__).parent / "reference"
_SIDE = 1024
_SUBJECTS = ("astronaut", "coffee")
_SCENES = (
    *("bokeh-garden", "studio-warm", "bokeh-night", "gradient-ocean"),
    *("studio-blue", "bokeh-warm", "spotlight-dark", "gradient-violet"),
)
_SHARE = (0.6, 0.85)  # of the picture's side, that a subject's longer side takes
_DEFOCUS = (6.0, 14.0)  # of a photograph behind a subject: standard deviation in pixels
_STEEPER = 1.5  # enlarging blurs an edge; a camera would not
_NOISE = 1.5  # standard deviation in levels
_JPEG_QUALITY = 92


@dataclass(frozen=True)
class Composite:
    """One picture with its truth.

    Attributes:
        picture: Colours ``[H, W, 3]``, RGB, with sensor noise and JPEG artefacts.
        alpha_u8: True matte ``[H, W]``.
    """

    picture: U8Array
    alpha_u8: U8Array


def make_composite(number: int) -> Composite:
    """Make one picture, 1024 x 1024, always the same of one number.

    Subjects take turns; behind two of four is a drawn scene, behind the others a photograph out of
    focus.

    Args:
        number: Which, from 0.
    """
    rng = np.random.default_rng(number)
    name, other = _SUBJECTS[number % 2], _SUBJECTS[(number + 1) % 2]
    colours, alpha, stands = _placed(name, rng)
    behind = _photograph(other, rng) if number // 2 % 2 else _scene(number)
    top = _SIDE - alpha.shape[0] if stands else _somewhere(alpha.shape[0], rng)
    left = _somewhere(alpha.shape[1], rng)
    spot = np.s_[top : top + alpha.shape[0], left : left + alpha.shape[1]]
    mixed, truth = behind.copy(), np.zeros((_SIDE, _SIDE), np.float32)
    mixed[spot] += alpha[..., None] * (colours - mixed[spot])
    truth[spot] = alpha
    mixed += rng.normal(0, _NOISE, mixed.shape).astype(np.float32)
    return Composite(_through_jpeg(_rounded(mixed)), _rounded(truth * 255))


def _placed(name: str, rng: np.random.Generator) -> tuple[FloatArray, FloatArray, bool]:
    """A subject in some size, perhaps mirrored: colours, alpha 0..1, whether it ends in a cut."""
    colours, alpha_u8 = _subject(name)
    scale = rng.uniform(*_SHARE) * _SIDE / max(alpha_u8.shape)
    size = round(alpha_u8.shape[1] * scale), round(alpha_u8.shape[0] * scale)
    large = cv2.resize(colours, size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    alpha = cv2.resize(alpha_u8, size, interpolation=cv2.INTER_CUBIC).astype(np.float32) / 255
    alpha = np.clip((alpha - 0.5) * _STEEPER + 0.5, 0, 1)
    if rng.random() < 0.5:
        large, alpha = large[:, ::-1], alpha[:, ::-1]
    return large, np.asarray(alpha, np.float32), name == "astronaut"


@cache
def _subject(name: str) -> tuple[U8Array, U8Array]:
    """A subject and nothing around it: colours ``[H, W, 3]``, alpha ``[H, W]``."""
    photograph, alpha_u8 = _read(name), _read_matte(name)
    colours = estimate_foreground(photograph, alpha_u8)
    rows, columns = np.flatnonzero(alpha_u8.any(axis=1)), np.flatnonzero(alpha_u8.any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.ascontiguousarray(colours[box]), np.ascontiguousarray(alpha_u8[box])


def _scene(number: int) -> FloatArray:
    name = _SCENES[(number // 4 * 2 + number % 2) % len(_SCENES)]
    return draw_scene(SCENES[name], _SIDE, _SIDE).astype(np.float32)


def _photograph(name: str, rng: np.random.Generator) -> FloatArray:
    """A part of a photograph, out of focus: ``[1024, 1024, 3]``."""
    photograph = _read(name)
    height, width = photograph.shape[:2]
    side = int(min(height, width) * rng.uniform(0.3, 0.6))
    top, left = rng.integers(0, height - side), rng.integers(0, width - side)
    part = np.ascontiguousarray(photograph[top : top + side, left : left + side])
    large = cv2.resize(part, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
    blurred = cv2.GaussianBlur(large, (0, 0), rng.uniform(*_DEFOCUS))
    return np.asarray(blurred, np.float32)


def _somewhere(length: int, rng: np.random.Generator) -> int:
    return int(rng.uniform(0.2, 0.8) * (_SIDE - length))


@cache
def _read(name: str) -> U8Array:
    stored = cv2.imdecode(np.fromfile(_FOLDER / f"{name}.jpg", np.uint8), cv2.IMREAD_COLOR)
    return np.ascontiguousarray(np.asarray(stored, np.uint8)[..., ::-1])


def _read_matte(name: str) -> U8Array:
    stored = np.fromfile(_FOLDER / f"{name}.png", np.uint8)
    return np.asarray(cv2.imdecode(stored, cv2.IMREAD_GRAYSCALE), np.uint8)


def _rounded(values: FloatArray) -> U8Array:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _through_jpeg(colours: U8Array) -> U8Array:
    _, data = cv2.imencode(".jpg", colours[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(decoded[..., ::-1])
