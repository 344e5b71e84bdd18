"""Whatever goes wrong ends in a state that a person can leave without reloading the page."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from tests.support.keys import WRONG_KEY, issue_key
from tests.support.page import Visit, at
from tests.support.pictures import make_image, make_noise, make_portrait, save
from tests.support.server import NO_LIMITS, BentoServer, Serve, free_port, slow_picture

pytestmark = pytest.mark.services

PORTRAIT = save(Image.fromarray(make_portrait(240, 320)), "PNG")


def large_jpeg(width: int, height: int) -> bytes:
    return save(Image.new("RGB", (width, height), (200, 255, 180)), "JPEG", quality=50)


def assert_usable(visit: Visit) -> None:
    """The page goes on: a further picture is taken and done."""
    done = visit.page.locator("[data-stage=done]")
    before = done.count()
    visit.give(("good.png", PORTRAIT))
    expect(done).to_have_count(before + 1, timeout=15_000)
    assert visit.page.evaluate("globalThis.isFirstLoad") is True


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"plain text, no picture", "INVALID_FORMAT", "does not take this kind of file"),
        (b"", "EMPTY_FILE", "The file is empty"),
        (PORTRAIT[:400], "CORRUPT_IMAGE", "damaged"),
        (make_image("PNG", 20, 20), "RESOLUTION_TOO_SMALL", "at least 64 pixels"),
    ],
)
def test_a_bad_file_is_explained_and_leaves(
    fake_server: BentoServer, browser: Browser, data: bytes, code: str, words: str
) -> None:
    with at(fake_server, browser) as visit:
        visit.give(("file.png", data))
        expect(visit.wait_failed(code)).to_contain_text(words)
        with visit.page.expect_file_chooser():
            visit.button("Choose another picture").click()
        assert_usable(visit)


def test_a_photo_of_48_megapixels_is_made_to_fit(
    fake_server: BentoServer, browser: Browser
) -> None:
    with at(fake_server, browser) as visit:
        visit.give(("phone.jpg", large_jpeg(8064, 6048)))
        visit.wait_failed("RESOLUTION_TOO_LARGE")
        visit.button("Make it fit (as a JPEG)").click()
        visit.wait_done(1, within_ms=60_000)
        _, data = visit.take(visit.button("Download").click)
    assert Image.open(io.BytesIO(data)).size == (5760, 4320)


def test_a_file_over_the_limit_is_not_sent_before_it_fits(serve: Serve, browser: Browser) -> None:
    noise = save(Image.fromarray(make_noise(900, 900)), "PNG")
    with (
        serve(BIREFNET_MAX_IMAGE_SIZE_MB="1", **NO_LIMITS) as server,
        at(server, browser) as visit,
    ):
        visit.give(("noise.png", noise))
        box = visit.wait_failed("FILE_TOO_LARGE")
        expect(box).to_contain_text("2.4 MB; the limit is 1.0 MB")
        assert visit.answers == []
        visit.button("Make it fit (as a JPEG)").click()
        visit.wait_done(1)
        assert visit.answers == [200]


@pytest.mark.parametrize(
    "name",
    [
        "<img src=x onerror=alert(1)>.png",
        "../../../etc/passwd",
        "a\u202egnp.exe",
        "x" * 200 + ".png",
        '"; filename="evil.png',
        " .png",
    ],
)
def test_a_hostile_name_is_text_and_nothing_else(
    fake_server: BentoServer, browser: Browser, name: str
) -> None:
    with at(fake_server, browser) as visit:
        visit.page.on("dialog", lambda _: visit.complaints.append("a script of the name ran"))
        visit.give((name, PORTRAIT))
        visit.wait_done(1)
        saved, data = visit.take(visit.button("Download").click)
        assert visit.page.locator("img[src=x]").count() == 0
    assert data == fake_server.remove(PORTRAIT).content
    assert saved.endswith("-cutout.png")
    assert not {"/", "\\", '"', "<", "\u202e"} & set(saved)


def test_a_dropped_connection_is_tried_again_by_itself(
    fake_server: BentoServer, browser: Browser
) -> None:
    with at(fake_server, browser) as visit:
        devtools = visit.page.context.new_cdp_session(visit.page)
        slow = {"offline": False, "latency": 0, "downloadThroughput": -1}
        devtools.send("Network.enable")
        devtools.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": 100_000})
        visit.give(("large.png", save(Image.fromarray(make_noise(500, 500)), "PNG")))
        row = visit.page.locator("li[data-stage=uploading]")
        expect(row).to_contain_text("Sending,", timeout=10_000)
        devtools.send(
            "Network.emulateNetworkConditions", {**slow, "offline": True, "uploadThroughput": -1}
        )
        visit.page.wait_for_selector("[data-banner=down]")
        devtools.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
        visit.wait_done(1)


def test_the_percentage_of_an_upload_is_real_and_it_can_be_cancelled(
    fake_server: BentoServer, browser: Browser
) -> None:
    with at(fake_server, browser) as visit:
        devtools = visit.page.context.new_cdp_session(visit.page)
        devtools.send("Network.enable")
        slow = {"offline": False, "latency": 0, "downloadThroughput": -1}
        devtools.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": 150_000})
        visit.give(("large.png", save(Image.fromarray(make_noise(700, 700)), "PNG")))
        bar = visit.page.locator("progress")
        visit.page.wait_for_function("() => document.querySelector('progress')?.value > 0.1")
        early = float(bar.evaluate("bar => bar.value"))
        visit.page.wait_for_function(f"() => document.querySelector('progress')?.value > {early}")
        assert early < 1
        visit.button("Cancel").click()
        visit.wait_failed("CANCELLED")
        devtools.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
        visit.button("Try again").click()
        visit.wait_done(1)


def test_a_server_that_goes_and_comes_back_needs_no_reload(serve: Serve, browser: Browser) -> None:
    settings = {"BIREFNET_PORT": str(free_port()), **NO_LIMITS}
    with serve(**settings) as server, at(server, browser) as visit:
        visit.give(("a.png", PORTRAIT))
        visit.wait_done(1)
        server.stop()
        visit.give(("b.png", PORTRAIT))
        visit.page.wait_for_selector("[data-banner=down]")
        with serve(**settings):
            visit.wait_done(2, within_ms=30_000)
            expect(visit.page.locator("[data-banner=down]")).to_have_count(0)


def test_a_busy_server_is_asked_again_by_itself(serve: Serve, browser: Browser) -> None:
    settings = {**NO_LIMITS, "BIREFNET_MAX_QUEUE": "1", "BIREFNET_NUM_WORKERS": "1"}
    with serve(**settings) as server, at(server, browser) as visit:
        busy = threading.Thread(target=lambda: server.remove(slow_picture(5)))
        busy.start()
        server.wait_for(
            lambda: any(
                value
                for name, value in server.metrics().items()
                if name.startswith("background_removal_removals{")
            ),
            5,
            "a removal under way",
        )
        visit.give(("a.png", PORTRAIT))
        expect(visit.page.locator("li[data-stage]")).to_contain_text("Trying again in")
        visit.wait_done(1, within_ms=40_000)
        busy.join()
        assert 503 in visit.answers
        assert visit.page.locator("[data-stage=failed]").count() == 0


def test_a_key_that_is_wanted_is_asked_for_and_stays_in_the_tab(
    serve: Serve, browser: Browser, tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    key, _ = issue_key(file)
    strict = {"BIREFNET_REQUIRE_KEY": "true", "BIREFNET_KEYS_FILE": str(file)}
    with serve(**strict, **NO_LIMITS) as server, at(server, browser) as visit:
        visit.give(("a.png", PORTRAIT))
        visit.wait_failed("API_KEY_REQUIRED")
        for given in (WRONG_KEY, key):
            visit.button("Enter a key").click()
            visit.page.get_by_label("API key").fill(given)
            visit.button("Use this key").click()
            if given == WRONG_KEY:
                visit.wait_failed("INVALID_API_KEY")
        visit.wait_done(1)
        kept = "JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])"
        assert "bgr_" not in visit.page.evaluate(kept)


def test_a_folder_is_told_from_a_connection_that_broke(
    fake_server: BentoServer, browser: Browser, tmp_path: Path
) -> None:
    gone = tmp_path / "gone.png"
    gone.write_bytes(PORTRAIT)
    with at(fake_server, browser) as visit:
        visit.page.route("**/remove", lambda route: route.abort())
        visit.page.set_input_files("input[type=file]", gone)
        gone.unlink()
        visit.wait_failed("UNREADABLE", within_ms=20_000)
        visit.page.unroute("**/remove")
        assert_usable(visit)


def test_thousands_of_files_that_are_refused_at_once_are_all_refused(
    fake_server: BentoServer, browser: Browser
) -> None:
    with at(fake_server, browser) as visit:
        add = """() => {
          const data = new DataTransfer();
          for (let i = 0; i < 1500; i += 1) data.items.add(new File([], `${i}.png`));
          dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true}));
        }"""
        visit.page.evaluate(add)
        expect(visit.page.get_by_text("0 of 1500 done, 1500 failed")).to_be_visible(timeout=90_000)
        assert visit.answers == []


@pytest.mark.full
@pytest.mark.timeout(400)
def test_more_pictures_than_a_minute_allows_all_finish(serve: Serve, browser: Browser) -> None:
    with serve() as server, at(server, browser) as visit:
        visit.give(*[(f"{i}.png", PORTRAIT) for i in range(45)])
        visit.page.get_by_text("This service takes 30 pictures a minute.").wait_for(timeout=60_000)
        visit.wait_done(45, within_ms=180_000)
        assert visit.answers.count(200) == 45
        assert visit.page.locator("[data-stage=failed]").count() == 0
