"""The network as a whole: what it accepts, and that its short cuts change nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models.birefnet import build_birefnet
from models.birefnet.aspp import DeformablePyramid
from models.birefnet.blocks import resize, stack_tiles
from models.birefnet.config import BiRefNetConfig
from models.birefnet.decoder import Decoder
from models.birefnet.network import BiRefNet
from models.birefnet.seeded import seed_weights
from tests.support.birefnet import make_tiny_birefnet


@pytest.fixture(scope="module")
def tiny_birefnet() -> BiRefNet:
    return make_tiny_birefnet().double()


def make_noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 96), (160, 64)])
def test_logits_have_the_size_of_the_picture(
    tiny_birefnet: BiRefNet, height: int, width: int
) -> None:
    assert tiny_birefnet(make_noise(2, 3, height, width)).shape == (2, 1, height, width)


@pytest.mark.parametrize(("height", "width"), [(100, 96), (96, 100), (0, 64), (31, 31)])
def test_a_size_that_is_no_multiple_of_32_is_named(
    tiny_birefnet: BiRefNet, height: int, width: int
) -> None:
    with pytest.raises(ValueError, match=rf"multiples of 32, not {height} x {width}"):
        tiny_birefnet(make_noise(1, 3, height, width))


@pytest.mark.parametrize(
    ("backbone", "shortest"),
    [("swin_v1_t", 32), ("resnet50", 32), ("pvt_v2_b0", 64), ("vgg16", 64)],
)
def test_the_shortest_side_is_named_by_backbone(backbone: str, shortest: int) -> None:
    with torch.device("meta"):
        network = build_birefnet(backbone)
        assert network(torch.empty(1, 3, shortest, shortest)).shape[-1] == shortest
        with pytest.raises(ValueError, match=f"from {shortest} .* not {shortest - 32} x 96"):
            network(torch.empty(1, 3, shortest - 32, 96))


def test_a_backbone_that_does_not_exist_is_answered_with_those_that_do() -> None:
    with pytest.raises(ValueError, match=r"swin_v2_t.*swin_v1_t.*pvt_v2_b0.*resnet50.*vgg16bn"):
        build_birefnet("swin_v2_t")


def test_it_can_be_built_without_memory_and_is_ready_for_inference() -> None:
    with torch.device("meta"):
        network = build_birefnet("swin_v1_l")
    assert not network.training
    assert all(p.is_meta for p in network.parameters())


def test_a_batch_gives_what_its_items_give_alone(tiny_birefnet: BiRefNet) -> None:
    x = make_noise(3, 3, 64, 96)
    alone = torch.cat([tiny_birefnet(one[None]) for one in x])
    assert torch.allclose(tiny_birefnet(x), alone, atol=1e-12)


def test_the_pyramid_equals_one_convolution_over_all_its_branches() -> None:
    pyramid = DeformablePyramid(BiRefNetConfig(inner_width=8, branch_width=12)).double().eval()
    seed_weights(pyramid)
    x = make_noise(2, 8, 9, 11)
    maps = [branch(x) for branch in (pyramid.aspp1, *pyramid.aspp_deforms)]
    mean = pyramid.global_avg_pool(x).expand(-1, -1, 9, 11)
    plain = pyramid.bn1(pyramid.conv1(torch.cat([*maps, mean], dim=1))).relu()
    assert torch.allclose(pyramid(x), plain, atol=1e-12)


def test_the_end_of_the_decoder_equals_the_maps_it_never_makes(tiny_birefnet: BiRefNet) -> None:
    decoder = tiny_birefnet.decoder
    assert isinstance(decoder, Decoder)
    head = decoder.conv_out1.get_submodule("0")
    assert isinstance(head, nn.Conv2d)
    source_width = decoder.ipt_blk1.conv_out.out_channels
    image, p1 = make_noise(2, 3, 64, 32), make_noise(2, head.in_channels - source_width, 16, 8)
    plain = head(torch.cat([resize(p1, 64, 32), decoder.ipt_blk1(image)], dim=1))
    assert torch.allclose(decoder._logits(p1, image), plain, atol=1e-12)


def test_tiles_are_pieces_of_the_picture_with_colours_slowest() -> None:
    image = make_noise(1, 3, 8, 12)
    tiles = stack_tiles(image, 4, 4)  # 2 rows of 3 tiles
    assert tiles.shape == (1, 18, 4, 4)
    for colour, row, column in ((0, 0, 0), (1, 0, 2), (2, 1, 1)):
        tile = tiles[0, colour * 6 + row * 3 + column]
        expected = image[0, colour, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        assert torch.equal(tile, expected)
