"""The same, by keyboard alone: no test here touches the mouse."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from tests.support.page import Visit, at, unpack
from tests.support.pictures import make_portrait, save
from tests.support.server import BentoServer, slow_picture

pytestmark = pytest.mark.services

PORTRAIT = save(Image.fromarray(make_portrait(240, 320)), "PNG")


@pytest.fixture
def visit(fake_server: BentoServer, browser: Browser) -> Iterator[Visit]:
    allowed = {"permissions": ["clipboard-read", "clipboard-write"]}
    with at(fake_server, browser, **allowed) as opened:
        yield opened


@pytest.fixture
def three(visit: Visit) -> Visit:
    """A visit with three pictures, chosen by a key."""
    with visit.page.expect_file_chooser() as chooser:
        visit.press("Control+o")
    names = ("a.png", "b.png", "c.png")
    chooser.value.set_files(
        [{"name": name, "mimeType": "image/png", "buffer": PORTRAIT} for name in names]
    )
    visit.wait_done(3)
    return visit


def opened(visit: Visit) -> str:
    return visit.page.locator("h2").first.inner_text()


def tab_to(visit: Visit, name: str, most: int = 40) -> None:
    """Press Tab until an element of this name has the focus."""
    for _ in range(most):
        visit.press("Tab")
        label = visit.page.evaluate(
            "() => document.activeElement.ariaLabel || document.activeElement.innerText"
        )
        if label and label.strip() == name:
            return
    pytest.fail(f"Tab never comes to {name}")


def test_tab_comes_to_the_button_that_chooses(visit: Visit) -> None:
    tab_to(visit, "Choose pictures")
    with visit.page.expect_file_chooser() as chooser:
        visit.press("Enter")
    assert chooser.value.is_multiple()


def test_paste_is_the_browsers_own_key(visit: Visit) -> None:
    visit.page.evaluate(
        """async (bytes) => {
          const blob = new Blob([new Uint8Array(bytes)], {type: "image/png"});
          await navigator.clipboard.write([new ClipboardItem({"image/png": blob})]);
        }""",
        list(PORTRAIT),
    )
    visit.press("Control+v")
    visit.wait_done(1)


def test_next_previous_and_arrows_in_the_list(three: Visit) -> None:
    assert opened(three) == "a.png"
    three.press("n", "n")
    assert opened(three) == "c.png"
    three.press("p")
    assert opened(three) == "b.png"
    three.page.locator("[data-open][aria-current=true]").focus()
    three.press("ArrowDown")
    assert opened(three) == "c.png"
    three.press("Delete")
    three.wait_done(2)
    assert opened(three) == "b.png"


def test_compare_hold_and_the_divider(three: Visit) -> None:
    three.press("c")
    assert three.split() == 50
    tab_to(three, "Where the original ends and the cutout begins")
    three.press("ArrowRight", "ArrowRight", "ArrowUp")
    assert three.split() == 53
    three.press("Home")
    assert three.split() == 0
    three.press("End")
    assert three.split() == 100
    three.press("c")
    assert three.split() == 0
    three.page.keyboard.down("o")
    expect(three.divider()).to_have_value("100")
    three.page.keyboard.up("o")
    expect(three.divider()).to_have_value("0")


def test_zoom_and_pan(three: Visit) -> None:
    image = three.page.get_by_alt_text("Cutout of a.png")
    before = image.bounding_box()
    three.press("+", "+")
    larger = image.bounding_box()
    assert before is not None
    assert larger is not None
    assert larger["width"] == pytest.approx(before["width"] * 1.25**2, rel=0.01)
    three.press("Alt+ArrowRight")
    moved = image.bounding_box()
    assert moved is not None
    assert larger["x"] - moved["x"] == pytest.approx(40, abs=1)
    three.press("1")
    full = image.bounding_box()
    assert full is not None
    assert full["width"] == pytest.approx(320, abs=1)
    three.press("-", "0")
    assert image.bounding_box() == before


def test_backgrounds_download_zip_and_copy(three: Visit, fake_server: BentoServer) -> None:
    cutout = fake_server.remove(PORTRAIT).content
    assert three.take(lambda: three.press("Control+s")) == ("a-cutout.png", cutout)
    _, archive = three.take(lambda: three.press("Control+Shift+s"))
    assert unpack(archive) == {f"{stem}-cutout.png": cutout for stem in "abc"}
    three.press("Control+c")
    expect(three.page.locator("[data-said]")).to_have_text("Copied")
    three.press("g")
    expect(three.page.get_by_label("White", exact=True)).to_be_checked()
    _, laid = three.take(lambda: three.press("Control+s"))
    assert laid != cutout


def test_the_list_of_keys_opens_closes_and_gives_the_focus_back(visit: Visit) -> None:
    tab_to(visit, "Help and keys")
    visit.press("Enter")
    dialog = visit.page.get_by_role("dialog", name="Help and keys")
    expect(dialog).to_be_visible()
    visit.press("Escape")
    expect(dialog).to_be_hidden()
    assert visit.page.evaluate("document.activeElement.innerText") == "Help and keys"
    visit.press("?")
    expect(dialog).to_be_visible()


def test_single_keys_can_be_switched_off_and_stay_off(three: Visit) -> None:
    three.press("?")
    three.page.get_by_label("Use single-key shortcuts").focus()
    three.press("Space", "Escape")
    three.press("n")
    assert opened(three) == "a.png"
    three.page.reload()
    three.page.wait_for_selector("header")
    three.press("?")
    expect(three.page.get_by_role("dialog")).to_have_count(0)


def test_letters_in_a_field_are_letters(three: Visit) -> None:
    tab_to(three, "Settings")
    three.press("Enter")
    three.page.get_by_label("API key").focus()
    three.page.keyboard.type("npcog?")
    expect(three.page.get_by_label("API key")).to_have_value("npcog?")
    three.press("Escape")
    assert opened(three) == "a.png"


def test_a_removal_is_cancelled_tried_again_and_a_bad_one_taken_off(visit: Visit) -> None:
    visit.give(("slow.png", slow_picture(3)))
    visit.page.wait_for_selector("[data-stage=working]")
    visit.press("Escape")
    visit.wait_failed("CANCELLED")
    tab_to(visit, "Try again")
    visit.press("Enter")
    visit.wait_done(1)
    visit.give(("bad.txt", b"no picture"))
    visit.press("n")
    visit.wait_failed("INVALID_FORMAT")
    tab_to(visit, "Choose another picture")
    with visit.page.expect_file_chooser():
        visit.press("Enter")
    visit.press("Delete")
    visit.wait_done(1)
    tab_to(visit, "Clear the list")
    visit.press("Enter")
    expect(visit.button("Choose pictures")).to_be_visible()


def test_a_picture_is_made_to_fit(visit: Visit) -> None:
    tall = Image.new("RGB", (1000, 8000), (200, 255, 180))
    visit.give(("tall.png", save(tall, "PNG")))
    visit.wait_failed("RESOLUTION_TOO_LARGE")
    tab_to(visit, "Make it fit (as a JPEG)")
    visit.press("Space")
    visit.wait_done(1, within_ms=30_000)


def test_a_colour_an_appearance_and_a_key_are_chosen(three: Visit) -> None:
    three.page.locator("[data-open][aria-current=true]").focus()
    tab_to(three, "Transparent")
    three.press("ArrowRight", "ArrowRight", "ArrowRight")
    expect(three.page.get_by_label("Colour", exact=True)).to_be_checked()
    tab_to(three, "Settings")
    three.press("Enter", "ArrowDown", "ArrowDown")
    assert three.page.evaluate("document.documentElement.dataset.theme") == "dark"
    three.press("Tab")
    three.page.keyboard.type("some-key")
    three.press("Enter")
    expect(three.page.get_by_role("dialog")).to_have_count(0)


def test_what_is_taken_off_comes_back_and_the_focus_stays_on_the_page(three: Visit) -> None:
    three.page.locator("[data-open][aria-current=true]").focus()
    three.press("Delete")
    three.wait_done(2)
    assert three.page.evaluate("document.activeElement.dataset.open") == "2"
    tab_to(three, "Undo", most=80)
    three.press("Enter")
    three.wait_done(3)
    assert opened(three) == "a.png"
    tab_to(three, "Clear the list", most=80)
    three.press("Enter")
    expect(three.button("Choose pictures")).to_be_focused()
