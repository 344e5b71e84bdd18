"""VGG with 13 convolutions: pictures ``[N, 3, H, W]`` in, four feature maps out.

Source:
    Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
    ICLR 2015; keys as in ZhengPeng7/BiRefNet@25cb930 ``models/backbones/build_backbone.py``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from torch import Tensor, nn

from models.birefnet.backbones.base import Backbone, FeatureMaps


@dataclass(frozen=True)
class VggConfig:
    """What distinguishes one VGG-16 from another.

    Attributes:
        batch_norm: Whether each convolution is followed by batch normalisation.
        width: Channels of the first convolutions; the four maps have 2, 4, 8 and 8 times as many.
    """

    batch_norm: bool
    width: int = 64


class Vgg16(Backbone):
    """VGG-16 cut after its second to fifth pooling, as ``conv1`` to ``conv4``.

    The layers keep the numbers they have in the uncut network: they are part of the keys.
    """

    shortest_side = 32  # pooling rounds down

    def __init__(self, config: VggConfig) -> None:
        super().__init__()
        width, norm = config.width, config.batch_norm
        c1, c2, c3, c4 = self.channels = (2 * width, 4 * width, 8 * width, 8 * width)
        number = count()
        self.conv1 = _number(number, _group(3, width, 2, norm) + _group(width, c1, 2, norm))
        self.conv2 = _number(number, _group(c1, c2, 3, norm))
        self.conv3 = _number(number, _group(c2, c3, 3, norm))
        self.conv4 = _number(number, _group(c3, c4, 3, norm))

    def forward(self, x: Tensor) -> FeatureMaps:
        """See `Backbone.forward`."""
        f1 = self.conv1(x)
        f2 = self.conv2(f1)
        f3 = self.conv3(f2)
        return f1, f2, f3, self.conv4(f3)


def _group(in_channels: int, out_channels: int, depth: int, batch_norm: bool) -> list[nn.Module]:
    """Convolutions of one width, then pooling that halves the map."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers.append(nn.Conv2d(out_channels if i else in_channels, out_channels, 3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(out_channels))
        layers.append(nn.ReLU())
    return [*layers, nn.MaxPool2d(2)]


def _number(number: Iterator[int], layers: list[nn.Module]) -> nn.Sequential:
    return nn.Sequential(OrderedDict((str(next(number)), layer) for layer in layers))
