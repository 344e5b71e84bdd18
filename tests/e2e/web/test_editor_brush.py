"""The brush by mouse, finger, pen and keys; what comes of it is what is downloaded."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from models.arrays import U8Array
from tests.support.editor import (
    BESIDE,
    ON,
    Fingers,
    alpha_at,
    edit,
    fetch,
    field,
    paint,
    pen,
    place,
    rgba,
    spot,
    strokes,
    tab_to,
    taken,
    unfold,
)
from tests.support.page import Visit, at
from tests.support.pictures import make_portrait, save
from tests.support.server import BentoServer

pytestmark = pytest.mark.services

TOUCH = {"has_touch": True, "viewport": {"width": 1200, "height": 800}}


@pytest.fixture
def visit(fake_server: BentoServer, browser: Browser) -> Iterator[Visit]:
    with at(fake_server, browser, **TOUCH) as opened:
        edit(opened)
        yield opened


def two_discs() -> bytes:
    """A second disc beside the first, which `FakeEngine` does not keep."""
    pixels = make_portrait(240, 320).copy()
    y, x = np.mgrid[0:240, 0:320]
    pixels[(x - 40) ** 2 + (y - 120) ** 2 < 25**2] = (250, 0, 200)
    return save(Image.fromarray(pixels), "PNG")


def test_the_mouse_keeps_and_removes_what_is_under_it(visit: Visit) -> None:
    field(visit, "Follow edges").uncheck()
    visit.button("Keep").click()
    paint(visit, (0.1, 0.5), (0.15, 0.5))
    visit.button("Remove").click()
    paint(visit, (0.5, 0.5), (0.55, 0.5))
    pixels = taken(visit)
    assert alpha_at(pixels, BESIDE, ON, (0.5, 0.3), (0.15, 0.2)) == [255, 0, 255, 0]
    assert pixels[120, 48, :3].tolist() == [90, 0, 60]


def test_a_stroke_follows_edges_unless_shift_is_held(
    fake_server: BentoServer, browser: Browser
) -> None:
    line, rim, ground = ((0.07, 0.5), (0.18, 0.5)), (0.125, 0.42), (0.03, 0.2)
    with at(fake_server, browser) as visit:
        edit(visit, two_discs())
        visit.press("b")
        paint(visit, *line, hold=["Shift"])
        assert alpha_at(taken(visit), BESIDE, rim, ground, ON) == [255, 0, 0, 255]
        visit.press("Control+z")
        paint(visit, *line)
        assert alpha_at(taken(visit), BESIDE, rim, ground, ON) == [255, 255, 0, 255]
        paint(visit, *line, hold=["Alt"])
        assert alpha_at(taken(visit), BESIDE, rim, ground, ON) == [0, 0, 0, 255]


def test_a_finger_paints_two_move_and_zoom_and_leave_no_dab(visit: Visit) -> None:
    finger = Fingers(visit)
    visit.button("Remove").tap()
    field(visit, "Follow edges").tap()
    with strokes(visit):
        finger.draw((0.5, 0.5), (0.55, 0.5))
    mask = fetch(visit)
    assert alpha_at(taken(visit), ON, (0.5, 0.3)) == [0, 255]
    before = place(visit)
    still = spot(visit, (0.4, 0.4))
    with strokes(visit, 0):
        finger.down(0, still)
        finger.move({0: (still[0] + 3, still[1])}, steps=1)
        finger.down(1, (still[0] + 100, still[1]))
        finger.move({1: (still[0] + 200, still[1])})
        finger.up()
    after = place(visit)
    assert after[2] == pytest.approx(2 * before[2], rel=0.05)
    assert spot(visit, (0.4, 0.4)) == pytest.approx(still, abs=6)  # under the finger that rests
    assert fetch(visit) == mask
    with strokes(visit, 0):
        finger.down(0, (still[0], still[1]))
        finger.down(1, (still[0] + 100, still[1]))
        finger.move({0: (still[0], still[1] + 60), 1: (still[0] + 100, still[1] + 60)})
        finger.up(1)
        finger.move({0: (still[0] + 50, still[1] + 60)})
        finger.up(0)
    moved = place(visit)
    assert moved[2] == pytest.approx(after[2], rel=0.05)
    assert (moved[0] - after[0], moved[1] - after[1]) == pytest.approx((50, 60), abs=6)
    assert fetch(visit) == mask


def test_a_touch_that_the_system_takes_away_is_no_stroke(visit: Visit) -> None:
    finger = Fingers(visit)
    visit.button("Remove").tap()
    with strokes(visit, 0):
        finger.down(0, spot(visit, ON))
        finger.cancel()
    expect(visit.button("Undo")).to_be_disabled()


def test_a_pen_draws_as_wide_as_it_is_pressed(visit: Visit) -> None:
    field(visit, "Follow edges").uncheck()
    visit.button("Keep").click()
    widths = []
    for pressure in (0.3, 1.0):
        with strokes(visit):
            pen(visit, pressure, (0.05, 0.5), (0.15, 0.5))
        widths.append(int((taken(visit)[:, 32, 3] >= 128).sum()))
        visit.press("Control+z")
    scale = place(visit)[2] / 320
    half = 0.9 * 32 / scale  # the rim is soft
    assert widths == pytest.approx([0.3 * half, half], abs=1.5)


def test_keys_alone_keep_remove_and_draw_a_line(fake_server: BentoServer, browser: Browser) -> None:
    with at(fake_server, browser) as visit:
        edit(visit)
        tab_to(visit, "Follow edges")
        visit.press("Space")
        visit.press("e", "]")
        with strokes(visit):
            visit.press("Space")
        assert alpha_at(saved(visit), ON, (0.5, 0.3)) == [0, 255]
        with strokes(visit):
            visit.press(*["Shift+ArrowUp"] * 3, "Shift+Space")
        assert alpha_at(saved(visit), ON, (0.5, 0.45), (0.7, 0.5)) == [0, 0, 255]
        visit.press("Control+z", "Control+z")
        assert alpha_at(saved(visit), ON) == [255]
        visit.press("x", *["Shift+ArrowLeft"] * 5)
        with strokes(visit):
            visit.press("Space")
        said = visit.page.locator("[data-said]").inner_text()
        found = re.match(r"Kept a spot of \d+ pixels at (\d+), (\d+)$", said)
        assert found is not None, said
        kept = int(found[1]) / 320, int(found[2]) / 240
        assert kept[0] < 0.2
        assert alpha_at(saved(visit), kept, (0.15, 0.1)) == [255, 0]


def saved(visit: Visit) -> U8Array:
    """What Ctrl+S downloads."""
    return rgba(visit.take(lambda: visit.press("Control+s"))[1])


def test_undo_and_redo_go_along_and_starting_over_is_a_step(visit: Visit) -> None:
    plain = fetch(visit)
    visit.press("e")
    paint(visit, ON, hold=["Shift"])
    once = fetch(visit)
    paint(visit, (0.5, 0.3), hold=["Shift"])
    twice = fetch(visit)
    assert len({plain, once, twice}) == 3
    visit.button("Undo").click()
    assert fetch(visit) == once
    visit.press("Control+z")
    assert fetch(visit) == plain
    expect(visit.button("Undo")).to_be_disabled()
    visit.press("Control+y", "Control+Shift+z")
    assert fetch(visit) == twice
    expect(visit.button("Redo")).to_be_disabled()
    visit.button("Start over").click()
    assert fetch(visit) == plain
    expect(visit.button("Start over")).to_be_disabled()
    visit.button("Undo").click()
    assert fetch(visit) == twice


def test_a_key_that_is_held_is_one_spot(visit: Visit) -> None:
    visit.press("e")
    visit.page.locator("[data-tool=remove]").focus()
    with strokes(visit):
        for _ in range(5):
            visit.page.keyboard.down(" ")
        visit.page.keyboard.up(" ")
    visit.press("Control+z")
    expect(visit.button("Undo")).to_be_disabled()


def test_undo_right_after_a_stroke_takes_that_stroke_back(visit: Visit) -> None:
    plain = fetch(visit)
    visit.press("e")
    with strokes(visit):
        visit.page.mouse.move(*spot(visit, ON))
        visit.page.mouse.down()
        visit.page.evaluate(  # in one task: what the stroke follows is still being found
            """() => {
              const stage = document.querySelector("[data-tool=remove]");
              const lift = new PointerEvent("pointerup", {pointerId: 1, bubbles: true});
              stage.dispatchEvent(lift);
              const key = new KeyboardEvent("keydown", {key: "z", ctrlKey: true, bubbles: true});
              stage.dispatchEvent(key);
            }"""
        )
        visit.page.mouse.up()
    expect(visit.button("Redo")).to_be_enabled()
    assert fetch(visit) == plain


def test_the_brush_reaches_every_corner_and_all_that_is_cropped(visit: Visit) -> None:
    unfold(visit, "Crop")
    field(visit, "The subject").check()
    field(visit, "Follow edges").uncheck()
    visit.button("Keep").click()
    corners = [(0.01, 0.01), (0.99, 0.01), (0.01, 0.99), (0.99, 0.99)]
    for corner in corners:
        paint(visit, corner)
    field(visit, "All of it").check()
    assert alpha_at(taken(visit), *corners, BESIDE) == [255, 255, 255, 255, 0]


@pytest.mark.full
def test_two_hundred_edits_are_undone_and_redone_to_the_very_bytes(visit: Visit) -> None:
    unfold(visit, "File")
    field(visit, "What").select_option("Mask")
    first = fetch(visit)
    visit.press("b")
    for x, y in np.random.default_rng(4).uniform(0.05, 0.95, (200, 2)):
        paint(visit, (float(x), float(y)))
        visit.press("x")
    last, seen = fetch(visit), shown(visit)
    visit.press(*["Control+z"] * 200)
    expect(visit.button("Undo")).to_be_disabled()
    assert fetch(visit) == first
    visit.press(*["Control+y"] * 200)
    expect(visit.button("Redo")).to_be_disabled()
    assert fetch(visit) == last
    visit.page.wait_for_function(
        "one => document.querySelector('canvas[role=img]').toDataURL() === one", arg=seen
    )


def shown(visit: Visit) -> str:
    """What the view draws, as a data URL."""
    url: str = visit.page.locator("canvas[role=img]").evaluate("one => one.toDataURL()")
    return url
