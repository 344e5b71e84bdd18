"""The deformable pyramid inside each decoder block: ``[N, C, H, W] -> [N, C, H, W]``."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.birefnet.config import BiRefNetConfig
from models.birefnet.deform_conv import DeformableConv2d


class DeformableBranch(nn.Module):
    """Deformable convolution, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, size: int) -> None:
        super().__init__()
        self.atrous_conv = DeformableConv2d(in_channels, out_channels, size)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W] -> [N, branch, H, W]``."""
        out: Tensor = self.bn(self.atrous_conv(x))
        return out.relu()


class MapMean(nn.Module):
    """Mean of a whole map, in float32 or better: a sum in half precision may overflow."""

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W] -> [N, C, 1, 1]``."""
        exact = torch.promote_types(x.dtype, torch.float32)
        # Cast first: given as the mean's dtype, the exporter would put it behind the mean.
        return x.to(exact).mean((2, 3), keepdim=True).to(x.dtype)


class DeformablePyramid(nn.Module):
    """Kernels of 1, 1, 3 and 7 pixels side by side, plus the mean of the whole map, merged.

    The merging 1x1 convolution is applied branch by branch and summed, which is the same as one
    over their concatenation: the mean of the map is a single vector, so its share is a bias, and
    no map of five times the width is ever made.

    Source:
        ZhengPeng7/BiRefNet@25cb930 ``models/modules/aspp.py``.
    """

    def __init__(self, config: BiRefNetConfig) -> None:
        super().__init__()
        inner, branch = config.inner_width, config.branch_width
        self.aspp1 = DeformableBranch(inner, branch, 1)
        self.aspp_deforms = nn.ModuleList(DeformableBranch(inner, branch, k) for k in (1, 3, 7))
        self.global_avg_pool = nn.Sequential(
            MapMean(),
            nn.Conv2d(inner, branch, 1, bias=False),
            nn.BatchNorm2d(branch),
            nn.ReLU(),
        )
        self.conv1 = nn.Conv2d(5 * branch, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, inner, H, W] -> [N, inner, H, W]``."""
        branches = (self.aspp1, *self.aspp_deforms, self.global_avg_pool)
        kernel, width = self.conv1.weight, self.conv1.in_channels // len(branches)
        shares = [kernel[:, width * i : width * (i + 1)] for i in range(len(branches))]
        *parts, mean = (functional.conv2d(b(x), w) for b, w in zip(branches, shares, strict=True))
        if self.conv1.bias is not None:  # as is the share of the mean
            mean = mean + self.conv1.bias[:, None, None]
        merged: Tensor = self.bn1(sum(parts, mean))
        return merged.relu()
