"""What is cropped, and what kind of file is made of it."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from tests.support.editor import (
    Fingers,
    drag,
    edit,
    fetch,
    field,
    paint,
    place,
    rgba,
    slide,
    tab_to,
    taken,
    unfold,
)
from tests.support.page import Visit, at
from tests.support.pictures import make_noise, save
from tests.support.server import BentoServer

pytestmark = pytest.mark.services

TOUCH = {"has_touch": True, "viewport": {"width": 1200, "height": 900}}


@pytest.fixture
def visit(fake_server: BentoServer, browser: Browser) -> Iterator[Visit]:
    with at(fake_server, browser, **TOUCH) as opened:
        edit(opened)
        yield opened


def size(data: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(data)).size


def test_the_crop_to_the_subject_has_its_margin_and_may_be_square(visit: Visit) -> None:
    unfold(visit, "Crop")
    paint_away_the_right_half(visit)
    seen = np.nonzero(taken(visit)[..., 3] >= 16)
    high, wide = (int(np.ptp(one)) + 1 for one in seen)
    assert wide < 0.8 * high
    field(visit, "The subject").check()
    slide(visit, "Margin", "Home")
    tight = size(fetch(visit))
    assert tight == (wide, high)
    slide(visit, "Margin", *["ArrowRight"] * 10)
    assert size(fetch(visit)) == (tight[0] + 2 * 16, tight[1] + 2 * 16)
    field(visit, "Square").check()
    assert size(fetch(visit)) == (tight[1] + 32, tight[1] + 32)


def paint_away_the_right_half(visit: Visit) -> None:
    visit.press("e")
    slide(visit, "Size", "End")
    paint(visit, (0.75, 0.2), (0.75, 0.8), hold=["Shift"])
    visit.press("Escape")
    field(visit, "Size").fill("32")


def assert_grips_are_on_the_stage(visit: Visit) -> None:
    stage = visit.page.locator("[data-tool]").bounding_box()
    assert stage is not None
    for grip in visit.page.locator("[data-grip]").all():
        box = grip.bounding_box()
        assert box is not None
        assert stage["x"] <= box["x"] <= stage["x"] + stage["width"] - box["width"]
        assert stage["y"] <= box["y"] <= stage["y"] + stage["height"] - box["height"]


def frame(visit: Visit) -> list[int]:
    names = ("Left", "Top", "Width", "Height")
    return [int(field(visit, name).input_value()) for name in names]


def test_the_crop_by_hand_is_dragged_by_mouse_finger_and_arrow_keys(visit: Visit) -> None:
    unfold(visit, "Crop")
    field(visit, "By hand").check()
    assert frame(visit) == [0, 0, 320, 240]
    assert_grips_are_on_the_stage(visit)
    scale = place(visit)[2] / 320
    drag(visit, visit.button("Top left corner"), 40 * scale, 30 * scale)
    assert frame(visit) == pytest.approx([40, 30, 280, 210], abs=1)
    assert frame(visit)[0] + frame(visit)[2] == 320
    Fingers(visit).drag(visit.button("Bottom right corner"), -60 * scale, -50 * scale)
    assert frame(visit) == pytest.approx([40, 30, 220, 160], abs=1)
    before = frame(visit)
    tab_to(visit, "Move the frame")
    visit.press("ArrowLeft", "Shift+ArrowDown")
    assert frame(visit) == [before[0] - 1, before[1] + 10, *before[2:]]
    moved = frame(visit)
    made = taken(visit)
    assert [made.shape[1], made.shape[0]] == moved[2:]
    plain = rgba(fetch_plain(visit))
    left, top, width, height = moved
    part = plain[top : top + height, left : left + width]
    assert (made[..., 3] == part[..., 3]).all()
    assert (made == part)[part[..., 3] == 255].all()
    visit.button("Undo").click()
    assert frame(visit) == [before[0] - 1, before[1], *before[2:]]


def fetch_plain(visit: Visit) -> bytes:
    """The same without the crop."""
    visit.button("Start over").click()
    data = fetch(visit)
    visit.button("Undo").click()
    return data


def test_numbers_of_the_crop_can_be_typed(visit: Visit) -> None:
    unfold(visit, "Crop")
    field(visit, "By hand").check()
    for name, typed in (("Width", "200"), ("Height", "150"), ("Left", "-20"), ("Top", "35")):
        field(visit, name).press("Control+a")
        visit.page.keyboard.type(typed)
    visit.press("Tab")
    assert frame(visit) == [-20, 35, 200, 150]
    made = taken(visit)
    assert made.shape == (150, 200, 4)
    assert (made[:, :20, 3] == 0).all()
    field(visit, "Width").fill("3")
    field(visit, "Width").blur()
    assert frame(visit)[2] == 16
    field(visit, "Width").fill("")
    field(visit, "Width").blur()
    assert frame(visit)[2] == 16


@pytest.mark.parametrize("kind", ["PNG", "WebP", "JPEG"])
def test_a_file_has_its_format_its_size_and_its_quality(visit: Visit, kind: str) -> None:
    unfold(visit, "File")
    field(visit, "Format").select_option(kind)
    field(visit, "What").select_option("Mask")
    mask = fetch(visit)
    assert Image.open(io.BytesIO(mask)).format == kind.upper()
    assert rgba(mask)[120, [160, 48]].tolist() == [[255] * 4, [0, 0, 0, 255]]
    field(visit, "What").select_option("Picture")
    whole = fetch(visit)
    assert size(whole) == (320, 240)
    assert rgba(whole)[5, 5, 3] == (255 if kind == "JPEG" else 0)
    if kind == "JPEG":
        assert rgba(whole)[5, 5].min() >= 250
    if kind != "PNG":
        slide(visit, "Quality", "Home")
        assert len(fetch(visit)) < len(whole)


def test_the_longest_side_makes_smaller_and_never_larger(
    fake_server: BentoServer, browser: Browser
) -> None:
    with at(fake_server, browser) as visit:
        edit(visit, save(Image.fromarray(make_noise(450, 900)), "PNG"))
        unfold(visit, "File")
        field(visit, "Longest side").select_option("500 px")
        assert size(fetch(visit)) == (500, 250)
        field(visit, "Longest side").select_option("1000 px")
        assert size(fetch(visit)) == (900, 450)
