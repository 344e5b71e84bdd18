"""The real network, small: the same code with few channels, seeded, quick at 64 to 256 pixels."""

from __future__ import annotations

from models.birefnet.backbones.swin_v1 import SwinConfig, SwinV1
from models.birefnet.config import BiRefNetConfig
from models.birefnet.network import BiRefNet
from models.birefnet.seeded import seed_weights


def make_tiny_birefnet(head_scale: float = 1.0) -> BiRefNet:
    """A BiRefNet with a tiny Swin: windows of 4, 16 channels, every part of the real one."""
    backbone = SwinV1(SwinConfig(16, (2, 1, 1, 1), (1, 2, 4, 8), window=4))
    network = BiRefNet(backbone, BiRefNetConfig(inner_width=32, branch_width=48, gate_width=8))
    seed_weights(network, head_scale=head_scale)
    return network.requires_grad_(False).eval()
