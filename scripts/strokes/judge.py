"""Draws strokes on a matte that is wrong, as a hand would; says how near to the truth it got."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from models.arrays import Mask, U8Array
from models.matting.strokes import apply_sketch, draw_stroke, start_sketch
from scripts.strokes.faults import Fault, next_stroke

#: An error where the matte was wrong that is small enough to stop drawing.
ENOUGH = 0.05
_MOST_STROKES = 10


@dataclass(frozen=True)
class Trial:
    """What became of one matte. Errors are means of |alpha - truth|, 0..1.

    Attributes:
        name: The picture, and what was wrong.
        before: Error where the matte was wrong, without strokes.
        after: The same after the first stroke.
        elsewhere_before: Error everywhere else, without strokes.
        elsewhere_after: The same after the first stroke.
        needed: Strokes to an error below `ENOUGH`; one more than are tried where that is never so.
        ms: Milliseconds of the first stroke and of the matte made of it.
    """

    name: str
    before: float
    after: float
    elsewhere_before: float
    elsewhere_after: float
    needed: int
    ms: float


def try_out(fault: Fault) -> Trial:
    """Draw until the matte is good enough; the scripted strokes first, then a simulated hand's."""
    wrong = fault.wrong
    elsewhere = fault.known & ~wrong
    sketch = start_sketch(fault.wrong_alpha, fault.source)
    alpha, first, ms, needed = fault.wrong_alpha, fault.wrong_alpha, 0.0, _MOST_STROKES + 1
    for number in range(1, _MOST_STROKES + 1):
        scripted = fault.strokes[number - 1 : number]
        stroke = scripted[0] if scripted else next_stroke(alpha, fault)
        if stroke is None:
            break
        started = time.perf_counter()
        sketch = draw_stroke(sketch, stroke)
        alpha = apply_sketch(fault.wrong_alpha, fault.source, sketch)
        if number == 1:
            first, ms = alpha, (time.perf_counter() - started) * 1e3
        if _error(alpha, fault, wrong) < ENOUGH:
            needed = number
            break
    return Trial(
        fault.name,
        _error(fault.wrong_alpha, fault, wrong),
        _error(first, fault, wrong),
        _error(fault.wrong_alpha, fault, elsewhere),
        _error(first, fault, elsewhere),
        needed,
        ms,
    )


def _error(alpha_u8: U8Array, fault: Fault, where: Mask) -> float:
    off = np.abs(alpha_u8.astype(np.int16) - fault.truth)
    return float(off[where].mean()) / 255
