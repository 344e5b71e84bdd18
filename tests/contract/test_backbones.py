"""What every backbone promises, whatever its family; and that it is the official one."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.birefnet.backbones import BACKBONES
from models.birefnet.backbones.base import Backbone
from models.birefnet.backbones.pvt_v2 import PvtConfig, PvtV2
from models.birefnet.backbones.resnet import ResNet, ResNetConfig
from models.birefnet.backbones.swin_v1 import SwinConfig, SwinV1
from models.birefnet.backbones.vgg import Vgg16, VggConfig
from models.birefnet.seeded import seed_weights, seeded_input

KEY_LISTS = Path(__file__).parents[1] / "data/birefnet"
STRIDES = (4, 8, 16, 32)
PREFIX = "bb."

# One of each family, narrow and shallow: the same code, in milliseconds.
SMALL = {
    "swin": lambda: SwinV1(SwinConfig(16, (2, 2, 2, 2), (1, 2, 4, 8), window=4)),
    "swin, odd window": lambda: SwinV1(SwinConfig(16, (2, 2, 2, 2), (1, 2, 4, 8), window=7)),
    "pvt": lambda: PvtV2(PvtConfig((8, 16, 20, 32), (1, 2, 1, 1))),
    "resnet": lambda: ResNet(ResNetConfig(4, (1, 2, 1, 1))),
    "vgg": lambda: Vgg16(VggConfig(batch_norm=False, width=4)),
    "vgg with batch norm": lambda: Vgg16(VggConfig(batch_norm=True, width=4)),
}
# Rows and columns of 1/4 are 16 and 24: windows of 7 must be padded, merging meets odd sizes.
HEIGHT, WIDTH = 64, 96


def make_on_meta(name: str) -> Backbone:
    with torch.device("meta"):
        return BACKBONES[name]()


def make_pictures(n: int, height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    return torch.from_numpy(seeded_input((n, 3, height, width)))


@pytest.fixture(params=SMALL)
def backbone(request: pytest.FixtureRequest) -> Backbone:
    built: Backbone = SMALL[request.param]().eval()
    seed_weights(built)
    return built


@pytest.mark.parametrize("name", BACKBONES)
def test_the_keys_are_those_of_the_official_checkpoints(name: str) -> None:
    listed = json.loads(gzip.decompress((KEY_LISTS / f"state_dict_{name}.json.gz").read_bytes()))
    official = [tuple(entry) for entry in listed["entries"] if entry[0].startswith(PREFIX)]
    ours = [
        (PREFIX + key, list(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        for key, tensor in make_on_meta(name).state_dict().items()
    ]
    assert ours == official


@pytest.mark.parametrize("name", BACKBONES)
def test_four_maps_have_the_channels_and_strides_promised(name: str) -> None:
    backbone = make_on_meta(name).eval()
    maps = backbone(torch.empty(2, 3, 256, 192, device="meta"))
    assert [tuple(m.shape) for m in maps] == [
        (2, channels, 256 // stride, 192 // stride)
        for channels, stride in zip(backbone.channels, STRIDES, strict=True)
    ]


@torch.inference_mode()
def test_every_value_is_a_number_and_something_is_seen(backbone: Backbone) -> None:
    for feature_map in backbone(make_pictures(1)):
        assert feature_map.isfinite().all()
        assert feature_map.std() > 0.01


@torch.inference_mode()
def test_the_shortest_side_it_names_is_one_it_takes(backbone: Backbone) -> None:
    side = backbone.shortest_side
    assert all(m.numel() for m in backbone(make_pictures(1, side, side)))


@torch.inference_mode()
def test_the_same_picture_gives_the_same_maps(backbone: Backbone) -> None:
    pictures = make_pictures(1)
    for first, second in zip(backbone(pictures), backbone(pictures), strict=True):
        assert torch.equal(first, second)


@torch.inference_mode()
def test_a_batch_gives_what_its_pictures_give_alone(backbone: Backbone) -> None:
    pictures = make_pictures(2)
    alone = [backbone(picture[None]) for picture in pictures]
    for together, *single in zip(backbone(pictures), *alone, strict=True):
        torch.testing.assert_close(together, torch.cat(single), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 32), (48, 80), (160, 224)])
@torch.inference_mode()
def test_strides_round_up_where_the_second_look_is_not_a_multiple_of_32(
    backbone: Backbone, height: int, width: int
) -> None:
    if isinstance(backbone, Vgg16):
        height, width = height // 32 * 32, width // 32 * 32  # pooling rounds down
    maps = backbone(make_pictures(1, height, width))
    for stride, feature_map in zip(STRIDES, maps, strict=True):
        assert feature_map.shape[-2:] == (-(-height // stride), -(-width // stride))


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-4), (torch.bfloat16, 0.3), (torch.float16, 0.05)]
)
@torch.inference_mode()
def test_another_precision_gives_the_same_maps(
    backbone: Backbone, dtype: torch.dtype, tolerance: float
) -> None:
    pictures = make_pictures(1)
    expected = backbone(pictures)
    for exact, other in zip(expected, backbone.to(dtype)(pictures.to(dtype)), strict=True):
        assert other.dtype == dtype
        assert (other.float() - exact).abs().max() <= tolerance * exact.abs().max()
