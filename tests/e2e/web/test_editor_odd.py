"""The editor with what is hostile or odd, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from tests.support.browser import LAN_NAME
from tests.support.editor import (
    BESIDE,
    ON,
    PORTRAIT,
    Fingers,
    alpha_at,
    draw,
    edit,
    fetch,
    field,
    paint,
    place,
    slide,
    spot,
    strokes,
    taken,
    unfold,
)
from tests.support.page import Visit, at, visit_page
from tests.support.pictures import make_portrait, save, with_orientation
from tests.support.server import NO_LIMITS, BentoServer, Serve

pytestmark = pytest.mark.services

NO_SOURCE = "This browser cannot read the original, so nothing of it can be brought back."
AGAIN = "Look again at what is in view"
_LEFT = """() => {
  const [made, gone] = [new Set(), URL.revokeObjectURL];
  const make = URL.createObjectURL;
  URL.createObjectURL = (what) => { const url = make(what); made.add(url); return url; };
  URL.revokeObjectURL = (url) => { made.delete(url); gone(url); };
  globalThis.urlsLeft = () => made.size;
}"""


@pytest.fixture
def visit(fake_server: BentoServer, browser: Browser) -> Iterator[Visit]:
    with at(fake_server, browser) as opened:
        edit(opened)
        yield opened


def zoom_in(visit: Visit, times: int = 8) -> None:
    visit.press(*["+"] * times)


def test_without_a_source_the_brush_removes_and_refuses_to_keep(
    fake_server: BentoServer, browser: Browser
) -> None:
    scan = save(Image.fromarray(make_portrait(240, 320)), "TIFF")
    with at(fake_server, browser) as visit:
        edit(visit, scan, "scan.tif")
        visit.press("b")
        with strokes(visit, 0):
            draw(visit, BESIDE)
            expect(visit.page.locator("[data-toast]")).to_have_text(NO_SOURCE)
        visit.press("e")
        paint(visit, ON)
        assert alpha_at(taken(visit), ON, BESIDE) == [0, 0]
        zoom_in(visit)
        visit.button(AGAIN).click()
        expect(visit.page.locator("[data-toast]")).not_to_have_text(NO_SOURCE)
        assert visit.page.locator("[data-toast]").inner_text() != ""


def test_a_picture_that_is_taken_off_in_mid_stroke_comes_back_without_it(visit: Visit) -> None:
    visit.give(("other.png", PORTRAIT))
    visit.wait_done(2)
    visit.press("e")
    visit.page.mouse.move(*spot(visit, ON))
    visit.page.mouse.down()
    visit.page.mouse.move(*spot(visit, (0.55, 0.5)))
    visit.press("Delete")
    visit.page.mouse.up()
    expect(visit.page.locator("h2").first).to_have_text("other.png")
    assert alpha_at(taken(visit), ON) == [255]
    visit.page.locator("[data-toast]").get_by_role("button", name="Undo").click()
    expect(visit.page.locator("h2").first).to_have_text("cat.png")
    assert alpha_at(taken(visit), ON) == [255]
    paint(visit, ON, hold=["Shift"])
    assert alpha_at(taken(visit), ON) == [0]


def test_strokes_survive_tools_backgrounds_and_another_picture(visit: Visit) -> None:
    visit.press("e")
    paint(visit, ON, hold=["Shift"])
    edited_once = fetch(visit)
    visit.give(("other.png", PORTRAIT))
    visit.wait_done(2)
    for key in ("b", "x", "Escape", "g", "g", "n"):
        visit.press(key)
    expect(visit.page.locator("h2").first).to_have_text("other.png")
    visit.press("e")
    paint(visit, (0.5, 0.35), hold=["Shift"])
    assert alpha_at(taken(visit), ON, (0.5, 0.35)) == [255, 0]
    visit.press("p")
    expect(visit.page.locator("h2").first).to_have_text("cat.png")
    unfold(visit, "Crop", "Edge", "File")
    field(visit, "The subject").check()
    field(visit, "All of it").check()
    field(visit, "Transparent").check(force=True)
    assert fetch(visit) == edited_once


def test_a_second_picture_that_is_opened_while_a_stroke_is_made_stays_as_it_is(
    visit: Visit,
) -> None:
    visit.give(("other.png", PORTRAIT))
    visit.wait_done(2)
    visit.press("e")
    with strokes(visit):
        draw(visit, ON)
        visit.press("n")
    assert alpha_at(taken(visit), ON) == [255]
    visit.press("p")
    assert alpha_at(taken(visit), ON) == [0]


def test_a_very_tall_picture_is_edited_where_the_pointer_is(
    fake_server: BentoServer, browser: Browser
) -> None:
    tall = np.full((4000, 80, 3), (90, 0, 60), np.uint8)
    tall[1800:2200] = (200, 255, 180)
    with at(fake_server, browser) as visit:
        edit(visit, save(Image.fromarray(tall), "PNG"))
        visit.press("1", "e")
        slide(visit, "Size", "Home", *["ArrowRight"] * 26)
        before = place(visit)
        paint(visit, ON, hold=["Shift"])
        assert place(visit) == before
        alpha = taken(visit)[..., 3]
    assert alpha.shape == (4000, 80)
    assert alpha[2000, 40] == 0
    assert alpha[[1900, 2100], 40].tolist() == [255, 255]


def test_zoom_stays_when_a_picture_of_odd_sides_is_first_edited(
    fake_server: BentoServer, browser: Browser
) -> None:
    with at(fake_server, browser) as visit:
        edit(visit, save(Image.fromarray(make_portrait(1801, 2400)), "JPEG"))
        zoom_in(visit, 3)
        before = place(visit)
        visit.press("e")
        paint(visit, ON, hold=["Shift"])
        expect(visit.page.locator("canvas[role=img]")).to_be_visible()
        assert place(visit) == before


def test_a_transparent_source_becomes_nowhere_more_opaque(
    fake_server: BentoServer, browser: Browser
) -> None:
    given = np.dstack([make_portrait(240, 320), np.full((240, 320), 255, np.uint8)])
    given[:, :100, 3] = 0
    given[:, 100:150, 3] = 90
    with at(fake_server, browser) as visit:
        edit(visit, save(Image.fromarray(given, "RGBA"), "PNG"))
        visit.press("b")
        slide(visit, "Size", "End")
        paint(visit, (0.1, 0.5), (0.9, 0.5), hold=["Shift"])
        unfold(visit, "Edge")
        slide(visit, "Move", "End")
        made = taken(visit)[..., 3].astype(int)
    assert (made <= given[..., 3].astype(int) + 1).all()
    assert made[120, 280] == 255


def test_a_turned_jpeg_gets_back_its_pixels_where_they_are(
    fake_server: BentoServer, browser: Browser
) -> None:
    upright = make_portrait(240, 320).copy()
    upright[20:60, 10:60] = (250, 40, 20)  # alpha about 40 there, in one corner alone
    exif = with_orientation(6)  # to be turned clockwise
    turned = save(Image.fromarray(np.rot90(upright)), "JPEG", quality=95, exif=exif)
    with at(fake_server, browser) as visit:
        edit(visit, turned, "phone.jpg")
        visit.press("b")
        paint(visit, (0.11, 0.17), hold=["Shift"])
        made = taken(visit)
    assert made.shape == (240, 320, 4)
    assert made[40, 35, 3] == 255
    assert np.abs(made[40, 35, :3].astype(int) - (250, 40, 20)).max() <= 8


def test_all_of_it_works_under_a_plain_http_name(serve: Serve, browser: Browser) -> None:
    with (
        serve(BIREFNET_ALLOWED_HOSTS=LAN_NAME, **NO_LIMITS) as server,
        visit_page(browser, f"http://{LAN_NAME}:{server.port}/") as visit,
    ):
        edit(visit)
        visit.press("e")
        paint(visit, ON)
        unfold(visit, "Crop")
        field(visit, "The picture itself, blurred").check(force=True)
        field(visit, "The subject").check()
        assert (taken(visit)[..., 3] == 255).all()
        assert visit.complaints == []


@pytest.mark.parametrize("width", [320, 390, 800])
def test_on_a_small_screen_nothing_overlaps_or_scrolls_sideways(
    fake_server: BentoServer, browser: Browser, width: int
) -> None:
    phone = {"viewport": {"width": width, "height": 700}, "has_touch": True, "is_mobile": True}
    with at(fake_server, browser, **phone) as visit:
        edit(visit)
        visit.button("Keep").tap()
        field(visit, "Another picture").check(force=True)
        visit.page.get_by_role("group", name="From the library").get_by_role(
            "button"
        ).first.wait_for()
        unfold(visit, "File", "Edge", "Crop")
        field(visit, "By hand").check()
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        visit.page.evaluate(_LET_GO)  # it stays in sight over the panels, as it should
        assert visit.page.evaluate(_OVERLAPS) == []
        finger = Fingers(visit)
        finger.drag(visit.button("Bottom right corner"), -40, -40)
        assert int(field(visit, "Width").input_value()) < 320


_LET_GO = "document.querySelector('[data-tool]').parentElement.style.position = 'static'"
_OVERLAPS = """() => {
  const shown = [...document.querySelectorAll("main button, main select, main input, main label")]
    .filter((one) => one.checkVisibility({visibilityProperty: true})
      && !one.closest("[data-tool]") && one.type !== "file" && !one.closest("ul"));
  const boxes = shown.map((one) => one.getBoundingClientRect());
  const found = [];
  for (let i = 0; i < shown.length; i += 1)
    for (let j = i + 1; j < shown.length; j += 1) {
      const [a, b] = [boxes[i], boxes[j]];
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (across > 1 && down > 1 && !shown[i].contains(shown[j]) && !shown[j].contains(shown[i]))
        found.push(`${shown[i].outerHTML.slice(0, 90)} | ${shown[j].outerHTML.slice(0, 90)}`);
    }
  return found;
}"""


def test_nothing_is_left_once_the_list_is_cleared(
    fake_server: BentoServer, browser: Browser
) -> None:
    with at(fake_server, browser) as visit:
        visit.page.add_init_script(f"({_LEFT})()")
        visit.page.clock.install()
        visit.page.reload()
        visit.page.wait_for_selector("html[data-theme]", state="attached")
        edit(visit)
        visit.give(("other.png", PORTRAIT))
        visit.wait_done(2)
        visit.press("e")
        paint(visit, ON)
        field(visit, "Another picture").check(force=True)
        template = visit.page.get_by_role("group", name="From the library").get_by_role("button")
        template.first.click()
        expect(template.first).to_have_attribute("aria-pressed", "true")
        taken(visit)
        assert len(visit.page.workers) == 1
        assert visit.page.evaluate("urlsLeft()") > 4
        visit.button("Clear the list").click()
        visit.page.clock.run_for(61_000)
        visit.page.wait_for_function("() => urlsLeft() === 0")
        assert visit.page.workers == []
