"""The page's editor under a mouse, fingers, a pen and keys, and what comes of it as pixels."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, expect

from models.arrays import U8Array
from tests.support.page import Visit
from tests.support.pictures import make_portrait, save

Point = tuple[float, float]

#: 320 x 240: a bright disc on dark; `FakeEngine` keeps the disc.
PORTRAIT = save(Image.fromarray(make_portrait(240, 320)), "PNG")
#: On the disc, and beside it, in shares of the picture.
ON, BESIDE = (0.5, 0.5), (0.15, 0.5)

_COUNT = """() => {
  globalThis.strokes = 0;
  new MutationObserver(() => {
    if (/^(Kept|Removed) a spot/.test(document.querySelector("[data-said]").textContent))
      strokes += 1;
  }).observe(document.querySelector("[data-said]"), {childList: true, subtree: true});
}"""
_PLACE = """() => {
  const {left, top, width, height} =
    document.querySelector("img[alt^=Original]").getBoundingClientRect();
  return [left, top, width, height];
}"""


def edit(visit: Visit, data: bytes = PORTRAIT, name: str = "cat.png") -> None:
    """Give a picture, wait for its cutout, and count its strokes from now on."""
    visit.give((name, data))
    visit.wait_done(1)
    visit.page.wait_for_function("() => document.querySelector('img[alt^=Cutout]')?.width > 0")
    visit.page.evaluate(_COUNT)


@contextmanager
def strokes(visit: Visit, number: int = 1) -> Iterator[None]:
    """Wait until so many strokes, which are begun inside, have become part of the picture."""
    before = visit.page.evaluate("strokes")
    yield
    visit.page.wait_for_function(f"() => strokes >= {before + number}", timeout=8000)
    assert visit.page.evaluate("strokes") == before + number


def place(visit: Visit) -> tuple[float, float, float, float]:
    """Left, top, width and height of the whole picture on the screen."""
    left, top, width, height = visit.page.evaluate(_PLACE)
    return left, top, width, height


def spot(visit: Visit, at: Point) -> Point:
    """Where a point of the picture, in shares, is on the screen."""
    left, top, width, height = place(visit)
    return left + at[0] * width, top + at[1] * height


def draw(visit: Visit, *points: Point, hold: Sequence[str] = ()) -> None:
    """Draw with the mouse along points in shares of the picture, while keys are held."""
    mouse, keyboard = visit.page.mouse, visit.page.keyboard
    for key in hold:
        keyboard.down(key)
    mouse.move(*spot(visit, points[0]))
    mouse.down()
    for point in points[1:] or points:
        mouse.move(*spot(visit, point), steps=6)
    mouse.up()
    for key in hold:
        keyboard.up(key)


def paint(visit: Visit, *points: Point, hold: Sequence[str] = ()) -> None:
    """The same with a brush in the hand, until it is part of the picture."""
    with strokes(visit):
        draw(visit, *points, hold=hold)


class Fingers:
    """Fingers on the screen, by the browser's own touch events."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._tools = visit.page.context.new_cdp_session(visit.page)
        self._down: dict[int, Point] = {}

    def _send(self, kind: str, *fingers: int) -> None:
        points = [{"id": n, "x": self._down[n][0], "y": self._down[n][1]} for n in fingers]
        self._tools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def down(self, finger: int, at: Point) -> None:
        """Put a finger on a point of the screen."""
        self._down[finger] = at
        self._send("touchStart", *self._down)

    def move(self, moved: dict[int, Point], steps: int = 5) -> None:
        """Move fingers at once."""
        begun = dict(self._down)
        for step in range(1, steps + 1):
            for finger, (x, y) in moved.items():
                x0, y0 = begun[finger]
                self._down[finger] = (x0 + (x - x0) * step / steps, y0 + (y - y0) * step / steps)
            self._send("touchMove", *self._down)

    def up(self, *fingers: int) -> None:
        """Lift fingers, all of them if none is named."""
        for finger in fingers or tuple(self._down):
            self._send("touchEnd", finger)
            del self._down[finger]

    def cancel(self) -> None:
        """The system takes the touch away."""
        self._down.clear()
        self._send("touchCancel")

    def draw(self, *points: Point) -> None:
        """One finger along points in shares of the picture."""
        on_screen = [spot(self._visit, point) for point in points]
        self.down(0, on_screen[0])
        for point in on_screen[1:]:
            self.move({0: point})
        self.up(0)

    def drag(self, grip: Locator, dx: float, dy: float) -> None:
        """One finger on the middle of something, moved by so many pixels of the screen."""
        x, y = middle(grip)
        self.down(0, (x, y))
        self.move({0: (x + dx, y + dy)})
        self.up(0)


def pen(visit: Visit, pressure: float, *points: Point) -> None:
    """A pen along points in shares of the picture."""
    tools = visit.page.context.new_cdp_session(visit.page)
    on_screen = [spot(visit, point) for point in points]
    kinds = ["mousePressed", *["mouseMoved"] * len(on_screen), "mouseReleased"]
    for kind, (x, y) in zip(kinds, [on_screen[0], *on_screen, on_screen[-1]], strict=True):
        event = {"type": kind, "x": x, "y": y, "pointerType": "pen", "force": pressure}
        held: dict[str, Any] = {"button": "left", "buttons": int(kind != "mouseReleased")}
        tools.send("Input.dispatchMouseEvent", {**event, **held, "clickCount": 1})


def middle(of: Locator) -> Point:
    """The middle of something on the screen."""
    of.scroll_into_view_if_needed()
    box = of.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(visit: Visit, grip: Locator, dx: float, dy: float) -> None:
    """The mouse on the middle of something, moved by so many pixels of the screen."""
    x, y = middle(grip)
    visit.page.mouse.move(x, y)
    visit.page.mouse.down()
    visit.page.mouse.move(x + dx, y + dy, steps=5)
    visit.page.mouse.up()


def unfold(visit: Visit, *sections: str) -> None:
    """Open sections of the side by their names."""
    for name in sections:
        section = visit.page.locator("details").filter(
            has=visit.page.locator("summary").get_by_text(name, exact=True)
        )
        if section.get_attribute("open") is None:
            section.locator("summary").click()


def field(visit: Visit, name: str) -> Locator:
    """A field of the side by its exact name."""
    return visit.page.get_by_label(name, exact=True)


def slide(visit: Visit, name: str, *keys: str) -> None:
    """Move a slider by keys."""
    field(visit, name).focus()
    visit.press(*keys)


def fetch(visit: Visit, name: str = "Download") -> bytes:
    """What a button downloads, once it may be pressed."""
    expect(visit.button(name)).to_be_enabled()
    return visit.take(visit.button(name).click)[1]


def taken(visit: Visit, name: str = "Download") -> U8Array:
    """The same as pixels ``[H, W, 4]``."""
    return rgba(fetch(visit, name))


def rgba(data: bytes) -> U8Array:
    """A file as pixels ``[H, W, 4]``."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def alpha_at(pixels: U8Array, *points: Point) -> list[int]:
    """Opacity at points in shares of the picture."""
    height, width = pixels.shape[:2]
    return [int(pixels[int(y * height), int(x * width), 3]) for x, y in points]


def tab_to(visit: Visit, name: str, most: int = 90) -> None:
    """Press Tab until an element of this name has the focus."""
    for _ in range(most):
        visit.press("Tab")
        if name in visit.page.evaluate(_NAMES):
            return
    raise AssertionError(f"Tab never comes to {name}")


_NAMES = """() => {
  const {ariaLabel, labels, innerText} = document.activeElement;
  return [ariaLabel, innerText, ...[...(labels ?? [])].map((one) => one.innerText)]
    .map((one) => (one ?? "").trim());
}"""
