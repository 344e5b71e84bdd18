"""Where the picture comes to lie on the canvas that a caller asked for: numbers only, no pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from models.matting.canvas import Box
from service.errors import InvalidRequest
from service.imaging.guard import ImageLimits
from service.removal.options import RemovalOptions

PREVIEW_PIXELS = 250_000
#: A canvas is never larger than a picture of the usual limits, whatever an operator takes in.
_MOST_SIDE, _MOST_PIXELS = ImageLimits.max_long_side, ImageLimits.max_pixels


@dataclass(frozen=True)
class Layout:
    """A canvas and the place of the whole picture on it, which may reach beyond it.

    Attributes:
        height: Rows of the canvas, in pixels.
        width: Columns of the canvas, in pixels.
        picture: The picture's place.
    """

    height: int
    width: int
    picture: Box


@dataclass
class _Frame:
    """A rectangle of the source, in its pixels, which may reach beyond it; the canvas shows it.

    `zoom` is how many pixels of the canvas one of the source takes.
    """

    left: float
    top: float
    width: float
    height: float
    zoom: float = 1.0


def lay_out(options: RemovalOptions, height: int, width: int, subject: Box | None) -> Layout:
    """Decide canvas and place.

    Args:
        options: What the caller chose.
        height: Rows of the source, in pixels.
        width: Columns of the source, in pixels.
        subject: The subject's place in the source; None is a whole picture.

    Raises:
        InvalidRequest: If the canvas would be larger than any picture that is taken.
    """
    whole = Box(0, 0, width, height)
    subject = subject or whole
    frame = _cropped(options, subject) if options.crop else _Frame(*map(float, whole))
    frame = _extended(options.aspect, frame)
    if "x" in options.size:
        frame = _extended(options.size.replace("x", ":"), frame)
    frame = _scaled(options, frame, subject)
    zoom = frame.zoom * _zoom(options.size, frame)
    across, down = _pixels(frame.width * zoom), _pixels(frame.height * zoom)
    if max(across, down) > _MOST_SIDE or across * down > _MOST_PIXELS:
        raise InvalidRequest(f"The canvas would have {across}x{down} pixels")
    left, top = round(-frame.left * zoom), round(-frame.top * zoom)
    return Layout(down, across, Box(left, top, _pixels(width * zoom), _pixels(height * zoom)))


def _pixels(length: float) -> int:
    return max(1, round(length))


def largest_canvas(options: RemovalOptions, height: int, width: int) -> int:
    """Most pixels the canvas can have, wherever the subject is found to be."""
    layout = lay_out(options, height, width, None)
    return layout.height * layout.width


def _cropped(options: RemovalOptions, subject: Box) -> _Frame:
    """The subject and the room around it; the room may lie beyond the picture."""
    text = options.crop_margin
    margin = float(text.rstrip("%px"))
    if text.endswith("%"):
        margin *= max(subject.width, subject.height) / 100
    margin = float(round(margin))
    return _Frame(
        subject.left - margin,
        subject.top - margin,
        subject.width + 2 * margin,
        subject.height + 2 * margin,
    )


def _scaled(options: RemovalOptions, frame: _Frame, subject: Box) -> _Frame:
    """A frame in which the subject is as large, and stands where, the caller said."""
    place = options.position or ("center" if options.scale else "original")
    if options.scale:
        fill = max(subject.width / frame.width, subject.height / frame.height)
        grown = fill * 100 / options.scale
        width, height = frame.width * grown, frame.height * grown
        left = subject.left - (subject.left - frame.left) * grown
        top = subject.top - (subject.top - frame.top) * grown
        frame = _Frame(left, top, width, height, 1 / grown)
    if place == "original":
        return frame
    x, y = (50.0, 50.0) if place == "center" else map(_percent, place.split(","))
    left = subject.left - round((frame.width - subject.width) * x / 100)
    top = subject.top - round((frame.height - subject.height) * y / 100)
    return replace(frame, left=left, top=top)


def _percent(text: str) -> float:
    return min(100.0, float(text.rstrip("%")))


def _extended(aspect: str | None, frame: _Frame) -> _Frame:
    """The frame with room added on two sides, to have this aspect."""
    if aspect is None:
        return frame
    across, down = map(float, aspect.split(":"))
    width = max(frame.width, frame.height * across / down)
    height = max(frame.height, frame.width * down / across)
    left = frame.left - round((width - frame.width) / 2)
    top = frame.top - round((height - frame.height) / 2)
    return _Frame(left, top, width, height, frame.zoom)


def _zoom(size: str, frame: _Frame) -> float:
    """How much smaller or larger than the frame on its canvas the result shall be."""
    width, height = frame.width * frame.zoom, frame.height * frame.zoom
    if size == "full":
        return 1.0
    if size == "preview":
        return min(1.0, math.sqrt(PREVIEW_PIXELS / (width * height)))
    return float(int(size.split("x")[0]) / width)
