"""A BiRefNet with reproducible weights, and pictures for it. Needs torch.

What a measurement needs where no checkpoint is at hand: speed and memory do not depend on what the
weights are, and errors of arithmetic are visible as soon as alpha is neither constant nor black and
white. No downloads, nothing but torch and numpy.
"""

from __future__ import annotations

import numpy as np
import torch

from models.arrays import U8Array
from models.birefnet import BiRefNet, build_birefnet
from models.birefnet.backbones.swin_v1 import SwinConfig, SwinV1
from models.birefnet.config import BiRefNetConfig
from models.birefnet.seeded import seed_weights

#: Name of a network small enough to try a script with.
TINY = "tiny"
# Logits of a deviation of 3: alpha spans nearly all of its range and saturates hardly anywhere.
_HEAD_SCALE = 2.0


def seeded_network(backbone: str) -> BiRefNet:
    """Build a network whose mattes are meaningless, but always the same; on the CPU, for inference.

    Args:
        backbone: A key of `models.birefnet.backbones.BACKBONES`, or ``tiny``.

    Raises:
        ValueError: If there is no such backbone.
    """
    with torch.device("meta"):
        network = _build_tiny() if backbone == TINY else build_birefnet(backbone)
    network.to_empty(device="cpu")
    seed_weights(network, head_scale=_HEAD_SCALE)
    return network.eval()


def make_scenes(count: int, height: int, width: int) -> U8Array:
    """Pictures with large shapes, edges and noise; each another one, always the same.

    Returns:
        Pictures ``[count, height, width, 3]``.
    """
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = y / height, x / width
    scenes = np.empty((count, height, width, 3), np.uint8)
    for seed, scene in enumerate(scenes):
        draw = np.random.default_rng(seed)
        centre, radius, ground, subject = draw.random(2), 0.2 + 0.2 * draw.random(), *draw.random(2)
        inside = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2
        shade = np.where(inside, subject + 0.3 * np.sin(40 * x), ground + 0.4 * y - 0.2 * x)
        colours = shade[..., None] * draw.uniform(0.5, 1.5, 3) + draw.normal(0, 0.02, (1, 1, 3))
        noise = draw.standard_normal((height, width, 3), dtype=np.float32)
        scene[:] = np.clip(255 * colours + 4 * noise, 0, 255)
    return scenes


def _build_tiny() -> BiRefNet:
    """The real architecture with few channels; 64 x 64 is enough for it."""
    backbone = SwinV1(SwinConfig(16, (1, 2, 1, 1), (1, 2, 4, 8), window=4))
    return BiRefNet(backbone, BiRefNetConfig(inner_width=8, branch_width=16, gate_width=4)).eval()
