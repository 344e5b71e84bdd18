"""Subject and a new background -> the subject in the background's light, a little.

The mean of the subject's colours is moved towards that of the background around it, in OKLab. Full
strength is worse than nothing, and so is matching contrast: `docs/benchmarks/2026-11-27-looks.md`.

Source:
    Reinhard et al., "Color Transfer between Images" (2001); Ottosson, "A perceptual color space for
    image processing" (2020).
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from models.arrays import FloatArray, U8Array

_Vector = npt.NDArray[np.float64]

#: The strength that came nearest to the truth in `scripts.looks`.
RECOMMENDED_STRENGTH = 0.35
#: The farthest a colour is moved: lightness, and the two axes of colour together; white is 1.
_MAX_LIGHTNESS, _MAX_COLOUR = 0.08, 0.08
#: About so many pixels are looked at.
_MAX_SAMPLE = 60_000
_OPAQUE = 250
#: The background counts by its nearness to the subject: a Gaussian of this share of a side.
_AROUND = 0.1

_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_FROM_CONES, _FROM_LAB = np.linalg.inv(_TO_CONES), np.linalg.inv(_TO_LAB)
#: Light as an index: a step near black is a twentieth of a step of sRGB.
_LEVELS = 65_535
_STRIP_ROWS = 64


def match_colours(
    colours: U8Array, alpha_u8: U8Array, background: U8Array, strength: float
) -> U8Array:
    """Move the subject's mean colour towards the background's.

    Args:
        colours: The subject's own colours ``[H, W, 3]``.
        alpha_u8: Matte ``[H, W]``, 0..255; only opaque pixels say what the subject's mean is.
        background: What it will stand before ``[H, W, 3]``; counts around the subject.
        strength: Share of the way, 0..1; `RECOMMENDED_STRENGTH`. 0 changes nothing.

    Returns:
        Colours ``[H, W, 3]``. Those under alpha 0 mean nothing.
    """
    move = _find_move(colours, alpha_u8, background) * strength
    lightness = np.clip(move[0], -_MAX_LIGHTNESS, _MAX_LIGHTNESS)
    length = float(np.hypot(move[1], move[2]))
    move = np.array([lightness, *(move[1:] * min(1.0, _MAX_COLOUR / max(length, 1e-9)))])
    if not move.any():
        return colours.copy()
    return _apply(colours, alpha_u8, move)


def to_oklab(colours: U8Array) -> FloatArray:
    """Convert sRGB to OKLab.

    Args:
        colours: ``[..., 3]``.

    Returns:
        Lightness 0..1, green-red and blue-yellow ``[..., 3]``.
    """
    cones = np.cbrt(_decode()[colours] @ _TO_CONES.T)
    return np.asarray(cones @ _TO_LAB.T, np.float32)


def _find_move(colours: U8Array, alpha_u8: U8Array, background: U8Array) -> _Vector:
    """From the subject's mean to the background's, in OKLab ``[3]``; 0 without an opaque pixel."""
    step = max(1, int(np.ceil(np.sqrt(alpha_u8.size / _MAX_SAMPLE))))
    subject, opacity, behind = (one[::step, ::step] for one in (colours, alpha_u8, background))
    opaque = (opacity >= _OPAQUE).astype(np.float32)
    if not opaque.any():
        return np.zeros(3)
    near = cv2.GaussianBlur(opaque, (0, 0), _AROUND * max(opaque.shape))
    around = near * (1.0 - np.asarray(opacity, np.float32) / 255.0)
    if not around.any():  # nothing is seen of it; what is hidden is the best guess
        around = np.ones_like(opaque)
    return _mean(behind, around) - _mean(subject, opaque)


def _mean(colours: U8Array, weight: FloatArray) -> _Vector:
    seen = weight > 0
    mean: _Vector = np.average(to_oklab(colours[seen]), axis=0, weights=weight[seen])
    return mean


def _apply(colours: U8Array, alpha_u8: U8Array, move: _Vector) -> U8Array:
    """Add to OKLab, which is to add to the cube roots of the cones' light."""
    shift = (_FROM_LAB @ move).astype(np.float32)
    decode, encode = _decode().reshape(1, 256), _encode()
    matched = colours.copy()
    for top in range(0, colours.shape[0], _STRIP_ROWS):
        strip = slice(top, top + _STRIP_ROWS)
        columns = np.flatnonzero(alpha_u8[strip].any(axis=0))
        if not columns.size:
            continue
        part = (strip, slice(columns[0], columns[-1] + 1))
        cones = cv2.transform(cv2.LUT(colours[part], decode), _TO_CONES)
        moved = np.cbrt(cones) + shift
        levels = cv2.transform(moved * moved * moved, _FROM_CONES * _LEVELS)
        np.clip(levels + 0.5, 0, _LEVELS, out=levels)
        matched[part] = np.take(encode, levels.astype(np.uint16))
    return matched


def _decode() -> FloatArray:
    """Light of each of the 256 levels of sRGB, 0..1."""
    level = np.arange(256) / 255.0
    return np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4).astype(
        np.float32
    )


def _encode() -> U8Array:
    """Level of sRGB for light in `_LEVELS` steps."""
    light = np.linspace(0.0, 1.0, _LEVELS + 1)
    level = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(level * 255.0).astype(np.uint8)
