"""Swin Transformer v1: pictures ``[N, 3, H, W]`` in, four feature maps out.

Tokens travel as ``[N, H, W, C]``. Attention runs inside square windows; on every second block the
map is rolled by half a window first, so that neighbouring windows see each other.

Source:
    Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", ICCV
    2021; keys and details as in ZhengPeng7/BiRefNet@25cb930 ``models/backbones/swin_v1.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.birefnet.backbones.base import Backbone, FeatureMaps

_PATCH = 4
_MLP_RATIO = 4
# The official code has -inf now and had -100 when most checkpoints were trained. After a softmax
# both are 0 (e^-100 is 4e-44), but only this one survives tools that clamp and half precision.
_APART = -100.0


@dataclass(frozen=True)
class SwinConfig:
    """What distinguishes one Swin from another.

    Attributes:
        embed_width: Channels of the first stage; they double from stage to stage.
        depths: Blocks in each stage.
        heads: Attention heads in each stage; each divides the stage's channels.
        window: Side of a window, in tokens. Maps smaller than it are padded, it never shrinks.
    """

    embed_width: int
    depths: tuple[int, int, int, int]
    heads: tuple[int, int, int, int]
    window: int


def relative_position_index(window: int) -> Tensor:
    """Which row of the bias table belongs to each pair of tokens in a window.

    Args:
        window: Side of a window, in tokens.

    Returns:
        ``[N, N]`` int64 with N = ``window`` squared; pair (a, b) has the row of the displacement
        from b to a, displacements in row-major order from ``1 - window`` to ``window - 1``.
    """
    token = torch.arange(window * window)
    y, x = token // window, token % window
    dy = y[:, None] - y + window - 1
    dx = x[:, None] - x + window - 1
    return dy * (2 * window - 1) + dx


def pad_to_multiple(x: Tensor, side: int) -> Tensor:
    """``[N, H, W, C]`` with zeros below and to the right, until ``side`` divides H and W."""
    bottom, right = -x.shape[1] % side, -x.shape[2] % side
    if not bottom and not right:
        return x  # padding by nothing would still copy, and stay as a node of an exported graph
    return functional.pad(x, (0, 0, 0, right, 0, bottom))


def partition_windows(x: Tensor, window: int) -> Tensor:
    """``[N, H, W, C] -> [N, windows, tokens, C]``, both row by row; H, W multiples of a window."""
    height, width, channels = x.shape[1:]
    rows, columns = height // window, width // window
    grid = x.reshape(-1, rows, window, columns, window, channels).transpose(2, 3)
    return grid.reshape(-1, rows * columns, window * window, channels)


def join_windows(windows: Tensor, window: int, height: int, width: int) -> Tensor:
    """``[N, windows, tokens, C] -> [N, H, W, C]``: what `partition_windows` undoes."""
    rows, columns, channels = height // window, width // window, windows.shape[-1]
    grid = windows.reshape(-1, rows, columns, window, window, channels).transpose(2, 3)
    return grid.reshape(-1, height, width, channels)


def shift_mask(height: int, width: int, window: int, like: Tensor) -> Tensor:
    """What to add to the attention scores of a rolled map.

    Rolling brings the far edges of the map into one window; tokens that are neighbours only
    because of that must not see each other. Computed, not stored: it depends on the size of the
    map only, folds to a constant in an exported graph, and would be tens of megabytes there.

    Args:
        height: Rows of the padded map, a multiple of ``window``.
        width: Columns of the padded map, likewise.
        window: Side of a window, in tokens.
        like: Gives dtype and device.

    Returns:
        ``[windows, 1, tokens, tokens]``: 0 where two tokens may see each other, else -100.
    """
    rows = _shift_regions(height, window, like.device)
    columns = _shift_regions(width, window, like.device)
    regions = 3 * rows[:, None] + columns  # [H, W], 0..8
    tokens = partition_windows(regions[None, :, :, None], window).reshape(-1, 1, window * window)
    return (tokens[..., :, None] != tokens[..., None, :]).to(like.dtype) * _APART


def _shift_regions(length: int, window: int, device: torch.device) -> Tensor:
    """Along one axis: 0 in whole windows, 1 and 2 in the near and far part of the torn one."""
    position = torch.arange(length, device=device)
    in_last_window = (position >= length - window).long()
    return in_last_window + (position >= length - window // 2).long()


class PatchEmbedding(nn.Module):
    """4x4 patches of the picture as tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, _PATCH, stride=_PATCH)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, 3, H, W] -> [N, H/4, W/4, C]``, rounded up."""
        padded = pad_to_multiple(x.permute(0, 2, 3, 1), _PATCH).permute(0, 3, 1, 2)
        tokens: Tensor = self.norm(self.proj(padded).permute(0, 2, 3, 1))
        return tokens


class WindowAttention(nn.Module):
    """Multi-head attention inside each window, biased by relative position.

    Scores stay 5-D, so that bias and mask broadcast over the batch and nothing is expanded to it.
    """

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (width // heads) ** -0.5
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.relative_position_index: Tensor
        self.register_buffer("relative_position_index", relative_position_index(window))
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, windows: Tensor, mask: Tensor | None) -> Tensor:
        """Let the tokens of each window see each other.

        Args:
            windows: ``[N, windows, tokens, C]``.
            mask: ``[windows, 1, tokens, tokens]``, added to the scores.

        Returns:
            ``[N, windows, tokens, C]``.
        """
        count, tokens, width = windows.shape[1:]
        qkv = self.qkv(windows).reshape(-1, count, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(3, 0, 1, 4, 2, 5).unbind(0)  # [N, windows, heads, tokens, C/heads]
        # Scaled before the product: the scores themselves may leave the range of float16.
        scores = (q * self.scale) @ k.transpose(-2, -1)
        scores += self._position_bias()
        if mask is not None:
            scores += mask
        seen = (scores.softmax(-1) @ v).transpose(2, 3)  # [N, windows, tokens, heads, C/heads]
        out: Tensor = self.proj(seen.reshape(-1, count, tokens, width))
        return out

    def _position_bias(self) -> Tensor:
        """``[heads, tokens, tokens]``."""
        table = self.relative_position_bias_table
        return functional.embedding(self.relative_position_index, table).permute(2, 0, 1)


class Mlp(nn.Module):
    """Two linear layers, exact GELU between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, _MLP_RATIO * width)
        self.fc2 = nn.Linear(_MLP_RATIO * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """``[..., C] -> [..., C]``."""
        out: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return out


class SwinBlock(nn.Module):
    """Window attention and a perceptron, each around a residual connection.

    Args:
        width: Channels.
        heads: Attention heads.
        window: Side of a window, in tokens.
        shift: How far to roll the map, in tokens; 0 for the plain windows.
    """

    def __init__(self, width: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads, window)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """``[N, H, W, C] -> [N, H, W, C]``; ``mask`` as `shift_mask` gives it."""
        x = x + self._attend(self.norm1(x), mask)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out

    def _attend(self, x: Tensor, mask: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        # Padded tokens are 0 after the norm, and are seen like any other.
        x = pad_to_multiple(x, self.window)
        padded_height, padded_width = x.shape[1:3]
        if self.shift:
            x = x.roll((-self.shift, -self.shift), (1, 2))
        windows = self.attn(partition_windows(x, self.window), mask if self.shift else None)
        x = join_windows(windows, self.window, padded_height, padded_width)
        if self.shift:
            x = x.roll((self.shift, self.shift), (1, 2))
        return x[:, :height, :width]


class PatchMerging(nn.Module):
    """Each 2x2 tokens become one of twice the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)
        self.norm = nn.LayerNorm(4 * width)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, H, W, C] -> [N, H/2, W/2, 2C]``, rounded up."""
        x = pad_to_multiple(x, 2)
        rows, columns, channels = x.shape[1] // 2, x.shape[2] // 2, x.shape[3]
        # As (row, column): (even, even), (odd, even), (even, odd), (odd, odd).
        quads = x.reshape(-1, rows, 2, columns, 2, channels).permute(0, 1, 3, 4, 2, 5)
        out: Tensor = self.reduction(self.norm(quads.reshape(-1, rows, columns, 4 * channels)))
        return out


class SwinStage(nn.Module):
    """Blocks at one resolution, plain and shifted in turn, and the step to the next one."""

    def __init__(self, width: int, depth: int, heads: int, window: int, last: bool) -> None:
        super().__init__()
        self.window = window
        self.blocks = nn.ModuleList(
            SwinBlock(width, heads, window, shift=window // 2 if i % 2 else 0) for i in range(depth)
        )
        self.downsample = nn.Identity() if last else PatchMerging(width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Run the stage.

        Args:
            x: Tokens ``[N, H, W, C]``.

        Returns:
            The tokens after the blocks ``[N, H, W, C]``, and what the next stage takes
            ``[N, H/2, W/2, 2C]``.
        """
        height, width = (side + -side % self.window for side in x.shape[1:3])
        mask = shift_mask(height, width, self.window, like=x)
        for block in self.blocks:
            x = block(x, mask)
        return x, self.downsample(x)


class SwinV1(Backbone):
    """Swin Transformer v1 with a normalised map out of each of its four stages."""

    def __init__(self, config: SwinConfig) -> None:
        super().__init__()
        c = config.embed_width
        self.channels = (c, 2 * c, 4 * c, 8 * c)
        self.patch_embed = PatchEmbedding(c)
        stages = zip(self.channels, config.depths, config.heads, strict=True)
        self.layers = nn.ModuleList(
            SwinStage(width, depth, heads, config.window, last=i == 3)
            for i, (width, depth, heads) in enumerate(stages)
        )
        self.norm0, self.norm1, self.norm2, self.norm3 = map(nn.LayerNorm, self.channels)

    def forward(self, x: Tensor) -> FeatureMaps:
        """See `Backbone.forward`; any H and W from 1, strides round up."""
        s1, tokens = self.layers[0](self.patch_embed(x))
        s2, tokens = self.layers[1](tokens)
        s3, tokens = self.layers[2](tokens)
        s4, _ = self.layers[3](tokens)
        # Only the map that leaves is normalised; the next stage takes the tokens as they are.
        return (
            _to_map(self.norm0(s1)),
            _to_map(self.norm1(s2)),
            _to_map(self.norm2(s3)),
            _to_map(self.norm3(s4)),
        )


def _to_map(tokens: Tensor) -> Tensor:
    """``[N, H, W, C] -> [N, C, H, W]``."""
    return tokens.permute(0, 3, 1, 2)
