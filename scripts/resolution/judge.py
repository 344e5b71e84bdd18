"""Brings a true matte down to what a network would say and up again, in several ways."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median

import cv2
import numpy as np

from models.arrays import U8Array
from models.catalog import U2NET, find
from models.matting.edge_band import alpha_error, edge_band
from models.matting.refine import refine_alpha
from models.spec import WayUp
from scripts.resolution.scenes import Scene

_BIREFNET = find("BiRefNet-general").refinement
#: The ways up, by what the report calls them; the first is how it was before.
WAYS: Mapping[str, WayUp | None] = {
    "cubic": None,
    "guided filter": U2NET.refinement,
    "unmixed": _BIREFNET,
}
#: What a network does to a matte, from worst to best.
FAULTS = ("blurred and moved", "blurred", "exact")
_BLUR = 0.8  # standard deviation, in pixels of the model input
_MOVE = np.array([[1, 0, 0.7], [0, 1, -0.5]], np.float32)  # in the same
_REPEATS = 5


@dataclass(frozen=True)
class Trial:
    """One matte that was brought up.

    Attributes:
        scene: What the picture shows.
        megapixels: Its size.
        side: Of the model input, in pixels.
        fault: What the network did to the matte.
        way: How it was brought up.
        error: In the edge band, 0..1.
        drift: By how much the mean of alpha over the picture changed beside the cubic way's, 0..1.
    """

    scene: str
    megapixels: float
    side: int
    fault: str
    way: str
    error: float
    drift: float


@dataclass(frozen=True)
class Cost:
    """What one way up takes: median of a few calls, one thread.

    Attributes:
        scene: What the picture shows.
        megapixels: Its size.
        way: How it was brought up.
        ms: CPU time.
        peak_mb: Most memory it held, the new matte included.
    """

    scene: str
    megapixels: float
    way: str
    ms: float
    peak_mb: float


def try_out(scene: Scene, side: int) -> Iterator[Trial]:
    """Bring the matte of one scene down to a side and up again, in every way."""
    band = edge_band(scene.alpha_u8)
    megapixels = scene.alpha_u8.size / 1e6
    for fault in FAULTS:
        small = as_network(scene.alpha_u8, side, fault)
        before = float(refine_alpha(small, scene.source, None).mean())
        for name, way in WAYS.items():
            alpha = refine_alpha(small, scene.source, way)
            error = alpha_error(alpha, scene.alpha_u8, band)
            drift = (float(alpha.mean()) - before) / 255
            yield Trial(scene.name, megapixels, side, fault, name, error, drift)


def as_network(alpha_u8: U8Array, side: int, fault: str) -> U8Array:
    """A true matte as a network of that input might say it: ``[side, side]``."""
    small = cv2.resize(alpha_u8, (side, side), interpolation=cv2.INTER_AREA)
    if "blurred" in fault:
        small = cv2.GaussianBlur(small, (0, 0), _BLUR)
    if "moved" in fault:
        small = cv2.warpAffine(small, _MOVE, (side, side), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(small, np.uint8)


def measure(scene: Scene, side: int) -> Iterator[Cost]:
    """Time every way up and watch its memory."""
    small = as_network(scene.alpha_u8, side, "blurred")
    for name, way in WAYS.items():
        refine_alpha(small, scene.source, way)
        taken = []
        for _ in range(_REPEATS):
            start = time.process_time()
            refine_alpha(small, scene.source, way)
            taken.append(1000 * (time.process_time() - start))
        tracemalloc.start()
        refine_alpha(small, scene.source, way)
        peak_mb = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        yield Cost(scene.name, scene.alpha_u8.size / 1e6, name, median(taken), peak_mb)
