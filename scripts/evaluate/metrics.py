"""How far masks, mattes and cutouts are from the truth, as figures of 0..1.

Everywhere ``alpha_u8`` and ``true_alpha_u8`` are mattes ``[H, W]``, 0..255, and ``region`` is a
mask ``[H, W]`` of the pixels that count, or None for all of them.

The error of alpha and the band around the edge are in `models.matting.edge_band`, what matting
papers report in `matte_errors.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from models.arrays import Mask, U8Array
from models.matting.compositing import composite
from models.matting.edge_band import MASK_THRESHOLD

_T = TypeVar("_T", bound=np.generic)
#: How far an edge may be off and still be right, as a share of the picture's diagonal.
#: Source: Csurka et al., "What is a good evaluation measure for semantic segmentation?", BMVC 2013.
EDGE_TOLERANCE = 0.0075


@dataclass(frozen=True)
class MaskAgreement:
    """Two masks, compared pixel by pixel.

    Attributes:
        true_positives: Pixels of the subject, found.
        false_positives: Pixels of the background, taken for the subject.
        false_negatives: Pixels of the subject, lost.
        true_negatives: Pixels of the background, left out.
    """

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def iou(self) -> float:
        """Shared pixels over pixels in either, 0..1; 1 when both masks are empty."""
        either = self.true_positives + self.false_positives + self.false_negatives
        return self.true_positives / either if either else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 0..1; 1 when both masks are empty."""
        both = 2 * self.true_positives + self.false_positives + self.false_negatives
        return 2 * self.true_positives / both if both else 1.0

    @property
    def false_positive_rate(self) -> float:
        """Share of the true background that was taken for the subject, 0..1."""
        background = self.false_positives + self.true_negatives
        return self.false_positives / background if background else 0.0


def chosen(values: npt.NDArray[_T], region: Mask | None) -> npt.NDArray[_T]:
    """The pixels that count."""
    return values if region is None else values[region]


def compare_masks(
    alpha_u8: U8Array, true_alpha_u8: U8Array, region: Mask | None = None
) -> MaskAgreement:
    """Count where two mattes agree at one half opacity."""
    mask = chosen(alpha_u8 >= MASK_THRESHOLD, region)
    true_mask = chosen(true_alpha_u8 >= MASK_THRESHOLD, region)
    shared = int(np.count_nonzero(mask & true_mask))
    claimed, wanted = int(np.count_nonzero(mask)), int(np.count_nonzero(true_mask))
    return MaskAgreement(
        true_positives=shared,
        false_positives=claimed - shared,
        false_negatives=wanted - shared,
        true_negatives=mask.size - claimed - wanted + shared,
    )


def edge_precision(
    alpha_u8: U8Array, true_alpha_u8: U8Array, tolerance_px: float, region: Mask | None = None
) -> float | None:
    """Share of the mask's edge that lies near the true edge.

    An edge pixel belongs to the mask and has a neighbour beside, above or below it that does not;
    where the picture ends is no edge. Near is what lies within ``tolerance_px`` pixels, whether or
    not it is in the region.

    Returns:
        Share, 0..1, and 0 for a mask without an edge; None where the truth has no edge to judge by.
    """
    edge, true_edge = _edge(alpha_u8), _edge(true_alpha_u8)
    if not chosen(true_edge, region).any():
        return None
    return _share_near(edge, true_edge, tolerance_px, region) or 0.0


def edge_recall(
    alpha_u8: U8Array, true_alpha_u8: U8Array, tolerance_px: float, region: Mask | None = None
) -> float | None:
    """Share of the true edge that has the mask's edge near it; see `edge_precision`.

    Returns:
        Share, 0..1; None where the truth has no edge to find.
    """
    return _share_near(_edge(true_alpha_u8), _edge(alpha_u8), tolerance_px, region)


def edge_tolerance(height: int, width: int) -> float:
    """How far an edge may be off in a picture of this size, in pixels."""
    return EDGE_TOLERANCE * float(np.hypot(height, width))


def composite_error(
    cutout: U8Array,
    true_cutout: U8Array,
    backgrounds: Iterable[U8Array],
    region: Mask | None = None,
) -> float:
    """Average how wrong a cutout looks over new backgrounds.

    Args:
        cutout: Straight RGBA ``[H, W, 4]``.
        true_cutout: True foreground and true matte, straight RGBA ``[H, W, 4]``.
        backgrounds: Each ``[H, W, 3]`` or one colour ``[3]``.
        region: See the module.

    Returns:
        Mean absolute error over pixels, channels and backgrounds, 0..1.
    """
    errors = [
        _mean(cv2.absdiff(composite(cutout, one), composite(true_cutout, one)), region)
        for one in backgrounds
    ]
    return float(np.mean(errors)) if errors else 0.0


def _edge(alpha_u8: U8Array) -> Mask:
    """The mask's outermost pixels ``[H, W]``."""
    mask = (alpha_u8 >= MASK_THRESHOLD).astype(np.uint8)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    # Outside the picture counts as inside the mask: only a neighbour in the picture makes an edge.
    inner = cv2.erode(mask, cross, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return np.asarray(mask > inner, dtype=np.bool_)


def _share_near(edge: Mask, other: Mask, tolerance_px: float, region: Mask | None) -> float | None:
    """Share of one edge's pixels with the other edge near; None where it has no pixel."""
    if not chosen(edge, region).any():
        return None
    if not other.any():
        return 0.0
    elsewhere = np.asarray(~other, dtype=np.uint8)
    distance = cv2.distanceTransform(elsewhere, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float(np.mean(distance[edge if region is None else edge & region] <= tolerance_px))


def _mean(difference: npt.NDArray[Any], region: Mask | None) -> float:
    counted = chosen(difference, region)
    return float(np.mean(counted)) / 255.0 if counted.size else 0.0
