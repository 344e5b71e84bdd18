"""How far mattes lie from those of a reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.arrays import U8Array


@dataclass(frozen=True)
class Error:
    """How far mattes lie from those of the reference.

    Attributes:
        max: Largest difference, in levels of 255.
        mean: Mean difference, likewise.
        relative: Mean difference as a share of the standard deviation of the reference's mattes.
    """

    max: float
    mean: float
    relative: float


def error_of(alpha: U8Array, reference: U8Array) -> Error:
    """Compare mattes ``[N, H, W]`` with the reference's."""
    off = np.abs(alpha.astype(np.float64) - reference)
    spread = max(float(reference.std()), 1.0)  # a constant matte has none
    return Error(float(off.max()), float(off.mean()), float(off.mean()) / spread)
