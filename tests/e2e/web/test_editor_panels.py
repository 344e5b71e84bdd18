"""The whole panel by finger, and by keyboard alone."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator

from tests.support.editor import PORTRAIT, edit, rgba, tab_to, taken
from tests.support.page import at
from tests.support.server import BentoServer

pytestmark = pytest.mark.services

PHONE = {"has_touch": True, "is_mobile": True, "viewport": {"width": 390, "height": 844}}


def tap_along(slider: Locator, share: float) -> None:
    """Put a slider where a finger taps."""
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    slider.tap(position={"x": share * box["width"], "y": box["height"] / 2})


def test_a_finger_sets_everything_that_is_no_list(
    fake_server: BentoServer, browser: Browser
) -> None:
    with at(fake_server, browser, **PHONE) as visit:
        edit(visit)
        page = visit.page
        for section in ("Edge", "Crop"):
            page.locator("summary", has_text=section).tap()
        for name, share in (("Smooth", 0.5), ("Feather", 0.1), ("Size", 0.6)):
            tap_along(page.get_by_label(name, exact=True), share)
        tap_along(page.locator("details", has_text="Feather").get_by_label("Move"), 0.75)
        page.get_by_label("White", exact=True).tap(force=True)
        tap_along(page.get_by_label("Match colours"), 0.5)
        page.get_by_label("The subject").tap()
        page.get_by_label("Square").tap()
        page.get_by_label("Follow edges").tap()
        assert not page.get_by_label("Follow edges").is_checked()
        assert int(page.get_by_label("Size", exact=True).input_value()) > 80
        made = taken(visit)
    plain = rgba(fake_server.remove(PORTRAIT).content)
    assert made.shape[0] == made.shape[1] < plain.shape[1]
    assert (made[..., 3] == 255).all()  # on white
    assert (made[0, 0, :3] == 255).all()


def test_everything_is_set_by_keyboard_alone(fake_server: BentoServer, browser: Browser) -> None:
    with at(fake_server, browser) as visit:
        edit(visit)
        for section in ("Edge", "Crop"):
            tab_to(visit, section)
            visit.press("Enter")
        for name, presses in (("Feather", 4), ("Smooth", 2)):
            tab_to(visit, name)
            visit.press(*["ArrowRight"] * presses)
        tab_to(visit, "Transparent")
        visit.press("ArrowRight")  # a radio button: the next background
        tab_to(visit, "Match colours")
        visit.press("End")
        tab_to(visit, "Shadow")
        visit.press("ArrowDown")
        tab_to(visit, "All of it")
        visit.press("ArrowRight")
        tab_to(visit, "Square")
        visit.press("Space")
        with visit.page.expect_download() as begun:
            visit.press("Control+s")
        made = np.asarray(Image.open(begun.value.path()).convert("RGBA"))
        told = {name: visit.page.get_by_label(name, exact=True) for name in ("Feather", "Smooth")}
        assert [one.input_value() for one in told.values()] == ["2", "1"]
        assert visit.page.get_by_label("Shadow").input_value() == "drop"
    assert made.shape[0] == made.shape[1]
    assert (made[..., 3] == 255).all()
    assert made[0, 0, 0] > 200  # on white, in a little shadow
