"""Pictures whose subject, matte and background are all known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from models.arrays import FloatArray, U8Array
from scripts.command import Unusable
from scripts.evaluate.composites import Composite
from scripts.measuring.processes import REPOSITORY

PHOTOS = REPOSITORY / "examples" / "photos"
CUTOUTS = REPOSITORY / "examples" / "cutouts"

#: Exposure in stops, and how much warmer (red up, blue down): the light a subject was cut out of.
LIGHTS = (
    (0.7, 0.0),
    (-0.7, 0.0),
    (0.0, 0.2),
    (0.0, -0.2),
    (0.7, 0.2),
    (0.7, -0.2),
    (-0.7, 0.2),
    (-0.7, -0.2),
)


class Scene(NamedTuple):
    """One picture made of known layers.

    Attributes:
        name: What it was made from.
        source: The picture ``[H, W, 3]``, with noise.
        foreground: True colours of the subject ``[H, W, 3]``.
        alpha: True matte ``[H, W]``.
        background: True colours behind it ``[H, W, 3]``.
    """

    name: str
    source: U8Array
    foreground: U8Array
    alpha: U8Array
    background: U8Array


def compose_scene(made: Composite) -> Scene:
    """Lay a composite's subject over one of its backgrounds anew, so that all layers are known."""
    background = made.backgrounds[-1]
    mixed = mix(made.foreground, made.alpha_u8, background)
    noise = np.random.default_rng(0).normal(0, 1.5, mixed.shape)
    source = np.clip(np.rint(mixed + noise), 0, 255).astype(np.uint8)
    return Scene(made.name, source, made.foreground, made.alpha_u8, background)


def mix(foreground: U8Array, alpha: U8Array, background: U8Array) -> FloatArray:
    """Composite without rounding: ``[H, W, 3]``, 0..255."""
    share = alpha[..., None].astype(np.float32) / 255.0
    return np.asarray(share * foreground + (1.0 - share) * background, np.float32)


def relight(colours: U8Array, stops: float, warmth: float) -> U8Array:
    """Show colours as another light and exposure would, in linear light."""
    level = colours.astype(np.float32) / 255.0
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    gain = 2.0**stops * np.array([1.0 + warmth, 1.0, 1.0 / (1.0 + warmth)])
    lit = np.clip(linear * gain, 0.0, 1.0)
    encoded = np.where(lit <= 0.0031308, 12.92 * lit, 1.055 * lit ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255.0 * encoded), np.uint8)


def photographs() -> Iterator[tuple[str, U8Array, U8Array]]:
    """The example photographs: name, colours and the matte of the committed cutout."""
    for file in sorted(PHOTOS.glob("*.jpg")):
        cutout = read(CUTOUTS / f"{file.stem}.png")
        yield file.stem, read(file), np.ascontiguousarray(cutout[..., 3])


def read(file: Path) -> U8Array:
    """Read one of our own pictures: RGB or RGBA.

    Raises:
        Unusable: If it is not there.
    """
    stored = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    if stored is None:
        raise Unusable(f"cannot read {file}")
    conversion = cv2.COLOR_BGRA2RGBA if stored.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(stored, conversion), np.uint8)
