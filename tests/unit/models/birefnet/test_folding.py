"""A folded network has less to do and computes the same."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from models.birefnet import build_birefnet
from models.birefnet.aspp import DeformablePyramid
from models.birefnet.backbones import BACKBONES
from models.birefnet.backbones.resnet import ResNet, ResNetConfig
from models.birefnet.backbones.vgg import Vgg16, VggConfig
from models.birefnet.blocks import DecoderBlock
from models.birefnet.config import BiRefNetConfig
from models.birefnet.deform_conv import DeformableConv2d
from models.birefnet.folding import fold
from models.birefnet.network import BiRefNet
from models.birefnet.seeded import seed_weights
from tests.support.birefnet import make_tiny_birefnet

SMALL = BiRefNetConfig(inner_width=8, branch_width=12, gate_width=4)
PARTS = {
    "pyramid": lambda: DeformablePyramid(SMALL),
    "decoder block": lambda: DecoderBlock(8, 6, SMALL),
    "resnet": lambda: BiRefNet(ResNet(ResNetConfig(4, (1, 2, 1, 1))), SMALL),
    "vgg": lambda: BiRefNet(Vgg16(VggConfig(batch_norm=True, width=4)), SMALL),
    "swin": make_tiny_birefnet,
}


@pytest.mark.parametrize("name", PARTS)
@torch.inference_mode()
def test_it_computes_what_it_computed(name: str) -> None:
    part = PARTS[name]().double().eval()
    seed_weights(part)
    channels = 3 if isinstance(part, BiRefNet) else 8
    x = torch.randn(2, channels, 64, 96, generator=torch.Generator().manual_seed(7)).double()
    expected = part(x)
    fold(part)
    assert expected.std() > 0.1
    assert torch.allclose(part(x), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_nothing_is_left_to_fold(backbone: str) -> None:
    with torch.device("meta"):
        network = build_birefnet(backbone)
        fold(network)
    assert not [name for name, m in network.named_modules() if isinstance(m, nn.BatchNorm2d)]
    deformable = [m for m in network.modules() if isinstance(m, DeformableConv2d)]
    assert all(conv.modulator_conv is None for conv in deformable)


def test_the_tensors_of_the_network_stay_as_they_were() -> None:
    network = make_tiny_birefnet()
    kept = network.state_dict()
    before = copy.deepcopy(kept)
    fold(network)
    assert all(torch.equal(kept[name], before[name]) for name in before)
