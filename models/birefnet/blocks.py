"""Parts the decoder is built of; each takes and gives ``[N, C, H, W]``."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from models.birefnet.aspp import DeformablePyramid
from models.birefnet.config import BiRefNetConfig


def resize(x: Tensor, height: int, width: int) -> Tensor:
    """Bilinear, corners aligned: the only resampling inside the network."""
    if x.shape[-2:] == (height, width):
        return x
    return functional.interpolate(x, size=(height, width), mode="bilinear", align_corners=True)


class DecoderBlock(nn.Module):
    """Squeeze to the inner width, look around with the deformable pyramid, widen again."""

    def __init__(self, in_channels: int, out_channels: int, config: BiRefNetConfig) -> None:
        super().__init__()
        inner = config.inner_width
        self.conv_in = nn.Conv2d(in_channels, inner, 3, padding=1)
        self.dec_att = DeformablePyramid(config)
        self.conv_out = nn.Conv2d(inner, out_channels, 3, padding=1)
        self.bn_in = nn.BatchNorm2d(inner)
        self.bn_out = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, in, H, W] -> [N, out, H, W]``; no activation at the end."""
        squeezed = self.bn_in(self.conv_in(x)).relu()
        widened: Tensor = self.bn_out(self.conv_out(self.dec_att(squeezed)))
        return widened


class LateralBlock(nn.Module):
    """A 1x1 convolution that brings an encoder map to the decoder."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W] -> [N, C, H, W]``."""
        out: Tensor = self.conv(x)
        return out


class SourceBlock(nn.Module):
    """Two plain convolutions over the source image, cut into tiles; nothing between them."""

    def __init__(self, in_channels: int, out_channels: int, config: BiRefNetConfig) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, config.inner_width, 3, padding=1)
        self.conv_out = nn.Conv2d(config.inner_width, out_channels, 3, padding=1)

    def forward(self, tiles: Tensor) -> Tensor:
        """``[N, in, h, w] -> [N, out, h, w]``."""
        out: Tensor = self.conv_out(self.conv1(tiles))
        return out


def stack_tiles(image: Tensor, height: int, width: int) -> Tensor:
    """Cut an image into a grid of tiles and stack them on channels.

    Not a pixel-unshuffle: each tile is a connected piece of the picture.

    Args:
        image: ``[N, 3, H, W]``, H a multiple of ``height``, W of ``width``.
        height: Rows of a tile.
        width: Columns of a tile.

    Returns:
        ``[N, 3 * rows * columns, height, width]``; colour slowest, then tile row, then column.
    """
    channels, rows, columns = image.shape[1], image.shape[2] // height, image.shape[3] // width
    grid = image.reshape(-1, channels, rows, height, columns, width)
    tiles = grid.permute(0, 1, 2, 4, 3, 5)  # [N, 3, rows, columns, height, width]
    return tiles.reshape(-1, channels * rows * columns, height, width)
