"""What every recipe for a costly file is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from models.arrays import U8Array

#: The largest picture the default limits let in.
WIDTH, HEIGHT = 7680, 4320
#: The largest file they let in.
MOST_BYTES = 10 * 1024**2
_TILE = 512

Numbers = Mapping[str, int]
Bounds = dict[str, tuple[int, int, int]]

#: Sides of a picture, as bounds.
SIDES: Bounds = {"width": (WIDTH, 64, WIDTH), "height": (HEIGHT, 64, HEIGHT)}


@dataclass(frozen=True)
class Recipe:
    """How to make one kind of file.

    Attributes:
        name: Name.
        make: Numbers to a file.
        bounds: Each number's default, least and most.
    """

    name: str
    make: Callable[[Numbers], bytes]
    bounds: Mapping[str, tuple[int, int, int]]

    def defaults(self) -> dict[str, int]:
        """The numbers to begin with."""
        return {name: bound[0] for name, bound in self.bounds.items()}


def varied(bounds: Bounds, **defaults: int) -> Bounds:
    """Bounds with other numbers to begin with."""
    return {**bounds, **{name: (value, *bounds[name][1:]) for name, value in defaults.items()}}


def noise(width: int, height: int, channels: int, level: int) -> U8Array:
    """A picture ``[H, W, C]`` of mid grey with so many levels of noise, repeated in tiles."""
    tile = np.random.default_rng(0).integers(0, level + 1, (_TILE, _TILE, channels))
    tile = (128 - level // 2 + tile).astype(np.uint8)
    times = (-(-height // _TILE), -(-width // _TILE), 1)
    return np.asarray(np.tile(tile, times)[:height, :width], dtype=np.uint8)
