"""Edge, backgrounds, shadow, crop and files: each tool once, by its pixels."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from models.arrays import U8Array
from tests.support.editor import (
    BESIDE,
    ON,
    PORTRAIT,
    alpha_at,
    drag,
    edit,
    fetch,
    field,
    paint,
    rgba,
    slide,
    taken,
    unfold,
)
from tests.support.page import Visit, at, unpack
from tests.support.pictures import save
from tests.support.server import BentoServer

pytestmark = pytest.mark.services

TOUCH = {"has_touch": True, "viewport": {"width": 1200, "height": 900}}


@pytest.fixture
def visit(fake_server: BentoServer, browser: Browser) -> Iterator[Visit]:
    with at(fake_server, browser, **TOUCH) as opened:
        edit(opened)
        yield opened


def kept(pixels: U8Array) -> int:
    return int((pixels[..., 3] >= 128).sum())


def soft(pixels: U8Array) -> int:
    return int(((pixels[..., 3] > 8) & (pixels[..., 3] < 247)).sum())


def lay(visit: Visit, name: str, data: bytes) -> None:
    """Lay a picture of one's own behind."""
    visit.page.set_input_files(
        "input[data-for=background]",
        {"name": name, "mimeType": "image/png", "buffer": data},
    )


def size(data: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(data)).size


def test_the_edge_is_smoothed_softened_and_moved_by_keys(visit: Visit) -> None:
    unfold(visit, "Edge")
    plain = taken(visit)
    slide(visit, "Move", *["ArrowRight"] * 12)
    outwards = taken(visit)
    assert kept(outwards) > 1.1 * kept(plain)
    slide(visit, "Move", "Home")
    assert kept(taken(visit)) < 0.7 * kept(plain)
    visit.press("Control+z")
    assert (taken(visit) == outwards).all()
    visit.press(*["Control+z"] * 12)  # each key was a step
    assert (taken(visit) == plain).all()
    slide(visit, "Feather", *["ArrowRight"] * 10)
    assert soft(taken(visit)) > 3 * soft(plain)
    visit.press("Control+z")
    slide(visit, "Smooth", "End")
    smooth = taken(visit)
    assert np.abs(smooth[..., 3].astype(int) - plain[..., 3]).max() > 0
    assert kept(smooth) == pytest.approx(kept(plain), rel=0.05)


def test_a_slider_is_dragged_and_that_is_one_step(visit: Visit) -> None:
    unfold(visit, "Edge")
    plain = fetch(visit)
    drag(visit, field(visit, "Feather"), 40, 0)
    assert fetch(visit) != plain
    visit.button("Undo").click()
    expect(visit.button("Undo")).to_be_disabled()
    assert fetch(visit) == plain


def test_each_background_is_in_the_file_and_colours_are_matched(visit: Visit) -> None:
    for label, corner in (("White", 255), ("Black", 0)):
        field(visit, label).check(force=True)
        assert taken(visit)[0, 0].tolist() == [corner] * 3 + [255]
    field(visit, "Colour").check(force=True)
    field(visit, "Pick a colour").fill("#c81e28")
    field(visit, "Pick a colour").fill("#1ec828")
    field(visit, "Pick a colour").blur()
    assert taken(visit)[0, 0].tolist() == [30, 200, 40, 255]
    own = taken(visit)[120, 160]
    slide(visit, "Match colours", "End")
    matched = taken(visit)
    assert matched[0, 0].tolist() == [30, 200, 40, 255]
    assert np.abs(matched[120, 160].astype(int) - own).max() > 10
    field(visit, "The picture itself, blurred").check(force=True)
    blurred = taken(visit)
    assert np.abs(blurred[5, 5, :3].astype(int) - (90, 0, 60)).max() <= 3
    assert (blurred[..., 3] == 255).all()


def test_picking_a_colour_again_is_a_step_of_its_own(visit: Visit) -> None:
    field(visit, "Colour").check(force=True)
    for colour in ("#c81e28", "#1ec828"):
        field(visit, "Pick a colour").fill(colour)
        field(visit, "Pick a colour").blur()
    visit.button("Undo").click()
    assert taken(visit)[0, 0].tolist() == [200, 30, 40, 255]


def test_a_picture_of_ones_own_fills_or_is_shown_whole(visit: Visit) -> None:
    field(visit, "Another picture").check(force=True)
    lay(visit, "wall.png", save(Image.new("RGB", (30, 30), (10, 200, 90)), "PNG"))
    expect(visit.page.get_by_text("wall.png", exact=True)).to_be_visible()
    assert taken(visit)[120, 2].tolist() == [10, 200, 90, 255]
    field(visit, "How it fits").select_option("Show all of it")
    whole = taken(visit)
    assert whole[120, 2].tolist() == [255] * 4
    assert whole[120, 45].tolist() == [10, 200, 90, 255]
    lay(visit, "dot.png", save(Image.new("RGB", (1, 1), (1, 2, 250)), "PNG"))
    expect(visit.page.get_by_text("dot.png", exact=True)).to_be_visible()
    assert taken(visit)[120, 45].tolist() == [1, 2, 250, 255]
    plain = rgba(fetch(visit, "Download transparent"))
    assert alpha_at(plain, ON, BESIDE) == [255, 0]


def test_a_file_that_is_no_picture_is_not_laid_behind(visit: Visit) -> None:
    field(visit, "Another picture").check(force=True)
    lay(visit, "notes.png", b"not a picture at all")
    expect(visit.page.locator("[data-toast]")).to_have_text(
        "This browser cannot read that picture."
    )
    assert alpha_at(taken(visit), ON, BESIDE) == [255, 0]


def test_a_template_of_the_library_is_laid_behind(visit: Visit) -> None:
    field(visit, "Another picture").check(force=True)
    template = visit.page.get_by_role("group", name="From the library").get_by_role("button")
    expect(template.first).to_be_visible()
    template.first.focus()
    visit.press("Enter")
    expect(template.first).to_have_attribute("aria-pressed", "true")
    assert (taken(visit)[..., 3] == 255).all()


def test_a_shadow_lies_beside_the_subject(visit: Visit) -> None:
    for kind in ("Soft", "On the ground"):
        field(visit, "Shadow").select_option(kind)
        shaded = taken(visit)
        shadow = (shaded[..., 3] > 20) & (shaded[..., :3].max(-1) == 0)
        assert shadow.sum() > 100, kind
        slide(visit, "Strength", "Home")
        weaker = taken(visit)
        assert weaker[shadow][:, 3].mean() < 0.5 * shaded[shadow][:, 3].mean()
        slide(visit, "Strength", *["ArrowRight"] * 9)


def test_looks_are_applied_to_all_but_not_strokes_or_frames(
    fake_server: BentoServer, browser: Browser
) -> None:
    with at(fake_server, browser) as visit:
        edit(visit)
        visit.give(("other.png", PORTRAIT))
        visit.wait_done(2)
        visit.press("e")
        paint(visit, ON, hold=["Shift"])
        field(visit, "Black").check(force=True)
        unfold(visit, "Crop")
        field(visit, "By hand").check()
        visit.button("Apply to 1 other picture").click()
        expect(visit.page.get_by_role("button", name="Apply to 1")).to_have_count(0)
        _, packed = visit.take(visit.button("Download all (ZIP)").click)
        ours, other = (rgba(data) for data in unpack(packed).values())
        assert ours[120, 160].tolist() == [0, 0, 0, 255]
        assert other[0, 0].tolist() == [0, 0, 0, 255]
        assert other[120, 160].tolist() == [200, 255, 180, 255]
