"""Draws one trace: a bar for every span, below the span it belongs to, over its time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from PIL import Image, ImageDraw, ImageFont

from scripts.traces.collector import Collected

_WIDTH, _ROW, _MARGIN = 1500, 34, 24
_NAMES, _TIMES = 360, 130  # columns left and right of the bars
_INDENT, _FONT = 22, 19
_PAPER, _INK, _RULE, _FAULT = "#ffffff", "#1f2933", "#d9dee3", "#b42318"
_BARS = {"background_removal": "#2f6fab"}
_OTHER_BAR = "#d97706"
_RULES = 5


def draw(spans: Sequence[Collected]) -> Image.Image:
    """Draw a trace.

    Args:
        spans: Of one trace, at least one.

    Returns:
        The picture, mode RGB.
    """
    began, ended = min(span.began for span in spans), max(span.ended for span in spans)
    rows = list(_in_order(spans))
    picture = Image.new("RGB", (_WIDTH, (len(rows) + 2) * _ROW + 2 * _MARGIN), _PAPER)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(_FONT)
    left, right = _MARGIN + _NAMES, _WIDTH - _MARGIN - _TIMES
    scale = (right - left) / max(ended - began, 1e-6)
    bottom = _MARGIN + (len(rows) + 1) * _ROW
    for rule in range(_RULES + 1):
        x = left + (right - left) * rule / _RULES
        pen.line((x, _MARGIN + _ROW - 6, x, bottom), _RULE)
        told = f"{(ended - began) * 1e3 * rule / _RULES:.0f} ms"
        pen.text((x, _MARGIN), told, _INK, font, "ma")
    for row, (depth, span) in enumerate(rows, start=1):
        y = _MARGIN + row * _ROW
        middle = y + _ROW // 2
        ink = _FAULT if span.failed else _INK
        pen.text((_MARGIN + depth * _INDENT, middle), span.name, ink, font, "lm")
        x = left + (span.began - began) * scale
        wide = max((span.ended - span.began) * scale, 2)
        pen.rectangle((x, y + 7, x + wide, y + _ROW - 7), _BARS.get(span.service, _OTHER_BAR))
        took = f"{(span.ended - span.began) * 1e3:.1f} ms"
        pen.text((_WIDTH - _MARGIN, middle), took, ink, font, "rm")
    _key(pen, font, spans, bottom + _ROW // 2)
    return picture


def _key(
    pen: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    spans: Sequence[Collected],
    y: int,
) -> None:
    """Say which colour is which process."""
    x: float = _MARGIN + _NAMES
    for service in dict.fromkeys(span.service for span in spans):
        pen.rectangle((x, y, x + 18, y + 18), _BARS.get(service, _OTHER_BAR))
        pen.text((x + 26, y + 9), service, _INK, font, "lm")
        x += 26 + pen.textlength(service, font) + 40


def _in_order(
    spans: Sequence[Collected], parent: str | None = None, depth: int = 0
) -> Iterator[tuple[int, Collected]]:
    """Each span with how deep it lies, the ones below it after it."""
    known = {span.span_id for span in spans}
    for span in spans:
        is_top = span.parent_id not in known
        if span.parent_id == parent or (parent is None and is_top):
            yield depth, span
            yield from _in_order(spans, span.span_id, depth + 1)
