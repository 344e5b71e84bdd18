"""A matte, and the pixels it is sure of, from an outline drawn by hand (JSON).

An outline is `{"height", "width", "subject", "unknown"}` in pixels of its photograph, 0 at the
outer edge of the first pixel. `subject` is a list of polygons `[[x, y], ...]`, all of which belong
to the subject. `unknown` lists where nobody can say by looking: `{"line": [[x, y], ...], "width"}`
or `{"area": [[x, y], ...]}`. examples/masks/README.md says how to draw one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from models.arrays import Mask, U8Array

#: Polygons are filled this many times larger, for edges between pixels.
_OVERSAMPLING = 8


def read_outline(file: Path) -> tuple[U8Array, Mask]:
    """Fill an outline.

    Args:
        file: The JSON file.

    Returns:
        The matte ``[H, W]``, 0..255, and the mask ``[H, W]`` of the pixels it is sure of.

    Raises:
        ValueError: If the file is no outline.
    """
    try:
        outline = json.loads(file.read_text())
        height, width = int(outline["height"]), int(outline["width"])
        canvas = np.zeros((height * _OVERSAMPLING, width * _OVERSAMPLING), np.uint8)
        for polygon in outline["subject"]:
            cv2.fillPoly(canvas, [_points(polygon)], 255)
        alpha = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
        canvas[:] = 0
        for one in outline.get("unknown", []):
            _draw_unknown(canvas, one)
        unknown = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    except (KeyError, TypeError, ValueError, cv2.error) as fault:
        raise ValueError(f"{file} is no outline: {type(fault).__name__} {fault}") from fault
    return np.asarray(alpha, np.uint8), np.asarray(unknown < 128, np.bool_)


def _draw_unknown(canvas: U8Array, one: dict[str, Any]) -> None:
    if "area" in one:
        cv2.fillPoly(canvas, [_points(one["area"])], 255)
    else:
        thickness = max(1, round(float(one["width"]) * _OVERSAMPLING))
        cv2.polylines(canvas, [_points(one["line"])], False, 255, thickness)


def _points(polygon: list[list[float]]) -> npt.NDArray[np.int32]:
    """Corners of the large canvas, whose pixel centres lie half a pixel in."""
    corners = np.asarray(polygon, np.float64).reshape(-1, 2)
    return np.round(corners * _OVERSAMPLING - 0.5).astype(np.int32)
