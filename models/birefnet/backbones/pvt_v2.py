"""Pyramid Vision Transformer v2: pictures ``[N, 3, H, W]`` in, four feature maps out.

Tokens travel as maps ``[N, C, H, W]`` between stages and as ``[N, H * W, C]`` inside one.

Source:
    Wang et al., "PVT v2: Improved Baselines with Pyramid Vision Transformer", CVMJ 2022; keys and
    details as in ZhengPeng7/BiRefNet@25cb930 ``models/backbones/pvt_v2.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from models.birefnet.backbones.base import Backbone, FeatureMaps

# The published weights were trained with both: blocks and stages here, the default of 1e-5 after
# the patch embedding and the reduction.
_NORM_EPS = 1e-6


@dataclass(frozen=True)
class PvtConfig:
    """What distinguishes one PVT v2 from another.

    Attributes:
        channels: Width of each stage; its attention heads divide it.
        depths: Blocks in each stage.
        mlp_ratios: Hidden width of the perceptrons of each stage, times its channels.
        heads: Attention heads in each stage.
        reductions: By how much keys and values are shrunk along each axis, in each stage.
    """

    channels: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]
    mlp_ratios: tuple[int, int, int, int] = (8, 8, 4, 4)
    heads: tuple[int, int, int, int] = (1, 2, 5, 8)
    reductions: tuple[int, int, int, int] = (8, 4, 2, 1)


class OverlapPatchEmbedding(nn.Module):
    """Overlapping patches of a map as tokens; shrinks it by the stride."""

    def __init__(self, in_channels: int, width: int, size: int, stride: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, width, size, stride=stride, padding=size // 2)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> tuple[Tensor, int, int]:
        """``[N, in, H, W] -> [N, h * w, C], h, w``."""
        patches = self.proj(x)
        height, width = patches.shape[-2:]
        return self.norm(_to_tokens(patches)), height, width


class ReducedAttention(nn.Module):
    """Every token sees a shrunken copy of the map."""

    def __init__(self, width: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads, self.reduction = heads, reduction
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)
        if reduction > 1:
            self.sr = nn.Conv2d(width, width, reduction, stride=reduction)
            self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        """``[N, H * W, C] -> [N, H * W, C]``."""
        tokens, channels = x.shape[1:]
        seen = x
        if self.reduction > 1:
            seen = self.norm(_to_tokens(self.sr(_to_map(x, height, width))))
        per_head = channels // self.heads
        q = self.q(x).reshape(-1, tokens, self.heads, per_head).transpose(1, 2)
        kv = self.kv(seen).reshape(-1, seen.shape[1], 2, self.heads, per_head)
        k, v = kv.permute(2, 0, 3, 1, 4).unbind(0)  # [N, heads, reduced tokens, C/heads]
        attended = functional.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.proj(attended.transpose(1, 2).reshape(-1, tokens, channels))
        return out


class DepthwiseConv(nn.Module):
    """3x3 convolution of each channel on its own; gives the tokens their position."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 3, padding=1, groups=width)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        """``[N, H * W, C] -> [N, H * W, C]``."""
        return _to_tokens(self.dwconv(_to_map(x, height, width)))


class ConvMlp(nn.Module):
    """Linear, depthwise convolution, exact GELU, linear."""

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, ratio * width)
        self.dwconv = DepthwiseConv(ratio * width)
        self.fc2 = nn.Linear(ratio * width, width)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        """``[N, H * W, C] -> [N, H * W, C]``."""
        out: Tensor = self.fc2(functional.gelu(self.dwconv(self.fc1(x), height, width)))
        return out


class PvtBlock(nn.Module):
    """Attention and a perceptron, each around a residual connection."""

    def __init__(self, width: int, heads: int, ratio: int, reduction: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=_NORM_EPS)
        self.attn = ReducedAttention(width, heads, reduction)
        self.norm2 = nn.LayerNorm(width, eps=_NORM_EPS)
        self.mlp = ConvMlp(width, ratio)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        """``[N, H * W, C] -> [N, H * W, C]``."""
        x = x + self.attn(self.norm1(x), height, width)
        out: Tensor = x + self.mlp(self.norm2(x), height, width)
        return out


class PvtV2(Backbone):
    """PVT v2; unlike in Swin, the normalised map of a stage is also what the next one takes."""

    shortest_side = 32  # or nothing would be left to attend to

    def __init__(self, config: PvtConfig) -> None:
        super().__init__()
        self.channels = config.channels
        c1, c2, c3, c4 = config.channels
        self.patch_embed1 = OverlapPatchEmbedding(3, c1, size=7, stride=4)
        self.patch_embed2 = OverlapPatchEmbedding(c1, c2, size=3, stride=2)
        self.patch_embed3 = OverlapPatchEmbedding(c2, c3, size=3, stride=2)
        self.patch_embed4 = OverlapPatchEmbedding(c3, c4, size=3, stride=2)
        self.block1, self.norm1 = _build_stage(config, 0)
        self.block2, self.norm2 = _build_stage(config, 1)
        self.block3, self.norm3 = _build_stage(config, 2)
        self.block4, self.norm4 = _build_stage(config, 3)

    def forward(self, x: Tensor) -> FeatureMaps:
        """See `Backbone.forward`."""
        f1 = _run_stage(self.patch_embed1, self.block1, self.norm1, x)
        f2 = _run_stage(self.patch_embed2, self.block2, self.norm2, f1)
        f3 = _run_stage(self.patch_embed3, self.block3, self.norm3, f2)
        f4 = _run_stage(self.patch_embed4, self.block4, self.norm4, f3)
        return f1, f2, f3, f4


def _build_stage(config: PvtConfig, stage: int) -> tuple[nn.ModuleList, nn.LayerNorm]:
    width = config.channels[stage]
    heads, ratio = config.heads[stage], config.mlp_ratios[stage]
    reduction = config.reductions[stage]
    blocks = (PvtBlock(width, heads, ratio, reduction) for _ in range(config.depths[stage]))
    return nn.ModuleList(blocks), nn.LayerNorm(width, eps=_NORM_EPS)


def _run_stage(embed: nn.Module, blocks: nn.ModuleList, norm: nn.Module, x: Tensor) -> Tensor:
    """``[N, in, H, W] -> [N, C, h, w]``."""
    tokens, height, width = embed(x)
    for block in blocks:
        tokens = block(tokens, height, width)
    return _to_map(norm(tokens), height, width)


def _to_tokens(x: Tensor) -> Tensor:
    """``[N, C, H, W] -> [N, H * W, C]``."""
    return x.flatten(2).transpose(1, 2)


def _to_map(tokens: Tensor, height: int, width: int) -> Tensor:
    """``[N, H * W, C] -> [N, C, H, W]``."""
    return tokens.transpose(1, 2).reshape(-1, tokens.shape[-1], height, width)
