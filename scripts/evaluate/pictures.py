"""Pictures to look at: a chart of the scores, sheets of the worst cases.

Drawn with Pillow: a plotting library would be the largest thing in the environment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from models.arrays import U8Array
from scripts.evaluate.cases import Case
from scripts.evaluate.scores import Measure, Scores, settle, values_of

#: One per contender.
COLOURS = ((201, 62, 48), (46, 98, 178), (70, 140, 50))
_UNKNOWN = (0, 130, 120)
_INK, _PAPER, _FAINT = (40, 40, 40), (255, 255, 255), (225, 225, 225)
_BAR, _GAP, _LEFT, _WIDTH, _RIGHT = 16, 12, 250, 460, 230
_MAX_PANEL = 420
_CAPTION = 26


def draw_chart(scores: Mapping[str, Sequence[Scores]], measures: Sequence[Measure]) -> Image.Image:
    """Draw a bar per contender and measure, a tick per picture.

    Args:
        scores: By contender, of each picture; three contenders at most.
        measures: What to draw, from top to bottom. Each has a scale of its own, from 0 to the
            largest value.

    Returns:
        The chart.
    """
    row = _BAR * len(scores) + _GAP
    size = (_LEFT + _WIDTH + _RIGHT, row * len(measures) + _CAPTION + 2 * _GAP)
    chart = Image.new("RGB", size, _PAPER)
    draw, font = ImageDraw.Draw(chart), ImageFont.load_default(13)
    for at, (who, colour) in enumerate(zip(scores, COLOURS, strict=False)):
        left = _GAP + at * size[0] // len(scores)
        draw.rectangle((left, _GAP + 2, left + 11, _GAP + 13), colour)
        draw.text((left + 20, _GAP), who, _INK, font)
    for number, measure in enumerate(measures):
        top = _CAPTION + 2 * _GAP + number * row
        draw.text((_GAP, top), measure.title, _INK, font)
        taken = [values_of(rows, measure.key) for rows in scores.values()]
        largest = max(map(max, taken)) or 1.0
        for at, (values, colour) in enumerate(zip(taken, COLOURS, strict=False)):
            _draw_bar(draw, top + at * _BAR, [one / largest for one in values], colour)
            text = f"{measure.text(float(np.mean(values)))} {measure.unit}"
            draw.text((_LEFT + _WIDTH + _GAP, top + at * _BAR), text, _INK, font)
    return chart


def _draw_bar(
    draw: ImageDraw.ImageDraw, top: int, shares: Sequence[float], colour: tuple[int, int, int]
) -> None:
    """The mean as a bar, each picture as a tick; ``shares`` are 0..1 of the scale."""
    bottom = top + _BAR - 4
    draw.rectangle((_LEFT, top, _LEFT + _WIDTH, bottom), _FAINT)
    draw.rectangle((_LEFT, top, _LEFT + round(float(np.mean(shares)) * _WIDTH), bottom), colour)
    for share in shares:
        x = _LEFT + round(share * _WIDTH)
        draw.line((x, top, x, bottom), _INK)


def draw_sheet(case: Case, mattes: Mapping[str, U8Array]) -> Image.Image:
    """Put source, truth, mattes and their errors side by side.

    Args:
        case: The picture.
        mattes: By contender, ``[H, W]``, 0..255; three at most.

    Returns:
        The sheet: where the truth is not known it is green, and errors have their contender's
        colour on black (violet where both are wrong).
    """
    truth = np.dstack([case.alpha_u8] * 3)
    truth[~case.known] = _UNKNOWN
    panels = {"source": case.source, "truth (green: unknown)": truth}
    panels |= {who: np.dstack([alpha] * 3) for who, alpha in mattes.items()}
    panels["what is wrong"] = _paint_errors(case, list(mattes.values()))
    scale = min(1.0, _MAX_PANEL / max(case.alpha_u8.shape))
    height, width = (max(1, round(side * scale)) for side in case.alpha_u8.shape)
    step = max(width, 8 * max(map(len, panels)))
    sheet = Image.new("RGB", (step * len(panels), height + _CAPTION), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for at, (caption, panel) in enumerate(panels.items()):
        small = cv2.resize(panel, (width, height), interpolation=cv2.INTER_AREA)
        sheet.paste(Image.fromarray(np.asarray(small, np.uint8)), (at * step, _CAPTION))
        draw.text((at * step + 4, 6), caption, _INK, font)
    return sheet


def _paint_errors(case: Case, mattes: Sequence[U8Array]) -> U8Array:
    """How wrong each matte is, in its colour ``[H, W, 3]``."""
    painted = np.zeros((*case.alpha_u8.shape, 3), np.float32)
    for alpha, colour in zip(mattes, COLOURS, strict=False):
        error = np.asarray(cv2.absdiff(settle(alpha, case), case.alpha_u8), np.float32) / 255.0
        painted += error[..., None] * np.array(colour, np.float32)
    return np.clip(painted, 0, 255).astype(np.uint8)
