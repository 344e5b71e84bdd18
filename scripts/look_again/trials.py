"""Looks at parts of a picture again, as the page's editor does, and says how near the truth it is.

The page's own code is `web/page/src/matting/retouch.ts: patchIn` and
`web/page/src/editor/session.ts: again`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from models.arrays import FloatArray, U8Array
from models.matting.edge_band import alpha_error, edge_band
from models.matting.grid import Block
from scripts.evaluate.cases import Case

#: Sides of the windows, as shares of the picture's longer side.
SHARES = (0.25, 0.35, 0.5, 0.6, 0.7, 0.85)
#: A window counts fully from this share of its shorter side on.
_BORDER = 0.08
#: What is at most this, or at least 255 less this, is certain.
_CERTAIN = 8

Place = Literal["edge", "error"]
PLACES: tuple[Place, ...] = ("edge", "error")


@dataclass(frozen=True)
class Trial:
    """One window. Errors are means of |alpha - truth|, 0..1.

    Attributes:
        picture: Its name.
        place: Whether the window lies around a random pixel of the edge, or the largest error.
        share: Its side, as a share of the picture's longer side.
        contradiction: Mean difference of what was certain, 0..1.
        before: Error in the window.
        after: The same with what the network said of the window.
        band_before: Error near the true edge in the window; None where there is none.
        band_after: The same with what the network said of the window.
    """

    picture: str
    place: Place
    share: float
    contradiction: float
    before: float
    after: float
    band_before: float | None
    band_after: float | None


def try_out(case: Case, number: int, matte_of: Callable[[U8Array], U8Array]) -> Iterator[Trial]:
    """Look again at windows of each size in each place.

    Args:
        case: The picture.
        number: Chooses the random places.
        matte_of: What the service makes of a picture ``[H, W, 3]``: its matte.
    """
    alpha = matte_of(case.source)
    band = edge_band(case.alpha_u8)
    for share in SHARES:
        for place in PLACES:
            window = _window(case.alpha_u8, alpha, share, place, number)
            rows, columns = window
            again = matte_of(np.ascontiguousarray(case.source[rows, columns]))
            mixed = patch_in(alpha, again, window)
            before, truth, near = alpha[window], case.alpha_u8[window], band[window]
            yield Trial(
                case.name,
                place,
                share,
                contradiction(before, again),
                alpha_error(before, truth),
                alpha_error(mixed, truth),
                alpha_error(before, truth, near) if near.any() else None,
                alpha_error(mixed, truth, near) if near.any() else None,
            )


def patch_in(alpha_u8: U8Array, again: U8Array, window: Block) -> U8Array:
    """A window with what the network said of it alone, blended at its inner borders ``[h, w]``."""
    height, width = again.shape
    reach = max(1.0, _BORDER * min(height, width))
    down, across = (
        _ramp(part, size, reach) for part, size in zip(window, alpha_u8.shape, strict=True)
    )
    share = np.minimum(down[:, None], across)
    mixed = alpha_u8[window] * (1 - share) + again * share
    return np.asarray(np.floor(mixed + 0.5), np.uint8)


def contradiction(before: U8Array, again: U8Array) -> float:
    """Mean difference of what was certain before, 0..1; 0 where nothing was."""
    certain = (before <= _CERTAIN) | (before >= 255 - _CERTAIN)
    return alpha_error(again, before, certain) if certain.any() else 0.0


def _ramp(part: slice, size: int, reach: float) -> FloatArray:
    """How much of a window counts along one side, 0..1; at the picture's own border, all."""
    length = part.stop - part.start
    at = np.arange(length) + 0.5
    first = at + (reach if part.start == 0 else 0)
    last = length - at + (reach if part.stop == size else 0)
    return np.asarray(np.clip(np.minimum(first, last) / reach, 0, 1), np.float32)


def _window(truth: U8Array, alpha: U8Array, share: float, place: Place, number: int) -> Block:
    height, width = truth.shape
    side = round(share * max(height, width))
    rows, columns = min(side, height), min(side, width)
    if place == "edge":
        edge = np.argwhere((truth > 20) & (truth < 235))
        y, x = edge[np.random.default_rng(number).integers(len(edge))]
    else:
        off = cv2.absdiff(alpha, truth).astype(np.float32)
        near = cv2.blur(off, (columns // 2 | 1, rows // 2 | 1))
        y, x = np.unravel_index(int(near.argmax()), near.shape)
    top = int(np.clip(y - rows // 2, 0, height - rows))
    left = int(np.clip(x - columns // 2, 0, width - columns))
    return slice(top, top + rows), slice(left, left + columns)
