"""The image effects once more, straight from the formulas of tests/data/looks/README.md.

Plain NumPy in double precision, written to be read and not to be fast.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.matting.canvas import subject_box


def blur(
    values: np.ndarray, sx: float, sy: float, mode: str = "edge", reach: int = 3
) -> np.ndarray:
    """Blur by a Gaussian cut off at so many standard deviations."""
    for axis, sigma in ((0, sy), (1, sx)):
        span = int(reach * sigma)
        weights = np.exp(-(np.arange(-span, span + 1) ** 2) / (2 * max(sigma, 1e-3) ** 2))
        values = weigh(values, weights / weights.sum(), axis, mode)
    return values


def weigh(values: np.ndarray, weights: np.ndarray, axis: int, mode: str) -> np.ndarray:
    span, size = len(weights) // 2, values.shape[axis]
    padding = [(span, span) if one == axis else (0, 0) for one in range(values.ndim)]
    padded = np.pad(values.astype(float), padding, mode=mode)
    shifted = (np.take(padded, range(k, k + size), axis) for k in range(len(weights)))
    return sum(weight * one for weight, one in zip(weights, shifted, strict=True))


def largest(alpha: np.ndarray, offsets: list[tuple[int, int]]) -> np.ndarray:
    reach = max(max(abs(y), abs(x)) for y, x in offsets)
    padded = np.pad(alpha, reach, constant_values=0)
    height, width = alpha.shape
    return np.max(
        [padded[reach + y : reach + y + height, reach + x : reach + x + width] for y, x in offsets],
        axis=0,
    )


def _disc(alpha: np.ndarray, k: int) -> np.ndarray:
    if k == 0:
        return alpha
    near = [(y, x) for y in range(-k, k + 1) for x in range(-k, k + 1)]
    if k == 1:
        cross = [(y, x) for y, x in near if abs(y) + abs(x) < 2]
        return np.rint((largest(alpha, cross).astype(float) + largest(alpha, near)) / 2)
    return largest(alpha, [(y, x) for y, x in near if x * x + y * y <= k * k + 1])


def _grow(alpha: np.ndarray, pixels: float) -> np.ndarray:
    whole = int(pixels)
    for _ in range(whole // 5):
        alpha = _disc(alpha, 5)
    near, far = _disc(alpha, whole % 5), _disc(alpha, whole % 5 + 1)
    part = pixels - whole
    return np.rint((1 - part) * near + part * far)


def shift_edge(alpha_u8: np.ndarray, pixels: float) -> np.ndarray:
    if pixels < 0:
        return 255 - _grow(255 - alpha_u8, -pixels)
    return _grow(alpha_u8, pixels)


def feather(alpha_u8: np.ndarray, radius: float) -> np.ndarray:
    return np.rint(blur(alpha_u8, radius, radius))


def outline(alpha_u8: np.ndarray, width: float) -> np.ndarray:
    crisp = np.floor(np.clip(3 * (alpha_u8.astype(float) - 127.5) + 127.5, 0, 255))
    band = _grow(crisp, width)
    for axis in (0, 1):
        band = weigh(band, np.array([0.25, 0.5, 0.25]), axis, "edge")
    return np.rint(band)


def cast_shadow(alpha_u8: np.ndarray, kind: str, opacity: float) -> np.ndarray:
    box = subject_box(alpha_u8)
    assert box is not None
    size = np.sqrt(box.width * box.height)
    margin = int(0.4 * size) + 1
    rows = slice(max(0, box.top - margin), box.top + box.height + margin)
    columns = slice(max(0, box.left - margin), box.left + box.width + margin)
    alpha = alpha_u8[rows, columns].astype(float)

    def below(values: np.ndarray, sx: float, sy: float, d: float) -> np.ndarray:
        at = np.clip(np.arange(values.shape[0]) - d * size, 0, values.shape[0] - 1)
        upper = np.floor(at).astype(int)
        lower = np.minimum(upper + 1, values.shape[0] - 1)
        part = (at - upper)[:, None]
        return blur((1 - part) * values[upper] + part * values[lower], sx * size, sy * size)

    if kind == "drop":
        cast = below(alpha, 0.035, 0.035, 0.035)
    else:
        centre = np.arange(alpha.shape[0]) + 0.5
        bottom = box.top + box.height - rows.start
        near = np.clip(1 - (bottom - centre) / max(1, 0.06 * size), 0, 1)
        feet = alpha * near[:, None]
        parts = [below(feet, 0.12, 0.03, 0.012), below(feet, 0.05, 0.012, 0.012)]
        cast = sum(part * feet.max() / part.max() for part in parts) / 2
    shadow = np.zeros(alpha_u8.shape)
    shadow[rows, columns] = np.rint(opacity * cast)
    return shadow


def match_colours(
    colours: np.ndarray, alpha_u8: np.ndarray, background: np.ndarray, strength: float
) -> np.ndarray:
    to_cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    to_lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )

    def lab(picture: np.ndarray) -> np.ndarray:
        level = picture / 255
        linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
        return np.cbrt(linear @ to_cones.T) @ to_lab.T

    opaque = alpha_u8 >= 250
    sigma = 0.1 * max(alpha_u8.shape)
    around = (1 - alpha_u8 / 255) * blur(opaque.astype(float), sigma, sigma, "reflect", 4)
    mean = np.average(lab(background), axis=(0, 1), weights=np.dstack([around] * 3))
    move = strength * (mean - lab(colours)[opaque].mean(axis=0))
    move[0] = np.clip(move[0], -0.08, 0.08)
    move[1:] *= min(1, 0.08 / np.hypot(*move[1:]))
    cones = ((lab(colours) + move) @ np.linalg.inv(to_lab).T) ** 3
    linear = np.clip(cones @ np.linalg.inv(to_cones).T, 0, 1)
    level = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.where(alpha_u8[..., None] > 0, np.rint(255 * level), colours)


def blur_backdrop(pixels: np.ndarray, alpha_u8: np.ndarray, sigma: float) -> np.ndarray:
    widened = largest(alpha_u8, [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)])[..., None]
    certainty = (1 - widened / 255) ** 16
    share = np.rint(255 * (1 - certainty)) / 255
    far = spread(pixels, certainty)
    filled = np.rint(share * far + (1 - share) * pixels)
    return np.rint(blur(filled, sigma, sigma, "symmetric"))


def spread(pixels: np.ndarray, certainty: np.ndarray) -> np.ndarray:
    far = pixels.astype(float)
    for reach in (96, 24, 6):
        weight = box_mean(certainty, reach, reach) + 0.01
        far = (box_mean(certainty * pixels, reach, reach) + 0.01 * far) / weight
    return np.rint(far)


def box_mean(values: np.ndarray, down: int, across: int) -> np.ndarray:
    for axis, reach in ((0, down), (1, across)):
        values = weigh(values, np.full(2 * reach + 1, 1 / (2 * reach + 1)), axis, "edge")
    return values


FORMULAS: dict[str, Callable[..., np.ndarray]] = {
    one.__name__: one
    for one in (feather, shift_edge, outline, cast_shadow, match_colours, blur_backdrop)
}
