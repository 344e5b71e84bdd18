"""BiRefNet whole: normalised pictures ``[N, 3, H, W]`` in, logits ``[N, 1, H, W]`` out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.birefnet.backbones import BACKBONES
from models.birefnet.backbones.base import Backbone
from models.birefnet.blocks import DecoderBlock, resize
from models.birefnet.config import BiRefNetConfig
from models.birefnet.decoder import Decoder

_STRIDE = 32


class BiRefNet(nn.Module):
    """Bilateral reference network.

    The backbone looks at the picture twice, whole and at half its size; the decoder is shown the
    picture again at every scale.

    Args:
        backbone: Gives four maps at strides 4, 8, 16 and 32.
        config: Widths of the rest.

    Source:
        Zheng et al., "Bilateral Reference for High-Resolution Dichotomous Image Segmentation",
        CAAI AIR 2024; ZhengPeng7/BiRefNet@25cb930 ``models/birefnet.py``.
    """

    def __init__(self, backbone: Backbone, config: BiRefNetConfig | None = None) -> None:
        super().__init__()
        config = config or BiRefNetConfig()
        c1, c2, c3, c4 = (2 * c for c in backbone.channels)
        self.bb = backbone
        self.squeeze_module = nn.Sequential(DecoderBlock(c1 + c2 + c3 + c4, c4, config))
        self.decoder = Decoder((c1, c2, c3, c4), config)

    def forward(self, x: Tensor) -> Tensor:
        """Run the network.

        Args:
            x: Normalised pictures ``[N, 3, H, W]``, RGB; see `check_size`.

        Returns:
            Logits ``[N, 1, H, W]``, unbounded.

        Raises:
            ValueError: If `check_size` does. Our bug, never a user's.
        """
        self.check_size(*x.shape[-2:])
        # The decoder is shown them as they came: its end is exact (`models.birefnet.precision`).
        logits: Tensor = self.decoder(x, self._encode(x.to(next(self.bb.parameters()).dtype)))
        return logits

    def check_size(self, height: int, width: int) -> None:
        """Raise unless it takes pictures of this size.

        Raises:
            ValueError: If a side is no multiple of 32, or half of it too short for the backbone.
        """
        shortest = max(_STRIDE, 2 * self.bb.shortest_side)
        if height % _STRIDE or width % _STRIDE or min(height, width) < shortest:
            raise ValueError(
                f"this BiRefNet takes heights and widths from {shortest} that are multiples of "
                f"{_STRIDE}, not {height} x {width}"
            )

    def _encode(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Both looks side by side at each scale, and all scales together at the coarsest."""
        height, width = x.shape[-2:]
        whole = self.bb(x)  # 4 x [N, C_i, H/2^(i+1), W/2^(i+1)]
        half = self.bb(resize(x, height // 2, width // 2))
        x1, x2, x3, x4 = (
            torch.cat([f, resize(g, *f.shape[-2:])], dim=1)
            for f, g in zip(whole, half, strict=True)
        )
        context = [resize(finer, *x4.shape[-2:]) for finer in (x1, x2, x3)]
        return x1, x2, x3, self.squeeze_module(torch.cat([*context, x4], dim=1))


def build_birefnet(backbone: str) -> BiRefNet:
    """Build the published architecture around a backbone, with untrained weights.

    Args:
        backbone: A key of `BACKBONES`, such as ``swin_v1_l``.

    Returns:
        The network in eval mode.

    Raises:
        ValueError: If there is no such backbone; the message lists those there are.
    """
    if backbone not in BACKBONES:
        raise ValueError(f"no backbone is called '{backbone}'; there are: {', '.join(BACKBONES)}")
    return BiRefNet(BACKBONES[backbone]()).eval()
