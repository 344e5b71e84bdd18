"""Bytes cannot say that a matte is none; what comes with them can."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from models.birefnet.pictures import PictureMatting


class FirstChannel(nn.Module):
    """A network whose logits are the red of its picture, of which 7 stands for something else."""

    def __init__(self, instead: float) -> None:
        super().__init__()
        self.instead = instead

    def forward(self, x: Tensor) -> Tensor:
        red = x[:, :1]
        return torch.where(red == 7, torch.full_like(red, self.instead), red)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize(
    ("logit", "is_sound"),
    [(math.nan, False), (math.inf, False), (-math.inf, False), (60000.0, True), (-60000.0, True)],
)
def test_one_logit_that_is_no_number_makes_its_picture_unsound(
    logit: float, is_sound: bool, dtype: torch.dtype
) -> None:
    image = torch.zeros(3, 4, 6, 3, dtype=torch.uint8)
    image[1, 2, 5, 0] = 7

    class Network(FirstChannel):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).to(dtype)

    matting = PictureMatting(Network(logit), (0.0, 0.0, 0.0), (1 / 255,) * 3)
    alpha, sound = matting(image)
    assert alpha.dtype == sound.dtype == torch.uint8
    assert sound.tolist() == [1, int(is_sound), 1]
    assert alpha[0].unique().tolist() == [128]
