"""Modulated deformable convolution (v2) in plain tensor operations: no torchvision, no kernel.

Sampling is a gather of whole channel rows, so that it exports to standard operators and reads
memory in order. Coordinates are integers plus a fraction in float32 or better, never one large
float; in half precision, an absolute coordinate would be kept to 1/8 pixel.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

# x [N, C, H, W], offset [N, 2kk, H, W], modulation [N, kk, H, W], weight [O, C, k, k], bias [O]
# -> [N, O, H, W]
DeformKernel = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]

# Zero rows and columns around a map: a sample whose four corners all lie in them is 0, so every
# position beyond the map is moved there and no corner has to be tested.
_MARGIN = 2
# A corner of them is gathered beside: twice as much is taken.
_COLUMN_BYTES = {"cuda": 1 << 30}


def deform_conv2d(
    x: Tensor,
    offset: Tensor,
    modulation: Tensor,
    weight: Tensor,
    bias: Tensor,
    *,
    rows_at_once: int | None = None,
) -> Tensor:
    """Convolve at displaced positions; stride 1, padding ``k // 2``, one offset group.

    Args:
        x: Feature map ``[N, C, H, W]``.
        offset: Displacement ``[N, 2kk, H, W]`` in pixels; channel ``2t`` is dy of tap ``t``,
            ``2t + 1`` its dx; taps in row-major order. Unbounded.
        modulation: Weight of each tap ``[N, kk, H, W]``.
        weight: Kernel ``[O, C, k, k]``.
        bias: Added to each output channel ``[O]``.
        rows_at_once: Rows of the kernel that are sampled together. One keeps memory at ``k`` maps
            instead of ``k * k``; all of them make fewer, larger operations. None for what suits
            the device, see `rows_that_fit`.

    Returns:
        Feature map ``[N, O, H, W]``; what lies outside ``x`` counts as 0, corner by corner.

    Source:
        Zhu et al., "Deformable ConvNets v2", CVPR 2019.
    """
    batch, channels, height, width = x.shape
    out_channels, _, size, _ = weight.shape
    row_bytes = x.numel() * size * x.element_size()
    step = rows_at_once or rows_that_fit(row_bytes, size, x.device.type)
    rows = _by_position(functional.pad(x, (_MARGIN,) * 4)).reshape(-1, channels)  # [N * Hp * Wp, C]
    exact = torch.promote_types(x.dtype, torch.float32)
    shift = _by_position(offset.to(exact)).reshape(batch, height * width, size, size, 2)
    share = _by_position(modulation.to(exact)).reshape(batch, height * width, size, size)
    out = None
    for first in range(0, size, step):
        part = slice(first, min(first + step, size))
        columns = _sample(rows, shift[:, :, part], share[:, :, part], (height, width), first)
        kernel = weight[:, :, part].permute(0, 2, 3, 1).reshape(out_channels, -1)
        if out is None:
            out = functional.linear(columns, kernel, bias)  # [N, H * W, O]
        else:
            out = out + functional.linear(columns, kernel)
    assert out is not None  # noqa: S101  for the type checker: a kernel has rows
    return out.transpose(1, 2).reshape(batch, out_channels, height, width)


def rows_that_fit(row_bytes: int, size: int, device: str) -> int:
    """How many rows of a kernel to sample at once.

    Args:
        row_bytes: What the samples of one row take.
        size: Side of the kernel.
        device: Kind of device, such as ``cuda``.

    Returns:
        As many as fit where each operation costs a launch; elsewhere one, for the caches.
    """
    return max(1, min(size, _COLUMN_BYTES.get(device, 0) // max(1, row_bytes)))


def _by_position(x: Tensor) -> Tensor:
    """``[N, C, H, W] -> [N, H * W, C]``."""
    return x.flatten(2).transpose(1, 2)


def _sample(
    rows: Tensor, shift: Tensor, share: Tensor, grid: tuple[int, int], first: int
) -> Tensor:
    """Bilinear samples of some kernel rows' taps, times their modulation.

    Args:
        rows: Feature vectors of the padded map ``[N * Hp * Wp, C]``.
        shift: dy, dx of each tap ``[N, H * W, r, k, 2]``.
        share: Modulation of each tap ``[N, H * W, r, k]``.
        grid: Height and width of the map.
        first: Which of the kernel's rows comes first.

    Returns:
        Columns ``[N, H * W, r * k * C]``.
    """
    height, width = grid
    batch, positions, kernel_rows, size, _ = shift.shape
    stride, origin = width + 2 * _MARGIN, _MARGIN - size // 2

    def integers(count: int) -> Tensor:
        return torch.arange(count, device=rows.device, dtype=torch.int32)

    tap_y = integers(kernel_rows)[:, None] + (first + origin)  # [r, 1]
    tap_x = integers(size) + origin  # [k]
    position = integers(positions)[:, None, None]  # [H * W, 1, 1]
    y, below = _split(shift[..., 0], position // width + tap_y, height)
    x, right = _split(shift[..., 1], position % width + tap_x, width)
    picture = integers(batch)[:, None, None, None] * ((height + 2 * _MARGIN) * stride)
    upper_left = y * stride + x + picture  # [N, H * W, r, k]
    lower = share * below
    upper = share - lower
    lower_right, upper_right = lower * right, upper * right
    corners = (
        (1, upper_right),
        (stride, lower - lower_right),
        (stride + 1, lower_right),
    )

    def weighted(index: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        corner = rows.index_select(0, index.flatten())  # [N * H * W * r * k, C]
        return corner, weight.reshape(-1, 1).to(rows.dtype)

    columns = torch.mul(*weighted(upper_left, upper - upper_right))
    for step, weight in corners:
        columns.addcmul_(*weighted(upper_left + step, weight))
    return columns.view(batch, positions, -1)


def _split(shift: Tensor, origin: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """``origin + shift`` on one axis as a row of the padded map and the fraction beyond it.

    Args:
        shift: Displacement ``[N, H * W, r, k]`` in pixels.
        origin: Undisplaced row of the padded map, integers that broadcast to it.
        length: Pixels along the axis.
    """
    whole = shift.floor()
    # Twice the length is outside from anywhere; keeps any float convertible to an integer.
    steps = whole.clamp(-2.0 * length, 2.0 * length).to(torch.int32)
    return (origin + steps).clamp(0, length + _MARGIN), shift - whole


class DeformableConv2d(nn.Module):
    """Offsets and modulation predicted from the input, then the deformable convolution.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        size: Side of the kernel, odd.

    Attributes:
        kernel: What computes the convolution; exporters put their own operator here.
    """

    def __init__(self, in_channels: int, out_channels: int, size: int) -> None:
        super().__init__()
        taps, pad = size * size, size // 2
        self.offset_conv = nn.Conv2d(in_channels, 2 * taps, size, padding=pad)
        self.modulator_conv: nn.Conv2d | None = nn.Conv2d(in_channels, taps, size, padding=pad)
        self.regular_conv = nn.Conv2d(in_channels, out_channels, size, padding=pad, bias=False)
        self.kernel: DeformKernel = deform_conv2d

    def forward(self, x: Tensor) -> Tensor:
        """``[N, in, H, W] -> [N, out, H, W]``."""
        both = self.offset_conv(x)  # [N, 3kk, H, W]
        if self.modulator_conv is not None:
            both = torch.cat([both, self.modulator_conv(x)], dim=1)
        kernel, bias = self.regular_conv.weight, self.regular_conv.bias
        taps = kernel.shape[-1] ** 2
        offset, modulation = both[:, : 2 * taps], both[:, 2 * taps :]
        if bias is None:
            bias = kernel.new_zeros(len(kernel))
        return self.kernel(x, offset, 2 * modulation.sigmoid(), kernel, bias)

    def join_predictors(self) -> None:
        """Make one wider convolution of the two that look at the input."""
        offset, modulator = self.offset_conv, self.modulator_conv
        if modulator is None:
            return
        assert offset.bias is not None and modulator.bias is not None  # noqa: S101, PT018  types
        offset.weight = nn.Parameter(torch.cat([offset.weight, modulator.weight]), False)
        offset.bias = nn.Parameter(torch.cat([offset.bias, modulator.bias]), False)
        self.modulator_conv = None
