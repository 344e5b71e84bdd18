"""The decoder: makes logits of the encoder's maps and the source image."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.birefnet.blocks import DecoderBlock, LateralBlock, SourceBlock, resize, stack_tiles
from models.birefnet.config import BiRefNetConfig

_COLOURS = 3


class Decoder(nn.Module):
    """From the coarsest map up; at each scale the source image is shown again.

    Modules are registered in the order of the published key lists. `conv_ms_spvn_*` and
    `gdt_convs_pred_*` serve training only, and are here because the checkpoints hold them.

    Args:
        channels: Channels of the four encoder maps at strides 4, 8, 16, 32.
        config: Widths.

    Source:
        ZhengPeng7/BiRefNet@25cb930 ``models/birefnet.py`` (class Decoder).
    """

    ipt_blk1: SourceBlock

    def __init__(self, channels: tuple[int, int, int, int], config: BiRefNetConfig) -> None:
        super().__init__()
        c1, c2, c3, c4 = channels
        s1, s2, s3, s4 = (c // config.source_share for c in channels)
        inner, gate = config, config.gate_width
        for level, out, tiles in ((5, s4, 32), (4, s4, 16), (3, s3, 8), (2, s2, 4), (1, s1, 1)):
            self.add_module(f"ipt_blk{level}", SourceBlock(_COLOURS * tiles * tiles, out, inner))
        self.decoder_block4 = DecoderBlock(c4 + s4, c3, config)
        self.decoder_block3 = DecoderBlock(c3 + s4, c2, config)
        self.decoder_block2 = DecoderBlock(c2 + s3, c1, config)
        self.decoder_block1 = DecoderBlock(c1 + s2, c1 // 2, config)
        self.conv_out1 = nn.Sequential(nn.Conv2d(c1 // 2 + s1, 1, 1))
        for level, width in ((4, c3), (3, c2), (2, c1)):
            self.add_module(f"lateral_block{level}", LateralBlock(width))
        for level, width in ((4, c3), (3, c2), (2, c1)):
            self.add_module(f"conv_ms_spvn_{level}", nn.Conv2d(width, 1, 1))
        for level, width in ((4, c3), (3, c2), (2, c1)):
            edges = nn.Conv2d(width, gate, 3, padding=1)
            self.add_module(
                f"gdt_convs_{level}", nn.Sequential(edges, nn.BatchNorm2d(gate), nn.ReLU())
            )
        for name in ("gdt_convs_pred", "gdt_convs_attn"):
            for level in (4, 3, 2):
                self.add_module(f"{name}_{level}", nn.Sequential(nn.Conv2d(gate, 1, 1)))

    def forward(self, image: Tensor, maps: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
        """Decode.

        Args:
            image: Normalised source image ``[N, 3, H, W]``, of the dtype of the last convolutions.
            maps: Encoder maps ``[N, C_i, H/2^(i+1), W/2^(i+1)]``, finest first.

        Returns:
            Logits ``[N, 1, H, W]``.
        """
        x1, x2, x3, x4 = maps
        source = image.to(x4.dtype)
        p4 = self._gate(4, self.decoder_block4(self._with_source(5, x4, source)))
        p3 = self._gate(3, self.decoder_block3(self._with_source(4, self._lift(4, p4, x3), source)))
        p2 = self._gate(2, self.decoder_block2(self._with_source(3, self._lift(3, p3, x2), source)))
        p1 = self.decoder_block1(self._with_source(2, self._lift(2, p2, x1), source))
        return self._logits(p1, image)

    def _with_source(self, level: int, x: Tensor, image: Tensor) -> Tensor:
        """Put the source reference of this scale behind a map."""
        tiles = stack_tiles(image, *x.shape[-2:])
        return torch.cat([x, self.get_submodule(f"ipt_blk{level}")(tiles)], dim=1)

    def _gate(self, level: int, p: Tensor) -> Tensor:
        """Gradient attention: weigh a map by where it expects edges."""
        edges = self.get_submodule(f"gdt_convs_{level}")(p)
        gate: Tensor = self.get_submodule(f"gdt_convs_attn_{level}")(edges).sigmoid()
        return p * gate  # [N, C, h, w] * [N, 1, h, w]

    def _lift(self, level: int, p: Tensor, x: Tensor) -> Tensor:
        """Bring a map to the next finer scale and add what the encoder saw there."""
        lateral: Tensor = self.get_submodule(f"lateral_block{level}")(x)
        return resize(p, *x.shape[-2:]) + lateral

    def _logits(self, p1: Tensor, image: Tensor) -> Tensor:
        """The last 1x1 convolution over ``cat(resize(p1), ipt_blk1(image))``, without those maps.

        All of it is linear, so exact identities take the work away. Resizing and a 1x1 convolution
        commute: one channel is resized instead of all. `ipt_blk1` and the last convolution are
        three in a row with nothing between: at every pixel only one number per tap of the middle
        one matters, so 9 channels pass through it instead of the inner width.

        Computed in the dtype of its weights, which may be wider than the map's.
        """
        head, wide = self.conv_out1.get_submodule("0"), p1.shape[1]
        assert isinstance(head, nn.Conv2d)  # noqa: S101  for the type checker
        first_conv, last_conv = self.ipt_blk1.conv1, self.ipt_blk1.conv_out
        assert first_conv.bias is not None  # noqa: S101  likewise
        assert last_conv.bias is not None  # noqa: S101  likewise
        from_map = functional.conv2d(
            p1.to(head.weight.dtype), head.weight[:, :wide], head.bias
        )  # [N, 1, H/4, W/4]
        share = head.weight[:, wide:, 0, 0]  # [1, s1]
        taps = (share @ last_conv.weight.flatten(1)).view(-1, 9).t()  # [9, inner]
        first = (taps @ first_conv.weight.flatten(1)).view(9, *first_conv.weight.shape[1:])
        per_tap = functional.conv2d(image, first, taps @ first_conv.bias, padding=1)
        pick = torch.eye(9, dtype=taps.dtype, device=taps.device).view(1, 9, 3, 3)
        from_image = functional.conv2d(per_tap, pick, share @ last_conv.bias, padding=1)
        return resize(from_map, *image.shape[-2:]) + from_image
