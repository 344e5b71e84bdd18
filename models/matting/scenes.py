"""Scenes: backdrops drawn by code, at any size, the same each time and with no file behind them.

What is drawn is smooth, so a scene is painted on a small grid and brought to the canvas, with a
little noise where 8 bits would show bands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from models.arrays import FloatArray, U8Array
from models.matting.grid import enlarge, make_grid

Colour = tuple[int, int, int]

#: Most cells along the longer side of what is painted.
_MAX_SIDE = 640
#: Rows of the canvas that are made at once, about.
_STRIP_ROWS = 128
_NOISE_SIDE = 64
_NOISE = 1.0  # levels, from peak to peak: what rounds to 8 bits without a step
_GLOWS, _DISCS = 9, 44  # of a bokeh
_FLOOR = 0.70  # where wall and floor of a studio meet, of the height


@dataclass(frozen=True)
class Place:
    """Where each cell is.

    Attributes:
        across: From 0 at the left to 1 at the right, ``[1, W]``.
        down: From 0 at the top to 1 at the bottom, ``[H, 1]``.
        height: Of the canvas, where the square root of its area is 1.
        width: Likewise.
    """

    across: FloatArray
    down: FloatArray
    height: float
    width: float

    def distance(self, x: float, y: float) -> FloatArray:
        """From a point, where the square root of the canvas's area is 1: ``[H, W]``."""
        dx, dy = (self.across - x) * self.width, (self.down - y) * self.height
        return np.asarray(np.sqrt(dx * dx + dy * dy), np.float32)


Paint = Callable[[Place], FloatArray]


@dataclass(frozen=True)
class Scene:
    """A backdrop that code draws.

    Attributes:
        name: What people call it.
        paint: Gives the colours of cells, ``[H, W, 3]`` 0..255.
    """

    name: str
    paint: Paint


def draw_scene(scene: Scene, height: int, width: int) -> U8Array:
    """Draw a scene.

    Args:
        scene: One of `SCENES`.
        height: Rows of the canvas.
        width: Columns of the canvas.

    Returns:
        Colours ``[height, width, 3]``.
    """
    grid = make_grid(height, width, _MAX_SIDE)
    side = math.sqrt(height * width)
    place = Place(
        _middles(grid.width)[None, :],
        _middles(grid.height)[:, None],
        height / side,
        width / side,
    )
    shape = (grid.height, grid.width, 3)
    cells = np.ascontiguousarray(np.broadcast_to(scene.paint(place), shape), np.float32)
    canvas = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP_ROWS // grid.step_y)
    for top in range(0, grid.height, rows):
        block = (slice(top, min(top + rows, grid.height)), slice(0, grid.width))
        strip, _ = grid.pixels(block, height, width)
        n_rows = strip.stop - strip.start
        drawn = enlarge(cells, block, grid, n_rows, width) + _noise(strip.start, n_rows, width)
        canvas[strip] = np.clip(drawn, 0, 255).astype(np.uint8)
    return canvas


def _middles(n_cells: int) -> FloatArray:
    """Where the middles of so many cells are, between 0 and 1."""
    return np.asarray((np.arange(n_cells) + 0.5) / n_cells, np.float32)


def _noise(top: int, height: int, width: int) -> FloatArray:
    """What is added before fractions of a level are cut off: ``[height, width, 1]``, 0..1."""
    tile = np.roll(_noise_tile(), -(top % _NOISE_SIDE), axis=0)
    repeats = (-(-height // _NOISE_SIDE), -(-width // _NOISE_SIDE))
    return np.asarray(np.tile(tile, repeats)[:height, :width, None], np.float32)


@cache
def _noise_tile() -> FloatArray:
    """Noise without low frequencies, which the eye would see as clouds."""
    y, x = np.mgrid[:_NOISE_SIDE, :_NOISE_SIDE].astype(np.float64)
    noise = np.modf(52.9829189 * np.modf(0.06711056 * x + 0.00583715 * y)[0])[0]
    return np.asarray(0.5 + (noise - 0.5) * _NOISE, np.float32)


def _rgb(*colours: Colour) -> FloatArray:
    return np.asarray(colours, np.float32)


def _step(values: FloatArray, start: float, end: float) -> FloatArray:
    """0 up to `start`, 1 from `end` on, and a smooth way between."""
    t = np.clip((values - start) / (end - start), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _plain(colour: Colour, _: Place) -> FloatArray:
    """One colour."""
    return _rgb(colour)[None]


def _gradient(colours: tuple[Colour, ...], tilt: float, place: Place) -> FloatArray:
    """Colours from top to bottom; `tilt` turns that to the side."""
    along = place.down * (1 - abs(tilt)) + place.across * tilt + max(0.0, -tilt)
    stops = _rgb(*colours)
    at = np.linspace(0, 1, len(colours))
    channels = [np.interp(along, at, stops[:, c]) for c in range(3)]
    return np.asarray(np.stack(channels, axis=-1), np.float32)


def _studio(wall: Colour, floor: Colour, light: float, place: Place) -> FloatArray:
    """A sheet of paper that hangs down a wall and out onto the floor, lit from above.

    `light` is how much brighter the middle of the wall is than the corners, in levels.
    """
    bend = _step(place.down + 0 * place.across, _FLOOR - 0.10, _FLOOR + 0.12)[..., None]
    paper = _rgb(wall)[None] * (1 - bend) + _rgb(floor)[None] * bend
    glow = np.exp(-((place.distance(0.5, 0.40) / 0.55) ** 2))
    ahead = np.exp(-((place.distance(0.5, 1.05) / 0.50) ** 2)) * 0.55
    crease = np.exp(-(((place.down - _FLOOR) / 0.05) ** 2)) * 0.10
    return np.asarray(paper + light * (glow + ahead - 0.5 - crease)[..., None], np.float32)


def _spotlight(dark: Colour, lit: Colour, place: Place) -> FloatArray:
    """A wall in the dark with a light on its middle."""
    glow = np.exp(-((place.distance(0.5, 0.46) / 0.42) ** 2))[..., None]
    return np.asarray(_rgb(dark)[None] * (1 - glow) + _rgb(lit)[None] * glow, np.float32)


def _bokeh(
    grounds: tuple[Colour, ...], lights: tuple[Colour, ...], seed: int, place: Place
) -> FloatArray:
    """Lights far out of focus: glows, and discs before them, over a gradient."""
    random = np.random.Generator(np.random.PCG64(seed))
    shape = (place.down.size, place.across.size, 3)
    picture = np.array(np.broadcast_to(_gradient(grounds, 0.0, place), shape), np.float32)

    def light(number: int, share: FloatArray) -> None:
        colour = _rgb(lights[number % len(lights)])
        np.add(picture, (colour - picture) * share[..., None], out=picture)

    for number in range(_GLOWS):
        x, y, size, strength = random.random(4)
        distance = place.distance(x, 0.15 + 0.7 * y)
        light(number, (0.15 + 0.25 * strength) * np.exp(-((distance / (0.2 + 0.2 * size)) ** 2)))
    for number in range(_DISCS):
        x, y, size, softness = random.random(4)
        strength = random.random()
        radius = 0.025 + 0.10 * size**1.5
        edge = radius * (0.12 + 0.5 * softness**2)
        distance = place.distance(1.1 * x - 0.05, 1.1 * y - 0.05)
        disc = 1 - _step(distance, radius - edge, radius + edge / 2)
        rim = 0.75 + 0.25 * _step(distance, 0.5 * radius, radius)  # a lens makes it brighter
        light(number, (0.06 + 0.34 * strength**2) * disc * rim)
    return picture


_WHITE = (255, 255, 255)

#: Every scene by its id, in the order they are listed in.
SCENES: Mapping[str, Scene] = {
    "white": Scene("White", partial(_plain, _WHITE)),
    "light-gray": Scene("Light gray", partial(_plain, (240, 241, 243))),
    "charcoal": Scene("Charcoal", partial(_plain, (38, 40, 44))),
    "gradient-mist": Scene(
        "Mist", partial(_gradient, ((250, 251, 253), (226, 231, 238), (196, 205, 217)), 0.0)
    ),
    "gradient-peach": Scene(
        "Peach", partial(_gradient, ((255, 240, 224), (255, 211, 190), (246, 172, 168)), 0.25)
    ),
    "gradient-ocean": Scene(
        "Ocean", partial(_gradient, ((172, 226, 228), (74, 154, 196), (27, 76, 140)), 0.25)
    ),
    "gradient-violet": Scene(
        "Violet", partial(_gradient, ((236, 222, 255), (180, 150, 240), (104, 84, 190)), 0.3)
    ),
    "studio-white": Scene("White studio", partial(_studio, (246, 246, 247), (250, 250, 250), 12.0)),
    "studio-gray": Scene("Gray studio", partial(_studio, (186, 188, 192), (202, 204, 207), 42.0)),
    "studio-warm": Scene("Warm studio", partial(_studio, (226, 211, 194), (236, 224, 210), 30.0)),
    "studio-blue": Scene("Blue studio", partial(_studio, (150, 178, 204), (172, 196, 217), 40.0)),
    "spotlight-dark": Scene("Spotlight", partial(_spotlight, (16, 17, 20), (112, 116, 124))),
    "bokeh-warm": Scene(
        "Evening lights",
        partial(
            _bokeh,
            ((30, 20, 24), (74, 42, 30), (38, 24, 24)),
            ((255, 190, 96), (255, 150, 70), (255, 222, 160), (232, 96, 70)),
            7,
        ),
    ),
    "bokeh-night": Scene(
        "City at night",
        partial(
            _bokeh,
            ((10, 16, 36), (26, 38, 74), (14, 18, 40)),
            ((120, 170, 255), (90, 220, 255), (200, 150, 255), (255, 180, 140)),
            11,
        ),
    ),
    "bokeh-garden": Scene(
        "Garden",
        partial(
            _bokeh,
            ((196, 214, 150), (122, 164, 92), (70, 112, 66)),
            ((250, 252, 206), (190, 226, 130), (232, 244, 190), (120, 176, 96)),
            5,
        ),
    ),
}
