"""The network for uint8: takes pictures ``[N, H, W, 3]``, gives alpha mattes ``[N, H, W]``.

A NaN has no place in bytes: with the alpha comes ``sound`` ``[N]`` uint8, 1 where every logit of a
picture was a number, 0 where its alpha means nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Compared with, not subtracted from itself: no optimiser takes that for a constant. No network says
# so much; infinity and NaN are not below it.
_MOST = 1e30


class PictureMatting(nn.Module):
    """A network with normalisation before it and quantisation of alpha behind it.

    Both are computed in f32, whatever the network computes in.

    Args:
        network: Normalised pictures in, logits out.
        mean: Mean per RGB channel, of values in ``[0, 1]``.
        std: Standard deviation per RGB channel, of values in ``[0, 1]``.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        network: nn.Module,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
    ) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", 255 * torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer(
            "scale", 1 / (255 * torch.tensor(std).view(1, 3, 1, 1)), persistent=False
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """``[N, H, W, 3]``, RGB, to ``[N, H, W]``, never stretched by its range, and ``[N]``."""
        # Cast first: TensorRT takes no transposition of bytes.
        x = image.to(torch.float32).permute(0, 3, 1, 2)  # [N, 3, H, W]
        logits = self.network((x - self.mean) * self.scale).float().squeeze(1)  # [N, H, W]
        # In f32, since TensorRT reduces no truth values.
        sound = (logits.abs() < _MOST).to(torch.float32).amin((1, 2))
        return (logits.sigmoid() * 255 + 0.5).to(torch.uint8), sound.to(torch.uint8)
