"""What makes, finds and lays over a matte, by the formulas of tests/data/looks/README.md.

Plain NumPy in double precision, written to be read and not to be fast.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from tests.support.looks_formulas import box_mean, largest, spread, weigh


def smooth_alpha(alpha_u8: np.ndarray) -> np.ndarray:
    smooth = alpha_u8.astype(float)
    for axis in (0, 1):
        smooth = weigh(smooth, np.array([14, 62, 104, 62, 14]) / 256, axis, "edge")
    near = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    lowest = 255 - largest(255 - alpha_u8, near).astype(float)
    return np.clip(np.floor(smooth + 0.5), lowest, largest(alpha_u8, near))


def _cells(picture: np.ndarray, most: int) -> tuple[np.ndarray, int]:
    """The means of square cells, and their side."""
    step, height, width = 1, *picture.shape[:2]
    while max(height, width) > step * most:
        step *= 2
    cells = picture[: height // step * step, : width // step * step].astype(float)
    for _ in range(step.bit_length() - 1):
        halves = (cells[0::2, 0::2], cells[1::2, 0::2], cells[0::2, 1::2], cells[1::2, 1::2])
        cells = np.floor(sum(halves) / 4 + 0.5)
    return cells, step


def _look_up(values: np.ndarray, at: np.ndarray, axis: int) -> np.ndarray:
    """Interpolate linearly between neighbours along an axis."""
    at = np.clip(at, 0, values.shape[axis] - 1)
    first = np.floor(at).astype(int)
    shape = [-1 if one == axis else 1 for one in range(values.ndim)]
    part = (at - first).reshape(shape)
    after = np.minimum(first + 1, values.shape[axis] - 1)
    return (1 - part) * values.take(first, axis) + part * values.take(after, axis)


def _enlarge(values: np.ndarray, step: int, size: tuple[int, ...]) -> np.ndarray:
    for axis in (0, 1):
        values = _look_up(values, (np.arange(size[axis]) + 0.5) / step - 0.5, axis)
    return values


def estimate_foreground(source: np.ndarray, alpha_u8: np.ndarray) -> np.ndarray:
    alpha, (coarse, step) = alpha_u8[..., None] / 255, _cells(alpha_u8, 320)
    opacity, colours = coarse[..., None] / 255, _cells(source, 320)[0]
    subject, behind = (
        _enlarge(spread(colours, one**16), step, alpha_u8.shape) for one in (opacity, 1 - opacity)
    )
    rest = source - (alpha * subject + (1 - alpha) * behind)
    return np.clip(np.rint(subject + alpha * rest), 0, 255)


def refine_alpha(
    alpha_u8: np.ndarray,
    source: np.ndarray,
    radius: float,
    epsilon: float,
    low: float,
    high: float,
    max_side: int,
) -> np.ndarray:
    guide, step = _cells(source, max_side)
    reach = [
        max(1, round(radius * side / small / step))
        for side, small in zip(source.shape[:2], alpha_u8.shape, strict=True)
    ]
    alpha = alpha_u8.astype(float)
    for axis, (cells, side) in enumerate(zip(guide.shape[:2], source.shape[:2], strict=True)):
        alpha = _average(alpha, min(cells, alpha.shape[axis]), axis)
        scale = alpha.shape[axis] * step / side
        alpha = _look_up(alpha, (np.arange(cells) + 0.5) * scale - 0.5, axis)
    planes = box_mean(_fit(guide / 255, alpha / 255, reach, epsilon), *reach)
    planes = _enlarge(planes, step, source.shape)
    fitted = (planes[..., :3] * source / 255).sum(axis=2) + planes[..., 3]
    return np.clip(np.rint(255 * (fitted - low) / (high - low)), 0, 255)


def _average(values: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Average over areas, values that are covered in part included."""
    edges = np.arange(size + 1) * values.shape[axis] / size
    sums = np.insert(np.cumsum(values, axis), 0, 0, axis)
    return np.diff(_look_up(sums, edges, axis), axis=axis) * size / values.shape[axis]


def _fit(colours: np.ndarray, alpha: np.ndarray, reach: list[int], epsilon: float) -> np.ndarray:
    weight = (0.3 + 0.7 * (2 * alpha - 1) ** 2)[..., None]

    def mean(values: np.ndarray) -> np.ndarray:
        return box_mean(weight * values, *reach) / box_mean(weight, *reach)

    colour, level = mean(colours), mean(alpha[..., None])
    with_alpha = mean(colours * alpha[..., None]) - colour * level
    pairs = mean((colours[..., None] * colours[..., None, :]).reshape(*alpha.shape, 9))
    between = pairs.reshape(*alpha.shape, 3, 3) - colour[..., None] * colour[..., None, :]
    slopes = np.linalg.solve(between + epsilon * np.eye(3), with_alpha[..., None])[..., 0]
    return np.dstack([slopes, level - (slopes * colour).sum(axis=2, keepdims=True)])


def subject_box(alpha_u8: np.ndarray) -> np.ndarray:
    cell = -(-max(alpha_u8.shape) // 512)
    visible = (alpha_u8 >= 16).astype(np.uint8)
    height, width = (-(-side // cell) for side in visible.shape)
    padded = np.zeros((height * cell, width * cell), np.uint8)
    padded[: visible.shape[0], : visible.shape[1]] = visible
    cells = padded.reshape(height, cell, width, cell).any(axis=(1, 3)).astype(np.uint8)
    parts = cv2.connectedComponents(cells, connectivity=8)[1].repeat(cell, 0).repeat(cell, 1)
    sizes = np.bincount(parts.ravel(), weights=padded.ravel())
    least = max(1, sizes.max() / 2000, alpha_u8.size / 40_000)
    rows, columns = np.nonzero((sizes >= least)[parts] & (padded > 0))
    box = np.zeros(alpha_u8.shape)
    if len(rows):
        box[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = 255
    return box


def underlay(
    colours: np.ndarray, alpha_u8: np.ndarray, opacity: np.ndarray, colour: list[int]
) -> np.ndarray:
    alpha = alpha_u8[..., None] / 255
    behind = opacity[..., None] / 255 * (1 - alpha)
    together = alpha + behind
    mixed = (alpha * colours + behind * np.array(colour)) / np.maximum(together, 1e-9)
    return np.rint(np.dstack([np.where(np.rint(255 * together) > 0, mixed, 0), 255 * together]))


def composite(colours: np.ndarray, alpha_u8: np.ndarray, background: np.ndarray) -> np.ndarray:
    alpha = alpha_u8[..., None] / 255
    return np.rint(alpha * colours + (1 - alpha) * background)


def place(colours: np.ndarray, alpha_u8: np.ndarray, box: list[int]) -> np.ndarray:
    left, top, width, height = box
    light = np.dstack([colours * (alpha_u8[..., None] / 255), alpha_u8])
    for axis, size in ((0, height), (1, width)):
        if size <= light.shape[axis]:
            light = _average(light, size, axis)
        else:
            at = (np.arange(size) + 0.5) * light.shape[axis] / size - 0.5
            light = _look_up(light, at, axis)
    straight = 255 * light[..., :3] / np.maximum(light[..., 3:], 1e-9)
    shown = np.rint(light[..., 3:]) > 0
    canvas = np.zeros((*alpha_u8.shape, 4))
    rows = slice(max(0, top), min(len(canvas), top + height))
    columns = slice(max(0, left), min(canvas.shape[1], left + width))
    seen = (
        slice(rows.start - top, rows.stop - top),
        slice(columns.start - left, columns.stop - left),
    )
    canvas[rows, columns] = np.rint(np.dstack([np.where(shown, straight, 0), light[..., 3]]))[seen]
    return canvas


FORMULAS: dict[str, Callable[..., np.ndarray]] = {
    one.__name__: one
    for one in (
        smooth_alpha,
        estimate_foreground,
        refine_alpha,
        subject_box,
        underlay,
        composite,
        place,
    )
}
