"""Colours + alpha matte -> cutout (RGBA), a layer beneath it, composite (RGB) over a background."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from models.arrays import Rows, U8Array

#: Work goes strip by strip, so that what one step writes is still in the cache for the next.
_STRIP_ROWS = 64


@dataclass(frozen=True, eq=False)
class Cutout:
    """Colours and opacity together, straight RGBA ``[H, W, 4]``, put together where rows are read.

    Colours are not multiplied by alpha. Those under alpha 0 are 0: nobody sees them, they would
    leak what was cut away, and without them a PNG is about half the bytes and half the time to
    encode.

    Attributes:
        colours: ``[H, W, 3]``: the source image, or the estimated foreground.
        alpha_u8: Matte ``[H, W]``, 0..255.

    Raises:
        ValueError: If the two differ in size. Our bug, never a user's.
    """

    colours: U8Array
    alpha_u8: U8Array

    def __post_init__(self) -> None:
        if self.colours.shape[:2] != self.alpha_u8.shape:
            sizes = f"colours {self.colours.shape[:2]} and alpha {self.alpha_u8.shape}"
            raise ValueError(f"{sizes} differ")

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width, and 4."""
        return (*self.alpha_u8.shape, 4)

    def __getitem__(self, rows: slice, /) -> U8Array:
        """Some rows ``[n, W, 4]``, the caller's own."""
        colours, alpha_u8 = self.colours[rows], self.alpha_u8[rows]
        rgba = np.zeros((*alpha_u8.shape, 4), np.uint8)
        together = np.empty((min(len(rgba), _STRIP_ROWS), *rgba.shape[1:]), np.uint8)
        for strip in _strips(len(rgba)):
            opacity = alpha_u8[strip]
            part = together[: len(opacity)]
            cv2.cvtColor(colours[strip], cv2.COLOR_RGB2RGBA, dst=part)
            cv2.insertChannel(opacity, part, 3)
            cv2.copyTo(part, opacity, rgba[strip])
        return rgba


def composite(cutout: Rows, background: U8Array) -> U8Array:
    """Lay a cutout over a background.

    Args:
        cutout: Straight RGBA ``[H, W, 4]``.
        background: Colours ``[H, W, 3]``, or one colour ``[3]``.

    Returns:
        Composite ``[H, W, 3]``, RGB, rounded to the nearest level.
    """
    height, width = cutout.shape[:2]
    colours = np.empty((height, width, 3), np.uint8)
    for strip in _strips(height):
        rgba = cutout[strip]
        front = cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB)
        behind = background[strip] if background.ndim == 3 else background
        opacity = cv2.extractChannel(rgba, 3).astype(np.float32) / 255.0
        cv2.blendLinear(
            front,
            np.ascontiguousarray(np.broadcast_to(behind, front.shape)),
            opacity,
            1.0 - opacity,
            dst=colours[strip],
        )
    return colours


def underlay(
    colours: U8Array, alpha_u8: U8Array, colour: tuple[int, int, int], opacity: U8Array
) -> tuple[U8Array, U8Array]:
    """Put a layer of one colour beneath a picture, such as its shadow.

    Where the layer is transparent or the picture opaque, nothing changes.

    Args:
        colours: ``[H, W, 3]``, straight.
        alpha_u8: Opacity of the picture ``[H, W]``, 0..255.
        colour: Red, green, blue of the layer.
        opacity: Of the layer ``[H, W]``, 0..255.

    Returns:
        Colours and opacity of both together, straight.
    """
    laid, together = colours.copy(), alpha_u8.copy()
    layer = np.full((_STRIP_ROWS, alpha_u8.shape[1], 3), colour, np.uint8)
    for strip in _strips(alpha_u8.shape[0]):
        columns = np.flatnonzero(opacity[strip].any(axis=0))
        if not columns.size:
            continue
        part = (strip, slice(columns[0], columns[-1] + 1))
        rest = cv2.bitwise_not(alpha_u8[part])
        behind = cv2.multiply(opacity[part], rest, scale=1 / 255, dtype=cv2.CV_32F)
        mixed = cv2.blendLinear(
            colours[part],
            layer[: rest.shape[0], : rest.shape[1]],
            alpha_u8[part].astype(np.float32),
            behind,
        )
        cv2.copyTo(mixed, np.greater(behind, 0).view(np.uint8), laid[part])
        cv2.add(alpha_u8[part], behind, dst=together[part], dtype=cv2.CV_8U)
    return laid, together


def _strips(height: int) -> Iterator[slice]:
    """Rows of a picture in parts that fit the cache, one after the other."""
    for top in range(0, height, _STRIP_ROWS):
        yield slice(top, min(top + _STRIP_ROWS, height))
