"""Every measure of one picture, and its mean over several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.arrays import U8Array
from models.matting.edge_band import alpha_error, edge_band
from scripts.evaluate import matte_errors, metrics
from scripts.evaluate.cases import Case

#: Value of each measure, by `Measure.key`, unscaled.
Scores = dict[str, float]


@dataclass(frozen=True)
class Measure:
    """One way to judge a matte.

    Attributes:
        key: Its name in the JSON report, where values are unscaled.
        title: Its name for people.
        unit: What the printed number is in.
        scale: Printed number per value.
        decimals: Of the printed number.
        more_is_better: Whether larger is better.
    """

    key: str
    title: str
    unit: str
    scale: float
    decimals: int
    more_is_better: bool

    def text(self, value: float) -> str:
        """The printed number."""
        return f"{value * self.scale:.{self.decimals}f}"

    def is_better(self, value: float, other: float) -> bool:
        """Whether one value beats another."""
        return value > other if self.more_is_better else value < other


#: Those the specification names (5.4), with what makes them readable; of masks at one half.
MASK_MEASURES = (
    Measure("iou", "IoU", "%", 100, 2, True),
    Measure("f1", "F1", "%", 100, 2, True),
    Measure("edge_precision", "edge precision", "%", 100, 2, True),
    Measure("edge_recall", "edge recall", "%", 100, 2, True),
    Measure("false_positives", "false positives", "% of the background", 100, 2, False),
)
#: Of mattes.
MATTE_MEASURES = (
    Measure("mae", "MAE", "", 1, 4, False),
    Measure("mae_edge", "MAE, 8-pixel edge band", "", 1, 4, False),
    Measure("mse", "MSE", "x 10^-3", 1e3, 2, False),
    Measure("sad", "SAD", "x 10^3", 1e-3, 2, False),
    Measure("grad", "Grad", "x 10^3", 1e-3, 3, False),
    Measure("conn", "Conn", "x 10^3", 1e-3, 2, False),
)
#: Of cutouts over new backgrounds, where the truth knows the colours of the subject.
CUTOUT_MEASURES = (Measure("composite_edge", "composite, 8-pixel edge band", "", 1, 4, False),)
#: Again, of the pictures whose edge is known to be soft.
SOFT_MEASURES = tuple(
    replace(measure, key=f"{measure.key}_soft", title=f"{measure.title}, soft")
    for measure in MASK_MEASURES[:1] + MATTE_MEASURES[:2] + CUTOUT_MEASURES
)
#: By pysodmetrics, in an environment of its own.
SOD_MEASURES = (
    Measure("s_measure", "S-measure", "", 1, 4, True),
    Measure("weighted_f", "weighted F", "", 1, 4, True),
    Measure("e_measure", "E-measure, mean", "", 1, 4, True),
    Measure("sod_mae", "MAE to the binary truth", "", 1, 4, False),
    Measure("hce", "HCE", "corrections", 1, 0, False),
)
MEASURES = MASK_MEASURES + MATTE_MEASURES + CUTOUT_MEASURES + SOFT_MEASURES + SOD_MEASURES


def settle(alpha_u8: U8Array, case: Case) -> U8Array:
    """Replace a matte ``[H, W]`` by the truth where that is not known, so that nothing counts."""
    return np.where(case.known, alpha_u8, case.alpha_u8)


def score(alpha_u8: U8Array, case: Case) -> Scores:
    """Measure a matte ``[H, W]``, 0..255, by everything that needs no further environment.

    Returns:
        Values of `MASK_MEASURES` and `MATTE_MEASURES`, without those the truth has no answer to:
        an edge that is not known.
    """
    truth, known = case.alpha_u8, case.known
    masks = metrics.compare_masks(alpha_u8, truth, known)
    tolerance, band = metrics.edge_tolerance(*truth.shape), edge_band(truth) & known
    found = {
        "iou": masks.iou,
        "f1": masks.f1,
        "edge_precision": metrics.edge_precision(alpha_u8, truth, tolerance, known),
        "edge_recall": metrics.edge_recall(alpha_u8, truth, tolerance, known),
        "false_positives": masks.false_positive_rate,
        "mae": alpha_error(alpha_u8, truth, known),
        "mae_edge": alpha_error(alpha_u8, truth, band) if band.any() else None,
        "mse": matte_errors.mean_squared_error(alpha_u8, truth, known),
        "sad": matte_errors.sum_of_absolute_differences(alpha_u8, truth, known),
        # Settled, it would have edges where what is known ends.
        "grad": matte_errors.gradient_error(alpha_u8, truth, known),
        "conn": matte_errors.connectivity_error(settle(alpha_u8, case), truth, known),
    }
    return {key: value for key, value in found.items() if value is not None}


def score_cutout(cutout: U8Array, case: Case) -> Scores:
    """Measure a cutout, straight RGBA ``[H, W, 4]``, by all that needs no further environment.

    Returns:
        What `score` says of its matte and, where the truth answers them, values of
        `CUTOUT_MEASURES` and `SOFT_MEASURES`.
    """
    truth, found = case.alpha_u8, score(np.ascontiguousarray(cutout[..., 3]), case)
    band = edge_band(truth) & case.known
    if case.foreground is not None and band.any():
        wanted = np.dstack([case.foreground, truth])
        error = metrics.composite_error(cutout, wanted, case.backgrounds, band)
        found["composite_edge"] = error
    if case.soft:
        again = {measure.key: measure.key.removesuffix("_soft") for measure in SOFT_MEASURES}
        found |= {key: found[plain] for key, plain in again.items() if plain in found}
    return found


def values_of(scores: Sequence[Scores], key: str) -> list[float]:
    """Values of one measure, of the pictures that have it."""
    return [one[key] for one in scores if key in one]


def mean(scores: Sequence[Scores], key: str) -> float:
    """Average one measure over the pictures that have it, each counting the same."""
    return float(np.mean(values_of(scores, key)))
