"""Alpha matte -> opacity of a black shadow, beneath or behind the subject."""

from __future__ import annotations

import cv2
import numpy as np

from models.arrays import FloatArray, U8Array
from models.matting.canvas import subject_box
from models.matting.grid import enlarge, make_grid, reduce_to_grid

SHADOWS = ("drop", "contact")

#: Longest side of the grid a shadow is made on, in cells; nothing of it is sharper.
_MAX_SIDE = 320
#: All lengths are shares of the subject's size, the square root of its box's area.
_DROP_OFFSET, _DROP_SOFTNESS = 0.035, 0.035
#: What is within this of the lowest point touches the ground.
_CONTACT_HEIGHT = 0.06
#: Widths of a contact shadow's two halves, the dark one at the ground and the wide one.
_CONTACT_SOFTNESS = ((0.05, 0.012), (0.12, 0.03))
_CONTACT_OFFSET = 0.012
#: The farthest a shadow reaches beyond the box.
_REACH = 0.4


def cast_shadow(alpha_u8: U8Array, kind: str, opacity: float) -> U8Array:
    """Cast a soft black shadow, to be laid under the subject; it ends where the picture ends.

    Args:
        alpha_u8: Matte ``[H, W]``, 0..255.
        kind: ``drop``: the subject's shape, softer and lower, as of a sheet before a wall.
            ``contact``: darkness on the ground where the subject stands.
        opacity: Of the darkest place there can be, 0..1.

    Returns:
        Opacity of the shadow ``[H, W]``, 0..255; nothing where there is no subject.

    Raises:
        ValueError: If there is no such kind.
    """
    if kind not in SHADOWS:
        raise ValueError(f"no shadow is called {kind!r}")
    shadow = np.zeros_like(alpha_u8)
    box = subject_box(alpha_u8)
    if box is None:
        return shadow
    size = float(np.sqrt(box.width * box.height))
    margin = int(_REACH * size) + 1
    height, width = alpha_u8.shape
    rows = slice(max(0, box.top - margin), min(height, box.top + box.height + margin))
    columns = slice(max(0, box.left - margin), min(width, box.left + box.width + margin))
    near = alpha_u8[rows, columns]
    grid = make_grid(near.shape[0], near.shape[1], _MAX_SIDE)
    coarse = reduce_to_grid(near, grid).astype(np.float32)
    cells = (size / grid.step_y, size / grid.step_x)
    if kind == "drop":
        cast = _drop(coarse, *cells)
    else:
        bottom = (box.top + box.height - rows.start) / grid.step_y
        cast = _contact(coarse, bottom, *cells)
    dark = np.rint(np.clip(cast * opacity, 0, 255)).astype(np.uint8)
    whole = (slice(0, grid.height), slice(0, grid.width))
    shadow[rows, columns] = enlarge(dark, whole, grid, *near.shape)
    return shadow


def _drop(alpha: FloatArray, size_y: float, size_x: float) -> FloatArray:
    """The matte, softer and lower."""
    return _blur_below(
        alpha, _DROP_SOFTNESS * size_x, _DROP_SOFTNESS * size_y, _DROP_OFFSET * size_y
    )


def _contact(alpha: FloatArray, bottom: float, size_y: float, size_x: float) -> FloatArray:
    """What stands on the ground, blurred flat; as dark at its darkest as the subject is opaque."""
    centres = np.arange(alpha.shape[0], dtype=np.float32) + 0.5
    nearness = np.clip(1 - (bottom - centres) / max(1.0, _CONTACT_HEIGHT * size_y), 0, 1)
    feet = np.asarray(alpha * nearness[:, None], np.float32)
    total = np.zeros_like(alpha)
    for across, down in _CONTACT_SOFTNESS:
        part = _blur_below(feet, across * size_x, down * size_y, _CONTACT_OFFSET * size_y)
        total += part * (0.5 * feet.max() / max(float(part.max()), 1e-6))
    return total


def _blur_below(values: FloatArray, across: float, down: float, lower: float) -> FloatArray:
    """Blur by so many cells across and down, and move down by so many."""
    move = np.array([[1, 0, 0], [0, 1, -lower]], np.float32)
    size = (values.shape[1], values.shape[0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(values, move, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    blurred = cv2.sepFilter2D(
        moved, -1, _kernel(across), _kernel(down), borderType=cv2.BORDER_REPLICATE
    )
    return np.asarray(blurred, np.float32)


def _kernel(sigma: float) -> FloatArray:
    return np.asarray(cv2.getGaussianKernel(2 * int(3 * sigma) + 1, max(sigma, 1e-3), cv2.CV_32F))
