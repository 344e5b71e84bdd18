"""What every backbone promises: pictures ``[N, 3, H, W]`` in, four feature maps out."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

#: Feature maps ``[N, C_i, H / s, W / s]`` at strides s = 4, 8, 16, 32, in any memory order; finest
#: first.
FeatureMaps = tuple[Tensor, Tensor, Tensor, Tensor]


class Backbone(nn.Module, ABC):
    """Encoder of the network.

    Subclasses build on the meta device too (nothing in a constructor looks at a value), keep the
    batch dynamic, and do their arithmetic on heights and widths in Python integers, so that an
    exported graph has no shape computations. There is no dropout or stochastic depth: this is for
    inference. Attribute names, and the order in which they are set, are the keys of the published
    checkpoints.

    Attributes:
        channels: Width of each feature map, finest first.
        shortest_side: Of what it looks at, in pixels.
    """

    channels: tuple[int, int, int, int]
    shortest_side = 1

    @abstractmethod
    def forward(self, x: Tensor) -> FeatureMaps:
        """Compute the feature maps.

        Args:
            x: Normalised pictures ``[N, 3, H, W]``, RGB, any float dtype; H and W multiples of 32
                for maps of exactly 1/4, 1/8, 1/16 and 1/32 of them. Half that, as in the second
                look of the network, works as well: Swin and PVT then round up.
        """
