"""``unmix_alpha`` puts edges where the colours change, and lets be what colours cannot tell."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.catalog import CATALOG
from models.matting.edge_band import alpha_error, edge_band
from models.matting.refine import refine_alpha
from models.matting.unmix import unmix_alpha
from models.spec import BiRefNetNetwork, Unmixing

UNMIXING = Unmixing()
RED, BLUE = (200, 60, 40), (70, 90, 120)


def make_strands(height: int, width: int) -> np.ndarray:
    """A disc with strands of two pixels around it: true alpha."""
    alpha = np.zeros((height, width), np.uint8)
    centre = (width // 2, height // 2)
    cv2.circle(alpha, centre, height // 4, 255, -1, cv2.LINE_AA)
    for at in np.linspace(0, 2 * np.pi, 40, endpoint=False):
        way = np.array([np.cos(at), np.sin(at)]) * height * 0.42
        end = (int(centre[0] + way[0]), int(centre[1] + way[1]))
        cv2.line(alpha, centre, end, 255, 2, cv2.LINE_AA)
    return alpha


def lay_over(alpha: np.ndarray, subject: tuple, behind: tuple) -> np.ndarray:
    share = alpha[..., None] / 255.0
    noise = np.random.default_rng(0).normal(0, 2, (*alpha.shape, 3))
    return np.clip(share * subject + (1 - share) * behind + noise, 0, 255).astype(np.uint8)


def say(alpha: np.ndarray, side: int = 256, blur: float = 0.8) -> np.ndarray:
    """What a network might say of it."""
    small = cv2.resize(alpha, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (0, 0), blur)


def errors(alpha: np.ndarray, source: np.ndarray, small: np.ndarray) -> tuple[float, float]:
    """Of plain resampling and of unmixing."""
    band = edge_band(alpha)
    plain, unmixed = refine_alpha(small, source, None), unmix_alpha(small, source, UNMIXING)
    return alpha_error(plain, alpha, band), alpha_error(unmixed, alpha, band)


def test_strands_thinner_than_the_networks_pixels_come_back() -> None:
    alpha = make_strands(900, 1200)
    plain, unmixed = errors(alpha, lay_over(alpha, RED, BLUE), say(alpha))
    assert unmixed < 0.3 * plain


def test_every_birefnet_is_unmixed() -> None:
    alpha = make_strands(900, 1200)
    source, small = lay_over(alpha, RED, BLUE), say(alpha)
    for spec in CATALOG.values():
        if isinstance(spec.network, BiRefNetNetwork):
            assert isinstance(spec.refinement, Unmixing), spec.name
            by_spec = refine_alpha(small, source, spec.refinement)
            assert np.array_equal(by_spec, unmix_alpha(small, source, spec.refinement))


@pytest.mark.parametrize("difference", [0, 1])
def test_where_both_sides_have_one_colour_the_networks_matte_stays(difference: int) -> None:
    alpha = make_strands(900, 1200)
    near = tuple(level + difference for level in RED)
    source, small = lay_over(alpha, RED, near), say(alpha)
    plain = refine_alpha(small, source, None)
    changed = cv2.absdiff(plain, unmix_alpha(small, source, UNMIXING))
    assert changed.max() <= 3


def test_an_edge_out_of_focus_stays_as_it_is() -> None:
    disc = np.zeros((900, 1200), np.uint8)
    cv2.circle(disc, (600, 450), 250, 255, -1, cv2.LINE_AA)
    alpha = cv2.GaussianBlur(disc, (0, 0), 18)
    small = say(alpha, blur=0.1)
    source = lay_over(alpha, RED, BLUE)
    assert np.array_equal(unmix_alpha(small, source, UNMIXING), refine_alpha(small, source, None))


@pytest.mark.parametrize(("height", "width"), [(256, 256), (200, 256), (40, 60)])
def test_a_picture_no_larger_than_the_matte_is_plain(height: int, width: int) -> None:
    alpha = make_strands(height, width)
    small, source = say(alpha), lay_over(alpha, RED, BLUE)
    assert np.array_equal(unmix_alpha(small, source, UNMIXING), refine_alpha(small, source, None))


def test_colours_get_their_say_gradually_as_the_picture_grows() -> None:
    alpha = make_strands(258, 258)
    small, source = say(alpha), lay_over(alpha, RED, BLUE)
    changed = cv2.absdiff(unmix_alpha(small, source, UNMIXING), refine_alpha(small, source, None))
    assert changed.max() <= 6


@pytest.mark.parametrize("level", [0, 255])
def test_a_constant_matte_stays_constant(level: int) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (601, 777, 3), dtype=np.uint8)
    alpha = unmix_alpha(np.full((256, 256), level, np.uint8), noise, UNMIXING)
    assert np.unique(alpha).tolist() == [level]


def test_far_from_an_edge_nothing_changes() -> None:
    """Specks of the subject's colour in the background are none of the subject."""
    alpha = make_strands(900, 1200)
    source = lay_over(alpha, RED, BLUE)
    source[20:60, 20:60] = RED
    unmixed = unmix_alpha(say(alpha), source, UNMIXING)
    assert not unmixed[:70, :70].any()


@pytest.mark.parametrize(
    ("height", "width"), [(1, 7680), (7680, 1), (64, 7680), (5, 3000), (641, 1283), (1024, 1024)]
)
def test_any_size_gives_a_matte_of_that_size(height: int, width: int) -> None:
    small = np.zeros((256, 256), np.uint8)
    small[:, 128:] = 255
    noise = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    with np.errstate(
        divide="raise", invalid="raise", over="raise"
    ):  # nothing divided by zero, no NaN
        alpha = unmix_alpha(small, noise, UNMIXING)
    assert alpha.shape == (height, width)
    assert alpha.dtype == np.uint8


def test_blocks_meet_without_a_seam() -> None:
    """A straight edge through a picture of two plain colours is as straight afterwards."""
    alpha = np.zeros((1200, 1600), np.uint8)
    alpha[:, 803:] = 255
    source = np.where(alpha[..., None] > 0, np.uint8(RED), np.uint8(BLUE))
    unmixed = unmix_alpha(say(alpha), source, UNMIXING).astype(int)
    inside = unmixed[100:-100]
    assert np.abs(np.diff(inside, axis=0)).max() <= 4


def test_the_matte_does_not_drift() -> None:
    """What the network said of larger parts of the picture holds."""
    alpha = make_strands(900, 1200)
    small, source = say(alpha), lay_over(alpha, RED, BLUE)
    plain, unmixed = refine_alpha(small, source, None), unmix_alpha(small, source, UNMIXING)
    assert abs(float(unmixed.mean()) - float(plain.mean())) < 0.01 * 255
