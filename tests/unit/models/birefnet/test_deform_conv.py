"""Deformable convolution against recorded brute-force results, and at the edges of its domain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from models.birefnet.deform_conv import deform_conv2d, rows_that_fit

GOLDEN = Path(__file__).parents[3] / "data/birefnet/golden_ops.npz"
SIZES = (1, 3, 7)


def recorded(size: int, dtype: torch.dtype) -> tuple[list[Tensor], Tensor]:
    """x, offset, modulation, kernel and a bias of 0; and what a brute-force loop made of them."""
    with np.load(GOLDEN) as golden:
        names = ("input", "offset", "mask", "weight", "output")
        *inputs, output = (torch.from_numpy(golden[f"dcn{size}_{n}"]).to(dtype) for n in names)
    return [*inputs, torch.zeros(output.shape[1], dtype=dtype)], output


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 2e-7), (torch.float32, 1e-5)])
def test_it_equals_the_recorded_brute_force(
    size: int, dtype: torch.dtype, tolerance: float
) -> None:
    inputs, expected = recorded(size, dtype)
    assert (deform_conv2d(*inputs) - expected).abs().max() <= tolerance


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rows_at_once", [1, 2, 7])
def test_rows_taken_together_give_the_same(size: int, rows_at_once: int) -> None:
    inputs, expected = recorded(size, torch.float64)
    assert (deform_conv2d(*inputs, rows_at_once=rows_at_once) - expected).abs().max() <= 2e-7


@pytest.mark.parametrize(
    ("device", "row_mib", "rows"),
    [("cpu", 1, 1), ("cuda", 1, 7), ("cuda", 400, 2), ("cuda", 5000, 1)],
)
def test_a_device_samples_as_many_rows_as_fit(device: str, row_mib: int, rows: int) -> None:
    assert rows_that_fit(row_mib << 20, 7, device) == rows


@pytest.mark.parametrize("size", SIZES)
def test_without_offsets_it_is_a_plain_convolution(size: int) -> None:
    (x, offset, modulation, weight, bias), _ = recorded(size, torch.float64)
    bias = bias + 0.5
    out = deform_conv2d(x, offset * 0, modulation * 0 + 1, weight, bias)
    expected = functional.conv2d(x, weight, bias, padding=size // 2)
    assert torch.allclose(out, expected, atol=1e-12)


@pytest.mark.parametrize("far", [1e2, 1e6, 1e30, -1e2, -1e6, -1e30])
def test_what_lies_far_outside_counts_as_nothing(far: float) -> None:
    (x, offset, modulation, weight, bias), _ = recorded(3, torch.float32)
    out = deform_conv2d(x, torch.full_like(offset, far), modulation, weight, bias)
    assert out.abs().max() == 0


def test_a_position_half_outside_counts_by_the_half_inside() -> None:
    x, ones = torch.ones(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    up_half_a_pixel = torch.zeros(1, 2, 4, 4)
    up_half_a_pixel[:, 0] = -0.5
    out = deform_conv2d(x, up_half_a_pixel, ones, torch.ones(1, 1, 1, 1), torch.zeros(1))
    assert out[0, 0, 0].tolist() == [0.5] * 4
    assert out[0, 0, 1:].tolist() == [[1.0] * 4] * 3


def test_half_precision_keeps_positions_a_large_coordinate_would_lose() -> None:
    # At column 1500 a half-precision coordinate is kept to a whole pixel: 0.25 would be lost.
    width = 1504
    ramp = (torch.arange(width) % 2).half().expand(1, 1, 3, width)
    offset = torch.zeros(1, 2, 3, width, dtype=torch.half)
    offset[:, 1] = 0.25
    ones = torch.ones(1, 1, 3, width, dtype=torch.half)
    kernel, bias = torch.ones(1, 1, 1, 1).half(), torch.zeros(1).half()
    out = deform_conv2d(ramp, offset, ones, kernel, bias)
    assert out[0, 0, 1, 1500:1502].tolist() == [0.25, 0.75]


def test_each_picture_of_a_batch_is_sampled_from_itself() -> None:
    inputs, _ = recorded(7, torch.float64)
    x, offset, modulation, weight, bias = inputs
    together = deform_conv2d(*inputs)
    for i in range(len(x)):
        one = slice(i, i + 1)
        alone = deform_conv2d(x[one], offset[one], modulation[one], weight, bias)
        assert torch.allclose(together[one], alone, atol=1e-12)
