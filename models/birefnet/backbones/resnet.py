"""ResNet of bottleneck blocks: pictures ``[N, 3, H, W]`` in, four feature maps out.

Source:
    He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, with the stride on the 3x3
    convolution (v1.5); keys as in ZhengPeng7/BiRefNet@25cb930
    ``models/backbones/build_backbone.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from models.birefnet.backbones.base import Backbone, FeatureMaps

_EXPANSION = 4


@dataclass(frozen=True)
class ResNetConfig:
    """What distinguishes one ResNet from another.

    Attributes:
        width: Channels of the stem; the four maps have 4, 8, 16 and 32 times as many.
        depths: Blocks in each stage.
    """

    width: int
    depths: tuple[int, int, int, int]


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolution around a residual connection.

    Args:
        in_channels: Channels in.
        width: Channels inside; four times as many come out.
        stride: 2 to halve the map.
    """

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        out_channels = _EXPANSION * width
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """``[N, in, H, W] -> [N, 4 * width, H/stride, W/stride]``."""
        inner = self.bn1(self.conv1(x)).relu()
        inner = self.bn2(self.conv2(inner)).relu()
        out: Tensor = self.bn3(self.conv3(inner)) + self.downsample(x)
        return out.relu()


class ResNet(Backbone):
    """The four stages as ``conv1`` (stem and first stage) to ``conv4``."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        width = config.width
        c1, c2, c3, c4 = self.channels = (4 * width, 8 * width, 16 * width, 32 * width)
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
            _build_stage(width, c1, config.depths[0], stride=1),
        )
        self.conv2 = _build_stage(c1, c2, config.depths[1], stride=2)
        self.conv3 = _build_stage(c2, c3, config.depths[2], stride=2)
        self.conv4 = _build_stage(c3, c4, config.depths[3], stride=2)

    def forward(self, x: Tensor) -> FeatureMaps:
        """See `Backbone.forward`."""
        f1 = self.conv1(x)
        f2 = self.conv2(f1)
        f3 = self.conv3(f2)
        return f1, f2, f3, self.conv4(f3)


def _build_stage(in_channels: int, out_channels: int, depth: int, stride: int) -> nn.Sequential:
    width = out_channels // _EXPANSION
    rest = (Bottleneck(out_channels, width, stride=1) for _ in range(depth - 1))
    return nn.Sequential(Bottleneck(in_channels, width, stride), *rest)
