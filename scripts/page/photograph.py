"""Pictures of the page's main states, for its documentation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from scripts.measuring.processes import REPOSITORY
from scripts.page.visit import new_tab, wait_done

_PHOTOS = REPOSITORY / "examples" / "photos"
_DESK = {"viewport": {"width": 1200, "height": 720}}
_PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 1}


def photograph(browser: Browser, root: str, folder: Path) -> None:
    """Write `page-*.jpg` into a folder, one for each main state."""
    states: dict[str, tuple[dict[str, Any], Callable[[Page], None]]] = {
        "empty": (_DESK, lambda tab: tab.wait_for_timeout(500)),
        "many": (_DESK, _many),
        "open": (_DESK, _half),
        "editor": ({"viewport": {"width": 1200, "height": 900}}, _editor),
        "error": (_DESK, _error),
        "dark": ({**_DESK, "color_scheme": "dark"}, _half),
        "phone": (_PHONE, _half),
        "down": (_DESK, _down),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, (context, arrange) in states.items():
        with new_tab(browser, root, **context) as tab:
            arrange(tab)
            tab.screenshot(path=folder / f"page-{name}.jpg", type="jpeg", quality=70)


def _give(tab: Page, *names: str) -> None:
    tab.set_input_files("input[type=file]", [_PHOTOS / name for name in names])


def _many(tab: Page) -> None:
    _give(tab, "chelsea.jpg", "astronaut.jpg", "coffee.jpg", "chelsea.jpg", "coffee.jpg")
    tab.wait_for_selector("[data-stage=working]")
    tab.wait_for_selector("[data-stage=done]")


def _half(tab: Page) -> None:
    _give(tab, "astronaut.jpg", "chelsea.jpg", "coffee.jpg")
    wait_done(tab, 3)
    tab.get_by_role("button", name="Half and half").click()
    tab.get_by_label("Warm gradient").check(force=True)
    tab.mouse.move(0, 0)
    tab.evaluate("scrollTo(0, 0)")
    tab.wait_for_timeout(500)


def _editor(tab: Page) -> None:
    _give(tab, "chelsea.jpg", "astronaut.jpg")
    wait_done(tab, 2)
    tab.get_by_role("button", name="astronaut.jpg").first.click()
    tab.get_by_role("button", name="Remove", exact=True).click()
    tab.locator("img[alt^='Cutout of astronaut']").wait_for()
    box = tab.locator("img[alt^='Original of astronaut']").bounding_box()
    if box is None:
        return
    tab.mouse.move(box["x"] + 0.70 * box["width"], box["y"] + 0.86 * box["height"])
    tab.mouse.down()
    tab.mouse.move(box["x"] + 0.83 * box["width"], box["y"] + 0.80 * box["height"], steps=12)


def _error(tab: Page) -> None:
    bad = (_PHOTOS / "coffee.jpg").read_bytes()[:20_000]
    tab.set_input_files(
        "input[type=file]", {"name": "cut off.jpg", "mimeType": "image/jpeg", "buffer": bad}
    )
    tab.wait_for_selector("[data-code]")


def _down(tab: Page) -> None:
    _give(tab, "chelsea.jpg")
    wait_done(tab, 1)
    tab.context.set_offline(True)
    tab.evaluate("dispatchEvent(new Event('online'))")
    tab.wait_for_selector("[data-banner=down]")
