"""The faults of the specification's own example (section 7.2), one by one, that ours must not have.

Their numbers are those of the study that found them.
"""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect

from tests.e2e.react.conftest import App, Open
from tests.e2e.react.tab import Tab
from tests.support.front import ODD, Front
from tests.support.keys import WRONG_KEY
from tests.support.pictures import make_noise, make_portrait, save
from tests.support.server import PREFIX, BentoServer, slow_picture

pytestmark = pytest.mark.services

PORTRAIT = save(Image.fromarray(make_portrait(120, 160)), "PNG")
OTHER = save(Image.fromarray(make_portrait(90, 90)), "PNG")
NOISE = save(Image.fromarray(make_noise(900, 900)), "PNG")


def unmount(tab: Tab) -> None:
    tab.page.evaluate("bench.unmount()")


def test_1_a_slow_answer_does_not_overwrite_a_newer_one(
    open_app: Open, service: BentoServer, app: App
) -> None:
    with open_app() as tab:
        assert tab.page.evaluate("bench.version") == app.react
        tab.send(slow_picture(0.8), wait=False)
        tab.wait("working")
        tab.send(OTHER)
        assert tab.state("status") == "done"
        tab.page.wait_for_timeout(1000)  # by now the first one would have been answered
        assert tab.cutout() == service.remove(OTHER).content
        assert "failed" not in tab.page.evaluate("bench.states.map(state => state.status)")
        assert tab.page.evaluate("bench.done") == 1


def test_2_a_new_file_and_leaving_end_the_request(open_app: Open) -> None:
    with open_app() as tab:
        tab.send(slow_picture(1), wait=False)
        tab.wait("working")
        tab.send(OTHER)
        assert (len(tab.posts), len(tab.ended)) == (2, 1)
        tab.send(slow_picture(1), wait=False)
        tab.wait("working")
        unmount(tab)
        tab.page.wait_for_timeout(200)
        assert (len(tab.posts), len(tab.ended)) == (3, 2)
        assert tab.page.evaluate("bench.done") == 1


def test_3_pictures_are_kept_once_and_given_back(open_app: Open, tmp_path: Path) -> None:
    with open_app() as tab:
        for data in (PORTRAIT, OTHER, PORTRAIT):
            tab.send(data)
            expect(tab.page.locator("img")).to_have_count(2)
        assert tab.state("originalUrl").startswith("blob:")  # no copy of the file as text
        assert tab.page.evaluate("[live.size, most <= 3]") == [2, True]
        tab.page.evaluate("bench.state.reset()")
        expect(tab.page.locator("img")).to_have_count(0)
        assert tab.page.evaluate("live.size") == 0
        tab.send(PORTRAIT)
        unmount(tab)
        tab.page.wait_for_function("() => live.size === 0")


def test_3_a_file_that_cannot_be_read_any_more_is_an_error(open_app: Open, tmp_path: Path) -> None:
    file = tmp_path / "gone.png"
    file.write_bytes(NOISE)
    with open_app("component", retries=0) as tab:
        tab.page.evaluate(  # between choosing and reading, as on a drive that is pulled out
            """() => document.querySelector("input").addEventListener("input", (event) => {
                 event.stopPropagation(); globalThis.kept = event.target.files[0]; }, true)"""
        )
        tab.input.set_input_files(file)
        file.unlink()
        tab.page.evaluate(
            """() => { const input = document.querySelector("input");
                 const files = new DataTransfer(); files.items.add(kept); input.files = files.files;
                 input.dispatchEvent(new Event("change", {bubbles: true})); }"""
        )
        expect(tab.page.get_by_role("alert")).to_contain_text("Error: ")


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ("html", "not the service's own (HTTP 502)"),
        ("html-as-success", "not the service's own (HTTP 200)"),
        ("no-detail", "not the service's own (HTTP 500)"),
        ("list", "Field required"),
    ],
)
def test_4_what_a_proxy_says_becomes_words(open_app: Open, odd: str, words: str) -> None:
    with open_app(baseUrl=f"/odd/{odd}", retries=0) as tab:
        tab.send(PORTRAIT)
        assert tab.state("status") == "failed"
        assert words in tab.state("error")
        assert tab.state("problem.status") == ODD[odd][0]
        assert tab.state("processedBlob") is None


def test_5_what_is_not_known_is_neither_zero_nor_a_word(open_app: Open) -> None:
    with open_app("component", baseUrl="/bare") as tab:
        tab.choose(PORTRAIT)
        tab.wait("done")
        expect(tab.page.get_by_text("is not told here")).to_be_visible()
        assert " 0" not in tab.page.inner_text("figure:last-of-type")
    with open_app(baseUrl="/bare") as tab:
        tab.send(PORTRAIT)
        assert tab.state("processingTimeMs") is None
        assert tab.state("info") is None


def test_5_another_origin_can_read_what_ran(open_app: Open) -> None:
    with open_app() as tab:
        tab.send(PORTRAIT)
        info = tab.state("info")
        assert info["original_size"] == "160x120"
        assert info["model_version"] == "u2netp"
        assert info["engine"].startswith("fake")
        assert info["processing_time_ms"] == tab.state("processingTimeMs") > 0


def test_6_bmp_may_be_chosen_and_the_same_file_twice(open_app: Open, service: BentoServer) -> None:
    taken = set(service.get(f"{PREFIX}/info").json()["formats"]["input"])
    with open_app("component") as tab:
        accepted = set((tab.input.get_attribute("accept") or "").split(","))
        assert {"image/bmp", "image/jpeg", "image/png", "image/webp"} <= accepted <= taken
        bmp = save(Image.fromarray(make_portrait(80, 80)), "BMP")
        for number in (1, 2):
            with tab.page.expect_file_chooser() as asked:
                tab.input.click()
            assert tab.input.input_value() == ""  # else the same file would be no change
            asked.value.set_files({"name": "a.bmp", "mimeType": "image/bmp", "buffer": bmp})
            tab.page.wait_for_function(f"() => bench.done === {number}")
        assert len(tab.posts) == 2


def test_7_the_focus_stays_and_a_screen_reader_hears_it(open_app: Open) -> None:
    with open_app("component", retries=0) as tab:
        tab.input.focus()
        tab.choose(slow_picture(1))
        expect(tab.page.get_by_role("status")).to_have_text("Removing the background")
        expect(tab.input).to_be_enabled()
        expect(tab.input).to_be_focused()
        assert Axe().run(tab.page).violations_count == 0
        tab.page.get_by_role("button", name="Cancel").focus()
        tab.wait("done")
        expect(tab.page.get_by_role("status")).to_have_text("No subject was found in this picture.")
        expect(tab.input).to_be_focused()  # the button is gone
        tab.choose(PORTRAIT)
        expect(tab.page.get_by_role("status")).to_have_text("The background is removed.")
        tab.choose(b"no picture")
        expect(tab.page.get_by_role("alert")).to_contain_text("Error: Unsupported file format")
        assert Axe().run(tab.page).violations_count == 0


def test_8_no_time_is_promised(open_app: Open) -> None:
    with open_app("component") as tab:
        tab.choose(slow_picture(0.5))
        tab.wait("working")
        assert "ms" not in tab.page.inner_text(".bgr-root")
        with tab.page.expect_response(f"**{PREFIX}/remove") as answered:
            tab.choose(PORTRAIT)
        tab.wait("done")
        took = float(answered.value.headers["x-processing-time-ms"])
        expect(tab.page.get_by_text(f"{took:.1f} ms, 160x120, u2netp")).to_be_visible()


@pytest.mark.parametrize("smoothing", [True, False])
def test_9_smoothing_can_be_switched_off(
    open_app: Open, service: BentoServer, smoothing: bool
) -> None:
    photo = save(Image.fromarray(make_noise(64, 64)), "PNG")
    with open_app(smoothing=smoothing, options={"format": "webp"}) as tab:
        tab.send(photo)
        form = {"smoothing": str(smoothing).lower(), "format": "webp"}
        assert tab.cutout() == service.remove(photo, **form).content
        assert tab.state("removal.size") == [64, 64]


def test_10_functions_stay_the_same(open_app: Open) -> None:
    with open_app() as tab:
        tab.send(PORTRAIT)
        tab.page.evaluate("bench.renderAgain()")
        tab.page.wait_for_timeout(50)
        names = "['removeBackground', 'cancel', 'reset']"
        renders, sizes = tab.page.evaluate(
            f"[bench.states.length, {names}.map(n => new Set(bench.states.map(s => s[n])).size)]"
        )
        assert renders > 4
        assert sizes == [1, 1, 1]


def test_11_the_service_may_be_anywhere(open_app: Open, service: BentoServer, front: Front) -> None:
    for where, address in (
        (None, f"{front.url}{PREFIX}/remove"),  # the specification's
        (f"{service.url(PREFIX)}/", service.url()),
    ):
        with open_app(baseUrl=where) if where else open_app(**{"baseUrl": PREFIX}) as tab:
            tab.send(PORTRAIT)
            assert tab.state("status") == "done"
            assert tab.posts == [address]


def test_12_a_busy_service_is_asked_again_when_it_says(
    open_app: Open, strict_service: BentoServer
) -> None:
    busy = threading.Thread(target=lambda: strict_service.remove(slow_picture(2.7)))
    with open_app(baseUrl=strict_service.url(PREFIX)) as tab:
        busy.start()
        strict_service.wait_for(lambda: is_removing(strict_service), 5, "a removal under way")
        tab.send(PORTRAIT, wait=False)
        tab.wait("waiting")
        problem = tab.state("problem")
        assert problem["error_code"] == "RATE_LIMIT_EXCEEDED"
        assert problem["retryAfterS"] == 1
        assert tab.state("error") is None
        tab.wait("done")
        entries = "performance.getEntriesByType('resource').filter(e => /remove$/.test(e.name))"
        times = f"{entries}.map(e => [e.startTime, e.responseEnd])"
        (_, answered), (sent_again, _) = tab.page.evaluate(times)
        assert sent_again - answered >= 1000
        assert (tab.answers[0], tab.answers[-1]) == (429, 200)
        assert tab.state("problem") is None
    busy.join()


def is_removing(server: BentoServer) -> bool:
    return any(
        value
        for name, value in server.metrics().items()
        if name.startswith("background_removal_removals{")
    )


def test_13_what_is_too_large_is_not_sent(open_app: Open, strict_service: BentoServer) -> None:
    with open_app(baseUrl=strict_service.url(PREFIX)) as tab:
        for data, code, words in (
            (b"", "EMPTY_FILE", "The file is empty."),
            (NOISE, "FILE_TOO_LARGE", "The file has 2.3 MB; the limit is 1.0 MB."),
        ):
            tab.send(data)
            assert tab.state("problem.error_code") == code
            assert tab.state("error") == words
        assert tab.posts == []


def test_14_strict_mode_sends_once_and_shows_pictures(open_app: Open) -> None:
    with open_app(flags="&strict") as tab:
        tab.send(PORTRAIT)
        assert len(tab.posts) == 1
        shown = "[...document.images].map(i => i.decode().then(() => i.naturalWidth))"
        expect(tab.page.locator("img")).to_have_count(2)
        assert tab.page.evaluate(f"Promise.all({shown})") == [160, 160]
        unmount(tab)
        tab.page.evaluate("bench.mount()")
        tab.page.wait_for_selector("[data-status=idle]", state="attached")
        tab.send(OTHER)
        assert tab.state("status") == "done"
        unmount(tab)
        tab.page.wait_for_function("() => live.size === 0")


def test_14_what_is_hidden_and_shown_again_still_shows_its_pictures(
    open_app: Open, app: App
) -> None:
    if app.react.startswith("18"):
        pytest.skip("<Activity> is of React 19")
    with open_app("hideable") as tab:
        tab.send(PORTRAIT)
        expect(tab.page.locator("img")).to_have_count(2)
        tab.page.evaluate("bench.hide(true)")
        tab.page.wait_for_function("() => live.size === 0")
        tab.page.evaluate("bench.hide(false)")
        tab.page.wait_for_function("() => live.size === 2")
        expect(tab.page.locator("img")).to_have_count(2)
        shown = "[...document.images].map(i => i.decode().then(() => i.naturalWidth))"
        assert tab.page.evaluate(f"Promise.all({shown})") == [160, 160]
        assert tab.state("status") == "done"


def test_15_the_component_has_settings_words_and_a_place_for_ones_own(open_app: Open) -> None:
    words = {
        "choose": "Bild wählen",
        "codes": {"INVALID_FORMAT": "Kein Bild."},
        "error": "{reason}",
    }
    with open_app("component", className="mine", labels=words, accept="image/png") as tab:
        assert tab.page.locator(".bgr-root.mine").count() == 1
        field = tab.page.get_by_label("Bild wählen")
        assert field.get_attribute("accept") == "image/png"
        field.set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"})
        expect(tab.page.get_by_role("alert")).to_have_text("Kein Bild.")
    with open_app("component", flags="&children") as tab:
        tab.choose(PORTRAIT)
        expect(tab.page.locator("output")).to_have_text("u2netp")
        assert tab.page.locator("img").count() == 0


def test_a_key_and_headers_are_sent(open_app: Open, strict_service: BentoServer) -> None:
    where = strict_service.url(PREFIX)
    with open_app(baseUrl=where, apiKey=WRONG_KEY, headers={"X-Request-ID": "of-the-app"}) as tab:
        tab.send(PORTRAIT)
        problem = tab.state("problem")
        assert problem["error_code"] == "INVALID_API_KEY"
        assert problem["request_id"] == problem["fields"]["request_id"] == "of-the-app"


def test_progress_is_real_and_it_can_be_cancelled(open_app: Open) -> None:
    with open_app() as tab:
        tab.send(OTHER)
        tab.throttle(400_000)
        tab.send(NOISE, wait=False)
        tab.page.wait_for_function("() => bench.state.progress > 0.05")
        early = tab.state("progress")
        tab.page.wait_for_function(f"() => bench.state.progress > {early}")
        assert 0 < early < 1
        tab.page.evaluate("bench.state.cancel()")
        tab.wait("idle")
        assert len(tab.ended) == 1
        assert tab.state("error") is None
        tab.throttle(-1)
        tab.send(PORTRAIT)
        assert tab.state("status") == "done"
