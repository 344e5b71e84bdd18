"""Mattes that an effect must survive, and some whose right answer can be told."""

from __future__ import annotations

import numpy as np


def disc(height: int = 120, width: int = 120, radius: float = 30, soft: float = 1) -> np.ndarray:
    """A disc in the middle, whose edge goes from 255 to 0 over so many pixels."""
    y, x = np.mgrid[:height, :width]
    away = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2)
    return np.rint(np.clip((radius - away) / soft + 0.5, 0, 1) * 255).astype(np.uint8)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def colours(height: int, width: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _at_the_end() -> np.ndarray:
    matte = np.zeros((131, 67), np.uint8)
    matte[-1, -1] = 255
    return matte


HOSTILE = {
    **{
        f"{name} {height}x{width}": make(height, width)
        for height, width in [(1, 1), (1, 9), (9, 1), (2, 700), (65, 3), (131, 67)]
        for name, make in {
            "nothing": lambda h, w: np.zeros((h, w), np.uint8),
            "everything": lambda h, w: np.full((h, w), 255, np.uint8),
            "noise": noise,
        }.items()
    },
    "disc": disc(),
    "last pixel": _at_the_end(),
    "rows of a larger array": noise(60, 80)[::2, ::2],
}
