"""``fit`` gives the network a faithful copy of any picture, in the network's own shape."""

from __future__ import annotations

import numpy as np
import pytest

from models.matting.preprocess import choose_ground, fit, lay_on_ground


@pytest.mark.parametrize(
    ("height", "width"),
    [(1, 1), (1, 4000), (4000, 1), (64, 7680), (3, 5), (1080, 1920), (2049, 2301)],
)
@pytest.mark.parametrize("wanted", [(320, 320), (288, 512)])
def test_any_picture_takes_the_networks_shape(
    wanted: tuple[int, int], height: int, width: int
) -> None:
    fitted = fit(np.full((height, width, 3), (10, 200, 90), np.uint8), *wanted)
    assert fitted.shape == (*wanted, 3)
    assert fitted.dtype == np.uint8
    assert np.unique(fitted.reshape(-1, 3), axis=0).tolist() == [[10, 200, 90]]


def test_fine_stripes_average_out_instead_of_aliasing() -> None:
    stripes = np.zeros((1080, 1920, 3), np.uint8)
    stripes[:, ::2] = 200
    fitted = fit(stripes, 320, 320)
    assert np.abs(fitted.astype(int) - 100).max() <= 2


def test_an_edge_stays_where_it_was() -> None:
    source = np.zeros((2161, 3001, 3), np.uint8)
    source[:, 2251:] = 255  # three quarters along
    edge = (255 - fit(source, 320, 320)[100, :, 0].astype(float)).sum() / 255
    assert edge == pytest.approx(320 * 2251 / 3001, abs=0.3)


def test_a_small_picture_is_enlarged_smoothly() -> None:
    ramp = np.repeat(np.arange(0, 160, 20, dtype=np.uint8)[None, :, None], 8, axis=0)
    fitted = fit(np.repeat(ramp, 3, axis=2), 320, 320)[160, 40:280, 0].astype(int)
    assert np.abs(np.diff(fitted)).max() <= 2


def make_logo(colour: tuple[int, int, int], hidden: tuple[int, int, int]) -> tuple[np.ndarray, ...]:
    alpha = np.zeros((90, 120), np.uint8)
    alpha[30:60, 40:80] = 255
    alpha[29, 40:80] = 128
    return np.where(alpha[..., None] > 0, colour, hidden).astype(np.uint8), alpha


@pytest.mark.parametrize("colour", [(0, 0, 0), (24, 20, 18), (255, 255, 255), (240, 240, 230)])
@pytest.mark.parametrize("hidden", [(0, 0, 0), (255, 255, 255), (9, 200, 77)])
def test_what_is_seen_stands_out_from_the_ground_whatever_is_hidden(
    colour: tuple[int, int, int], hidden: tuple[int, int, int]
) -> None:
    source, alpha = make_logo(colour, hidden)
    seen = lay_on_ground(source, alpha)
    ground = seen[0, 0].astype(int)
    assert np.abs(ground - colour).max() >= 80
    assert (seen[alpha == 0] == ground).all()
    assert (seen[alpha == 255] == colour).all()
    assert np.abs(seen[29, 50] - (ground + np.array(colour)) / 2).max() <= 1


def test_a_logo_in_black_and_white_stands_out_in_both() -> None:
    source, alpha = make_logo((0, 0, 0), (0, 0, 0))
    source[:, 60:] = 255
    ground = choose_ground(source, alpha).astype(int)
    assert min(np.abs(ground).max(), np.abs(ground - 255).max()) >= 80


def test_a_picture_of_which_nothing_is_seen_is_one_plain_ground() -> None:
    source = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    seen = lay_on_ground(source, np.zeros((40, 50), np.uint8))
    assert len(np.unique(seen.reshape(-1, 3), axis=0)) == 1
