"""No rule of axe is broken in any state of the page, light or dark, wide or narrow."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser

from tests.support.editor import ON, edit, paint, unfold
from tests.support.page import Visit, at
from tests.support.pictures import make_portrait, save
from tests.support.server import BentoServer, Serve, slow_picture

pytestmark = pytest.mark.services

PORTRAIT = save(Image.fromarray(make_portrait(240, 320)), "PNG")


def welcome(visit: Visit) -> None:
    """Nothing yet."""


def done(visit: Visit) -> None:
    visit.give(("a.png", PORTRAIT), ("b.png", PORTRAIT))
    visit.wait_done(2)
    visit.page.wait_for_selector("img[alt^=Cutout]")


def half(visit: Visit) -> None:
    done(visit)
    visit.press("c")


def with_background(visit: Visit) -> None:
    done(visit)
    visit.page.get_by_label("Colour", exact=True).check(force=True)


def brush_in_the_hand(visit: Visit) -> None:
    edit(visit)
    visit.press("e")
    paint(visit, ON)


def panels_open(visit: Visit) -> None:
    done(visit)
    unfold(visit, "File", "Edge", "Crop")
    visit.page.get_by_label("Format").select_option("JPEG")
    visit.page.get_by_label("Shadow").select_option("Soft")
    visit.page.get_by_label("The subject").check()


def crop_frame(visit: Visit) -> None:
    done(visit)
    unfold(visit, "Crop")
    visit.page.get_by_label("By hand").check()
    visit.button("Move the frame").wait_for()


def templates(visit: Visit) -> None:
    done(visit)
    visit.page.get_by_label("Another picture").check(force=True)
    visit.page.get_by_role("group", name="From the library").get_by_role("button").first.wait_for()


def working(visit: Visit) -> None:
    visit.give(("slow.png", slow_picture(4)))
    visit.page.wait_for_selector("[data-stage=working]")


def failed(visit: Visit) -> None:
    visit.give(("a.txt", b"no picture at all"))
    visit.wait_failed("INVALID_FORMAT")


def help_open(visit: Visit) -> None:
    visit.press("?")


def settings_open(visit: Visit) -> None:
    visit.button("Settings").click()


STATES = [
    *(welcome, done, half, with_background, brush_in_the_hand, panels_open, crop_frame, templates),
    *(working, failed, help_open, settings_open),
]
WAYS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}},
}


def violations(visit: Visit) -> list[tuple[str, list[str]]]:
    """What is wrong, with where."""
    found = Axe().run(visit.page).response["violations"]
    return [(rule["id"], [node["html"][:200] for node in rule["nodes"]]) for rule in found]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_no_rule_is_broken(
    fake_server: BentoServer, browser: Browser, state: Callable[[Visit], None], way: str
) -> None:
    with at(fake_server, browser, reduced_motion="reduce", **WAYS[way]) as visit:
        state(visit)
        assert violations(visit) == []


@pytest.mark.parametrize("way", WAYS)
def test_no_rule_is_broken_while_degraded(serve: Serve, browser: Browser, way: str) -> None:
    with serve(BIREFNET_DEVICE="cuda") as server, at(server, browser, **WAYS[way]) as visit:
        visit.page.wait_for_selector("[data-banner=degraded]")
        assert violations(visit) == []
        server.stop()
        visit.page.evaluate("dispatchEvent(new Event('online'))")
        visit.page.wait_for_selector("[data-banner=down]")
        assert violations(visit) == []


def test_who_cannot_see_is_told(fake_server: BentoServer, browser: Browser) -> None:
    with at(fake_server, browser) as visit:
        said: list[str] = []
        visit.page.expose_function("heard", lambda text: said.append(text))
        visit.page.evaluate(
            """() => new MutationObserver(() =>
                 heard(document.querySelector("[data-said]").textContent)
               ).observe(document.querySelector("[data-said]"),
                         {childList: true, characterData: true, subtree: true})"""
        )
        visit.give(("a.png", PORTRAIT), ("bad.txt", b"x" * 100))
        visit.wait_done(1, of=2)
        visit.page.wait_for_timeout(2500)
    assert said[0] == "2 pictures added"
    assert "1 picture is done" in said
    assert any(text.startswith("bad.txt: The service does not take") for text in said)
