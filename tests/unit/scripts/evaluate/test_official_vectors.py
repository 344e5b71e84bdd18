"""Our image steps beside the official code's, on its recorded arrays (tests/data/birefnet).

Ours differ on purpose: pictures are averaged down by area, bytes are rounded and not cut, and
foreground colours come from nearer by. Held here is how far apart that takes them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from models.birefnet.pictures import PictureMatting
from models.catalog import IMAGENET_MEAN, IMAGENET_STD
from models.matting.foreground import estimate_foreground
from models.matting.preprocess import fit
from models.matting.refine import refine_alpha
from tests.support.blur_fusion import blur_fusion

Arrays = dict[str, npt.NDArray[np.generic]]


@pytest.fixture(scope="module")
def official() -> Arrays:
    with np.load(Path(__file__).parents[3] / "data/birefnet/golden_ops.npz") as recorded:
        return dict(recorded)


def apart(ours: npt.ArrayLike, theirs: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return np.abs(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64))


def test_normalisation_is_the_official_one(official: Arrays) -> None:
    seen = []

    class Eye(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x)
            return x[:, :1]

    picture = torch.from_numpy(official["pre_pil_resized_64x32_u8"])[None]
    PictureMatting(Eye(), IMAGENET_MEAN, IMAGENET_STD)(picture)
    assert apart(seen[0][0], official["pre_pil_tensor_64x32"]).max() <= 2e-6


def test_shrinking_is_nearer_to_the_antialiased_resizer_than_the_other_official_one(
    official: Arrays,
) -> None:
    antialiased = official["pre_pil_down_16x16_u8"]
    ours = apart(fit(official["pre_image_u8"], 16, 16), antialiased)
    theirs = apart(official["pre_cv2_down_16x16_u8"], antialiased)
    assert ours.mean() < theirs.mean()


def test_bytes_are_rounded_where_the_official_code_cuts(official: Arrays) -> None:
    logits = torch.from_numpy(official["post_logits"])

    class Constant(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return logits[None, None]

    blank = torch.zeros(1, *logits.shape, 3, dtype=torch.uint8)
    ours = PictureMatting(Constant(), IMAGENET_MEAN, IMAGENET_STD)(blank)[0].numpy()
    assert np.isin(ours.astype(int) - official["post_mask_u8"], (0, 1)).all()
    exact = 255 / (1 + np.exp(-official["post_logits"].astype(np.float64)))
    assert apart(ours, exact).max() <= 0.501


def test_a_matte_is_brought_up_to_much_the_same(official: Arrays) -> None:
    blank = np.zeros((53, 37, 3), np.uint8)
    ours = refine_alpha(official["post_mask_u8"].astype(np.uint8), blank, None)
    theirs = official["post_mask_u8_pil_resized_h53_w37"]
    # The recorded matte is noise from pixel to pixel: the hardest there is to agree on.
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("reach", [90, 30])
def test_the_official_foreground_is_understood(official: Arrays, reach: int) -> None:
    image, alpha = (official[k].astype(np.uint8) for k in ("fg_image_u8", "fg_alpha_u8"))
    off = apart(blur_fusion(image, alpha, reach), official[f"fg_cpu_r{reach}_u8"])
    assert off[alpha > 0].max() <= 1


def test_our_foreground_is_nearer_to_the_truth_than_the_official_one(official: Arrays) -> None:
    # Dark hair before a bright wall, with the recorded matte's soft edge.
    alpha = official["fg_alpha_u8"].astype(np.uint8)
    height, width = alpha.shape
    slope = np.linspace(-20, 20, width)[None, :, None]
    subject = np.clip(np.array([60.0, 40.0, 35.0]) + slope, 0, 255) * np.ones((height, 1, 1))
    wall = np.clip(np.array([220.0, 225.0, 240.0]) - slope, 0, 255) * np.ones((height, 1, 1))
    share = alpha[..., None] / 255.0
    mixture = np.rint(share * subject + (1 - share) * wall).astype(np.uint8)
    soft = (alpha > 25) & (alpha < 250)
    ours = apart(estimate_foreground(mixture, alpha), subject)[soft].mean()
    theirs = apart(blur_fusion(mixture, alpha), subject)[soft].mean()
    assert ours < theirs < apart(mixture, subject)[soft].mean()
