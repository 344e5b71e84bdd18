"""Looking again at a part, and a service that does not answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.support.editor import (
    ON,
    alpha_at,
    edit,
    paint,
    taken,
)
from tests.support.page import Visit, at
from tests.support.server import NO_LIMITS, BentoServer, Serve

pytestmark = pytest.mark.services

AGAIN = "Look again at what is in view"


@pytest.fixture
def visit(fake_server: BentoServer, browser: Browser) -> Iterator[Visit]:
    with at(fake_server, browser) as opened:
        edit(opened)
        yield opened


def zoom_in(visit: Visit, times: int = 8) -> None:
    visit.press(*["+"] * times)


def test_looking_again_is_offered_for_a_part_and_mends_it(visit: Visit) -> None:
    expect(visit.button(AGAIN)).to_be_disabled()
    zoom_in(visit)
    visit.press("e")
    paint(visit, ON, hold=["Shift"])
    assert alpha_at(taken(visit), ON) == [0]
    asked = len(visit.answers)
    visit.button(AGAIN).click()
    expect(visit.page.locator("[data-toast]")).to_contain_text("The edge was found anew")
    assert visit.answers[asked:] == [200]
    assert alpha_at(taken(visit), ON) == [255]
    visit.button("Undo").click()
    assert alpha_at(taken(visit), ON) == [0]
    visit.press("0")
    expect(visit.button(AGAIN)).to_be_disabled()


def test_looking_again_at_very_little_asks_for_no_more_than_the_service_takes(
    visit: Visit,
) -> None:
    zoom_in(visit, 30)
    visit.button(AGAIN).click()
    expect(visit.page.locator("[data-toast]")).to_be_visible()
    assert visit.answers[-1] == 200


def test_looking_again_at_a_service_that_has_gone_says_so(serve: Serve, browser: Browser) -> None:
    with serve(**NO_LIMITS) as server, at(server, browser) as visit:
        edit(visit)
        zoom_in(visit)
        server.stop()
        visit.button(AGAIN).click()
        expect(visit.page.locator("[data-toast]")).to_contain_text("The connection was lost")
        visit.page.wait_for_selector("[data-banner=down]")
        expect(visit.button(AGAIN)).to_be_enabled()
        visit.press("0", "e")
        paint(visit, ON, hold=["Shift"])
        assert alpha_at(taken(visit), ON) == [0]


def test_looking_again_at_the_limit_says_so(serve: Serve, browser: Browser) -> None:
    limits = {"BIREFNET_RATE_LIMIT_PER_MINUTE": "1", "BIREFNET_RATE_LIMIT_PER_SECOND": "0"}
    with serve(**limits) as server, at(server, browser) as visit:
        edit(visit)
        zoom_in(visit)
        visit.button(AGAIN).click()
        expect(visit.page.locator("[data-toast]")).to_contain_text("limit")
        expect(visit.button(AGAIN)).to_be_enabled()
