"""The page, by mouse and finger."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from tests.support.page import Visit, at, unpack
from tests.support.pictures import make_image, make_portrait, save
from tests.support.server import BentoServer

pytestmark = pytest.mark.services

TRANSFER = """async ([name, bytes, kind]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], name, {type: "image/png"}));
  if (kind === "paste") {
    dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true}));
    return;
  }
  for (const type of ["dragover", "drop"])
    document.body.dispatchEvent(
      new DragEvent(type, {dataTransfer: data, bubbles: true, cancelable: true}));
}"""


@pytest.fixture(scope="module")
def portrait() -> bytes:
    return save(Image.fromarray(make_portrait(240, 320)), "PNG")


def open_one(visit: Visit, portrait: bytes) -> None:
    visit.give(("cat.png", portrait))
    visit.wait_done(1)


def test_a_picture_is_chosen_and_its_cutout_is_the_services_own_bytes(
    fake_server: BentoServer, browser: Browser, portrait: bytes
) -> None:
    with at(fake_server, browser) as visit:
        with visit.page.expect_file_chooser() as chooser:
            visit.button("Choose pictures").click()
        assert chooser.value.is_multiple()
        open_one(visit, portrait)
        name, data = visit.take(visit.button("Download").click)
    assert name == "cat-cutout.png"
    assert data == fake_server.remove(portrait).content


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_is_dropped_or_pasted_anywhere(
    fake_server: BentoServer, browser: Browser, portrait: bytes, kind: str
) -> None:
    with at(fake_server, browser) as visit:
        visit.page.evaluate(TRANSFER, ["cat.png", list(portrait), kind])
        visit.wait_done(1)


def test_a_sample_is_there_for_who_has_no_picture(
    fake_server: BentoServer, browser: Browser
) -> None:
    with at(fake_server, browser) as visit:
        visit.button("Cat").click()
        visit.wait_done(1)
        expect(visit.page.get_by_alt_text("Cutout of cat.jpg")).to_be_visible()


def test_many_have_a_state_of_their_own_and_one_bad_one_hurts_no_other(
    fake_server: BentoServer, browser: Browser, portrait: bytes
) -> None:
    files = [(f"{i}.png", portrait) for i in range(5)]
    files[2] = ("bad.png", b"\x89PNG\r\n\x1a\n" + b"broken" * 20)
    with at(fake_server, browser) as visit:
        visit.give(*files)
        visit.wait_done(4, of=5)
        rows = visit.page.locator("li[data-stage]")
        stages = [rows.nth(i).get_attribute("data-stage") for i in range(5)]
        assert stages == ["done", "done", "failed", "done", "done"]
        visit.page.locator("[data-open]").nth(2).click()
        visit.wait_failed("CORRUPT_IMAGE")
        name, archive = visit.take(visit.button("Download all (ZIP)").click)
        visit.button("Clear the list").click()
        expect(visit.button("Choose pictures")).to_be_visible()
    assert name == "cutouts.zip"
    cutout = fake_server.remove(portrait).content
    assert unpack(archive) == {f"{i}-cutout.png": cutout for i in (0, 1, 3, 4)}


def test_the_divider_is_drawn_and_the_buttons_do_the_same(
    fake_server: BentoServer, browser: Browser, portrait: bytes
) -> None:
    with at(fake_server, browser) as visit:
        open_one(visit, portrait)
        visit.button("Half and half").click()
        assert visit.split() == 50
        stage = visit.divider().locator("..").bounding_box()
        assert stage is not None
        handle = (stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] - 38)
        visit.page.mouse.move(*handle)
        visit.page.mouse.down()
        visit.page.mouse.move(handle[0] + stage["width"] / 4, handle[1], steps=4)
        visit.page.mouse.up()
        assert 70 <= visit.split() <= 80
        visit.button("Original").click()
        assert visit.split() == 100


def test_the_wheel_zooms_and_dragging_moves(
    fake_server: BentoServer, browser: Browser, portrait: bytes
) -> None:
    with at(fake_server, browser) as visit:
        open_one(visit, portrait)
        image = visit.page.get_by_alt_text("Cutout of cat.png")
        before = image.bounding_box()
        assert before is not None
        middle = (before["x"] + before["width"] / 2, before["y"] + before["height"] / 2)
        visit.page.mouse.move(*middle)
        visit.page.mouse.wheel(0, -400)
        visit.page.wait_for_function(
            f"() => document.querySelector('img[alt^=Cutout]').width > {before['width'] * 1.5}"
        )
        zoomed = image.bounding_box()
        assert zoomed is not None
        visit.page.mouse.down()
        visit.page.mouse.move(middle[0] + 60, middle[1] + 30, steps=3)
        visit.page.mouse.up()
        moved = image.bounding_box()
        assert moved is not None
        assert moved["x"] - zoomed["x"] == pytest.approx(60, abs=2)
        assert moved["y"] - zoomed["y"] == pytest.approx(30, abs=2)
        visit.button("Fit").click()
        assert image.bounding_box() == before


@pytest.mark.parametrize(
    ("label", "top", "bottom"),
    [
        ("White", (255, 255, 255), (255, 255, 255)),
        ("Black", (0, 0, 0), (0, 0, 0)),
        ("Colour", (59, 91, 219), (59, 91, 219)),
        ("Grey gradient", (250, 250, 250), (185, 190, 197)),
    ],
)
def test_a_background_is_seen_and_taken_home(
    fake_server: BentoServer,
    browser: Browser,
    portrait: bytes,
    label: str,
    top: tuple[int, ...],
    bottom: tuple[int, ...],
) -> None:
    with at(fake_server, browser) as visit:
        open_one(visit, portrait)
        visit.page.get_by_label(label, exact=True).check(force=True)
        _, laid = visit.take(visit.button("Download").click)
        _, plain = visit.take(visit.button("Download transparent").click)
    cutout = fake_server.remove(portrait).content
    assert plain == cutout
    found = np.asarray(Image.open(io.BytesIO(laid)).convert("RGB"), np.int16)
    assert np.abs(found[0, 0] - top).max() <= 2
    assert np.abs(found[-1, -1] - bottom).max() <= 2
    middle = np.asarray(Image.open(io.BytesIO(cutout)).convert("RGBA"), np.int16)[120, 160]
    assert middle[3] == 255
    assert np.abs(found[120, 160] - middle[:3]).max() <= 1


def test_the_result_is_copied(fake_server: BentoServer, browser: Browser, portrait: bytes) -> None:
    allowed = {"permissions": ["clipboard-read", "clipboard-write"]}
    with at(fake_server, browser, **allowed) as visit:
        open_one(visit, portrait)
        visit.button("Copy").click()
        expect(visit.page.locator("[data-said]")).to_have_text("Copied")
        size = visit.page.evaluate(
            """async () => {
              const [item] = await navigator.clipboard.read();
              const map = await createImageBitmap(await item.getType("image/png"));
              return [map.width, map.height];
            }"""
        )
    assert size == [320, 240]


def test_what_ran_and_where_the_time_went_is_told(
    fake_server: BentoServer, browser: Browser, portrait: bytes
) -> None:
    with at(fake_server, browser) as visit:
        open_one(visit, portrait)
        facts = visit.page.locator("[data-facts]")
        expect(facts).to_contain_text("u2netp on fake f32")
        expect(facts).not_to_contain_text("…")
        expect(visit.page.locator("header")).to_contain_text("u2netp on fake f32 (cpu)")


def test_the_appearance_is_chosen_and_kept(fake_server: BentoServer, browser: Browser) -> None:
    ground = "() => getComputedStyle(document.body).backgroundColor"
    with at(fake_server, browser, color_scheme="light") as visit:
        light = visit.page.evaluate(ground)
        visit.button("Settings").click()
        visit.page.get_by_label("Dark").check()
        visit.button("Close").click()
        dark = visit.page.evaluate(ground)
        assert dark != light
        visit.page.reload()
        visit.page.wait_for_selector("header")
        assert visit.page.evaluate(ground) == dark


def test_a_phone_shows_all_of_it_without_scrolling_sideways(
    fake_server: BentoServer, browser: Browser, portrait: bytes
) -> None:
    phone = {"viewport": {"width": 320, "height": 640}, "has_touch": True, "is_mobile": True}
    with at(fake_server, browser, **phone) as visit:
        visit.give(*[(f"{i} with a long name of its own.png", portrait) for i in range(3)])
        visit.wait_done(3)
        for name in ("Download", "Half and half", "Fit", "Help and keys"):
            visit.button(name).scroll_into_view_if_needed()
            visit.button(name).tap()
            visit.press("Escape")
        width = visit.page.evaluate("document.documentElement.scrollWidth")
    assert width <= 320


def test_an_empty_scene_says_so(fake_server: BentoServer, browser: Browser) -> None:
    empty = save(Image.new("RGB", (200, 150), (200, 0, 90)), "PNG")
    with at(fake_server, browser) as visit:
        visit.give(("wall.png", empty))
        visit.wait_done(1)
        expect(
            visit.page.get_by_text("No subject was found in this picture.").first
        ).to_be_visible()


def test_a_file_the_browser_cannot_show_is_served_all_the_same(
    fake_server: BentoServer, browser: Browser
) -> None:
    with at(fake_server, browser) as visit:
        visit.give(("scan.tif", make_image("TIFF")))
        visit.wait_done(1)
        visit.button("Original").click()
        expect(visit.page.get_by_text("This browser cannot show this kind")).to_be_visible()


def test_the_model_is_chosen_where_there_are_several(
    both: BentoServer, browser: Browser, portrait: bytes
) -> None:
    with at(both, browser) as visit:
        open_one(visit, portrait)
        facts = visit.page.locator("[data-facts]")
        expect(facts).to_contain_text("u2net on")
        visit.page.get_by_label("Model").select_option("u2netp")
        visit.give(("again.png", portrait))
        visit.wait_done(2)
        visit.page.locator("[data-open]").nth(1).click()
        expect(facts).to_contain_text("u2netp on")
