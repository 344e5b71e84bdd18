"""Network matte ``[S, S]`` -> alpha matte at the size of the source image, edges on real edges.

A small network places an edge within a few of its own pixels, which are many pixels of the source.
Colour knows better: around an edge, alpha is locally a linear function of the three colours. That
function is fitted on a reduced grid and evaluated at full resolution, only where alpha is not plain
0 or 1.

Source:
    He and Sun, "Fast guided filter" (2015): coefficients at a reduced size.
"""

from __future__ import annotations

import cv2
import numpy as np

from models.arrays import FloatArray, U8Array
from models.matting.grid import Grid, enlarge, make_grid, reduce_to_grid, soft_blocks
from models.matting.guided_filter import fit_planes
from models.matting.resample import resample, sample
from models.matting.unmix import unmix_alpha
from models.spec import Unmixing, WayUp


def refine_alpha(alpha_u8: U8Array, source: U8Array, refinement: WayUp | None) -> U8Array:
    """Bring a network's matte to the size of the source image.

    Nothing is stretched to fill the range: a matte near 0 everywhere stays near 0.

    Args:
        alpha_u8: Matte of the model input ``[S, S]``, 0..255.
        source: Colours ``[H, W, 3]``, any height and width from 1.
        refinement: Parameters for the checkpoint; ``None`` for plain smooth resampling.

    Returns:
        Matte ``[H, W]``, 0..255.
    """
    height, width = source.shape[:2]
    if refinement is None:
        return resample(alpha_u8, height, width)
    if isinstance(refinement, Unmixing):
        return unmix_alpha(alpha_u8, source, refinement)
    grid = make_grid(height, width, refinement.max_side)
    guide = reduce_to_grid(source, grid)
    alpha = sample(alpha_u8, grid, height, width)
    radius = (
        max(1, round(refinement.radius * height / alpha_u8.shape[0] / grid.step_y)),
        max(1, round(refinement.radius * width / alpha_u8.shape[1] / grid.step_x)),
    )
    planes = fit_planes(guide, alpha, radius, refinement.epsilon)
    # The fixed curve is linear, so it goes into the planes; 255 cancels the guide's own scale.
    gain = 1.0 / (refinement.high - refinement.low)
    planes[3] = (planes[3] - refinement.low) * 255.0
    planes *= gain
    return _apply_planes(planes, guide, source, grid)


def _apply_planes(planes: FloatArray, guide: U8Array, source: U8Array, grid: Grid) -> U8Array:
    """Evaluate the planes: on the source image in blocks with an edge, else on the grid."""
    height, width = source.shape[:2]
    coarse = _evaluate(list(planes), guide)
    whole_y, whole_x = grid.height * grid.step_y, grid.width * grid.step_x
    alpha = np.empty((height, width), np.uint8)
    alpha[:whole_y, :whole_x] = cv2.resize(
        coarse, (whole_x, whole_y), interpolation=cv2.INTER_LINEAR
    )
    alpha[whole_y:] = alpha[whole_y - 1]
    alpha[:, whole_x:] = alpha[:, whole_x - 1 : whole_x]
    for cells in soft_blocks(coarse, grid):
        pixels = grid.pixels(cells, height, width)
        block = source[pixels]
        here = [
            np.asarray(enlarge(plane, cells, grid, *block.shape[:2]), np.float32)
            for plane in planes
        ]
        alpha[pixels] = _evaluate(here, block)
    return alpha


def _evaluate(planes: list[FloatArray], colours: U8Array) -> U8Array:
    """Alpha of every pixel, saturated to 0..255."""
    total = np.array(planes[3])
    for plane, channel in zip(planes[:3], cv2.split(colours), strict=True):
        total += plane * channel
    return np.asarray(cv2.addWeighted(total, 1.0, total, 0.0, 0.0, dtype=cv2.CV_8U), np.uint8)
