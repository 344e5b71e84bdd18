"""What is saved of an edited picture: the service's own where nothing was done, at full size."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from models.arrays import U8Array
from models.matting.strokes import Stroke
from tests.e2e.web.test_strokes import draw
from tests.support.page import at, read
from tests.support.pictures import make_portrait, save
from tests.support.server import BentoServer

pytestmark = pytest.mark.services

GROUNDS = {"black": (0, 0, 0), "white": (255, 255, 255), "magenta": (255, 0, 255)}


def rgba(data: bytes) -> U8Array:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def laid_on(cutout: U8Array, ground: tuple[int, int, int]) -> np.ndarray:
    share = cutout[..., 3:].astype(np.float64) / 255
    return cutout[..., :3] * share + np.array(ground) * (1 - share)


@pytest.fixture(scope="module")
def photo() -> bytes:
    """Twelve megapixels with an edge that is soft, and grain in it."""
    small = make_portrait(750, 1000)
    large = cv2.resize(small, (4000, 3000), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(0).normal(0, 6, large.shape)
    return save(Image.fromarray(np.clip(large + grain, 0, 255).astype(np.uint8)), "JPEG")


def test_an_edited_picture_is_the_services_wherever_nothing_was_drawn(
    fake_server: BentoServer, browser: Browser, photo: bytes
) -> None:
    stroke = Stroke("remove", ((0.5, 0.5), (0.55, 0.52)), 0.01)
    with at(fake_server, browser, viewport={"width": 1280, "height": 900}) as visit:
        visit.give(("photo.jpg", photo))
        visit.wait_done(1, within_ms=30_000)
        draw(visit, stroke)
        with visit.page.expect_download(timeout=60_000) as begun:
            visit.button("Download").click()
        _, data = read(begun.value)
    ours, theirs = rgba(data), rgba(fake_server.remove(photo).content)
    assert ours.shape == theirs.shape == (3000, 4000, 4)
    outside = np.ones(ours.shape[:2], bool)
    reach = round((0.16 + 16 / 256) * 4000)
    outside[1500 - reach : 1560 + reach, 2000 - reach : 2200 + reach] = False
    assert not np.array_equal(ours[..., 3], theirs[..., 3])  # something was drawn
    assert np.array_equal(ours[outside][:, 3], theirs[outside][:, 3])
    assert len(np.unique(theirs[outside][:, 3])) > 100  # with a soft edge
    for ground in GROUNDS.values():
        apart = np.abs(laid_on(ours, ground) - laid_on(theirs, ground))[outside]
        assert apart.max() <= 1.0


def test_looks_are_the_services_own(fake_server: BentoServer, browser: Browser) -> None:
    picture = save(Image.fromarray(make_portrait(480, 640)), "PNG")
    theirs = fake_server.remove(
        picture, feather="3", shift_edge="2", bg_color="black", color_match="0.5", shadow="drop"
    )
    with at(fake_server, browser, viewport={"width": 1280, "height": 900}) as visit:
        visit.give(("photo.png", picture))
        visit.wait_done(1)
        visit.page.locator("summary", has_text="Edge").click()
        visit.page.get_by_label("Feather").fill("3")
        visit.page.locator("details", has_text="Feather").get_by_label("Move").fill("2")
        visit.page.get_by_label("Black").check(force=True)
        visit.page.get_by_label("Match colours").fill("0.5")
        visit.page.get_by_label("Shadow").select_option("drop")
        _, data = visit.take(visit.button("Download").click)
    apart = np.abs(rgba(data).astype(int) - rgba(theirs.content))
    assert np.percentile(apart, 99.9) <= 2
    assert (
        apart.max() <= 6
    )  # where the edge was moved far out, its colours are found on another grid
