"""The command `birefnet` against a real service: what is made, what is never lost, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from birefnet_client.address import PREFIX
from tests.support.command import COMMAND, birefnet, start, surroundings
from tests.support.keys import WRONG_KEY
from tests.support.pictures import make_image, open_image
from tests.support.server import BentoServer, Serve

PHOTO = make_image("PNG", 96, 128)
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def url(fake_server: BentoServer) -> str:
    return fake_server.url("")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A tree with two files of one name, a broken file and something else."""
    folder = tmp_path / "photos"
    for name, data in {
        "a/x.png": PHOTO,
        "b/x.png": make_image("PNG", 80, 100),
        "b/x.webp": make_image("WEBP", 80, 100),
        "b/broken.jpg": b"\xff\xd8\xff no picture",
        "b/notes.txt": b"not a picture",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def wait_until(condition: Callable[[], bool], within_s: float = 60) -> None:
    give_up = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def test_one_picture_lies_beside_itself_with_the_bytes_of_curl(
    fake_server: BentoServer, url: str, tmp_path: Path
) -> None:
    (tmp_path / "photo.png").write_bytes(PHOTO)
    ran = birefnet("photo.png", url=url, cwd=tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"photo-cutout.png\n", b"")
    made = fake_server.remove(PHOTO).content
    assert files_in(tmp_path) == {"photo.png": PHOTO, "photo-cutout.png": made}


def test_a_picture_goes_through_from_stdin_to_stdout(fake_server: BentoServer, url: str) -> None:
    ran = birefnet("-", url=url, stdin=PHOTO)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout == fake_server.remove(PHOTO).content
    bad = birefnet("-", url=url, stdin=b"no picture")
    assert (bad.returncode, bad.stdout) == (1, b"")
    assert b"[INVALID_FORMAT]" in bad.stderr


@pytest.mark.full
def test_options_do_what_the_api_s_do(fake_server: BentoServer, url: str, tmp_path: Path) -> None:
    ground = tmp_path / "ground.png"
    ground.write_bytes(make_image("PNG", 64, 64))
    for words, form in (
        (["--mask", "--format", "webp", "--quality", "50"], "output=mask format=webp quality=50"),
        (["--bg", "white", "--format", "jpeg"], "bg_color=white format=jpeg"),
        (["--bg", "studio-gray", "--size", "preview"], "background_id=studio-gray size=preview"),
        (["--bg", "blur"], "bg_blur=3.0"),
        (["--crop", "--option", "crop_margin=10%"], "crop=true crop_margin=10%"),
    ):
        fields = dict(pair.split("=") for pair in form.split())
        ran = birefnet("-", *words, url=url, stdin=PHOTO)
        assert ran.stdout == fake_server.remove(PHOTO, **fields).content, ran.stderr
    ran = birefnet("-", "--bg", ground, url=url, stdin=PHOTO)
    assert open_image(ran.stdout).mode == "RGB"
    ran = birefnet("-", "-o", tmp_path / "out.webp", url=url, stdin=PHOTO)
    assert ran.returncode == 0
    assert open_image((tmp_path / "out.webp").read_bytes()).format == "WEBP"


def test_a_tree_is_kept_and_one_broken_file_keeps_no_other(
    url: str, photos: Path, tmp_path: Path
) -> None:
    sources = files_in(photos)
    ran = birefnet(photos, "-o", tmp_path / "out", url=url)
    assert ran.returncode == 1
    named, sums = ran.stderr.decode().splitlines()
    assert f"{photos}/b/broken.jpg: " in named
    assert sums == "birefnet: 3 done, 0 were there, 1 failed"
    made = files_in(tmp_path / "out")
    assert set(made) == {"a/x.png", "b/x.png.png", "b/x.webp.png"}
    assert open_image(made["a/x.png"]).size == (128, 96)
    assert files_in(photos) == sources

    again = birefnet(photos, "-o", tmp_path / "out", "--json", url=url)
    assert again.returncode == 1
    told = [json.loads(line) for line in again.stdout.splitlines()]
    assert sorted(one["status"] for one in told) == ["failed", *["finished"], *["skipped"] * 3]
    assert told[-1] == {"status": "finished", "done": 0, "skipped": 3, "failed": 1, "left": 0}
    (failed,) = (one for one in told if one["status"] == "failed")
    assert failed["error_code"] in ("CORRUPT_IMAGE", "INVALID_FORMAT")
    assert failed["request_id"]
    assert files_in(tmp_path / "out") == made


@pytest.mark.full
def test_a_wrong_option_ends_all_with_the_first_picture(
    url: str, photos: Path, tmp_path: Path
) -> None:
    for words in (["--format", "jpeg"], ["--size", "huge"], ["--bg", "no-such-ground"]):
        ran = birefnet(photos, "-o", tmp_path / "out", *words, "--workers", "1", url=url)
        assert ran.returncode == 2
        named, sums = ran.stderr.splitlines()
        assert b"[INVALID_REQUEST]" in named or b"[BACKGROUND_NOT_FOUND]" in named
        assert sums.endswith(b"0 done, 0 were there, 1 failed, 3 left")


@pytest.mark.full
def test_what_a_hand_made_is_not_replaced_unless_asked(
    url: str, photos: Path, tmp_path: Path
) -> None:
    source, target = photos / "a/x.png", tmp_path / "mine.png"
    target.write_bytes(b"mine")
    os.utime(target, (1, 1))
    ran = birefnet(source, "-o", target, url=url)
    assert ran.returncode == 1
    assert b"is older than its source" in ran.stderr
    assert target.read_bytes() == b"mine"
    assert birefnet(source, "-o", target, "--overwrite", url=url).returncode == 0
    assert target.read_bytes() != b"mine"
    ran = birefnet(source, "-o", source, "--overwrite", url=url)
    assert ran.returncode == 1
    assert b"the source itself" in ran.stderr
    assert source.read_bytes() == PHOTO


def test_a_target_that_cannot_be_written_is_named(url: str, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a").write_bytes(b"a file where a folder must be")
    ran = birefnet(photos, "-o", tmp_path / "out", url=url)
    assert ran.returncode == 1
    assert b"out/a" in ran.stderr
    assert b"[FILE_ERROR]" in ran.stderr
    assert set(files_in(tmp_path / "out")) == {"a", "b/x.png.png", "b/x.webp.png"}


def test_patterns_lists_and_missing_files(url: str, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"{photos}/a/x.png\n\n{photos}/nowhere.png\n")
    ran = birefnet(f"@{tmp_path}/list.txt", f"{photos}/b/*.webp", "-o", tmp_path / "o", url=url)
    assert ran.returncode == 1
    assert b"nowhere.png: No such file" in ran.stderr
    assert set(files_in(tmp_path / "o")) == {"x.png.png", "x.webp.png"}


@pytest.mark.full
def test_rembg_s_commands_mean_the_same(url: str, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "in.png").write_bytes(PHOTO)
    assert birefnet("i", "in.png", url=url, cwd=tmp_path).returncode == 0
    assert birefnet("i", "-m", "u2netp", "in.png", "o.png", url=url, cwd=tmp_path).returncode == 0
    assert (tmp_path / "in.out.png").read_bytes() == (tmp_path / "o.png").read_bytes()
    words = ("i", "-om", "-ppm", "-a", "-ae", "15", "in.png", "mask.png")
    assert birefnet(*words, url=url, cwd=tmp_path).returncode == 0
    assert open_image((tmp_path / "mask.png").read_bytes()).mode == "L"
    ran = birefnet("i", "-bgc", "255", "0", "0", "255", "-", "-", url=url, stdin=PHOTO)
    assert open_image(ran.stdout).mode == "RGB", ran.stderr
    assert birefnet("p", photos, tmp_path / "out", url=url).returncode == 1
    assert len(files_in(tmp_path / "out")) == 3
    ran = birefnet("p", "-d", photos, tmp_path / "out", url=url)
    assert ran.returncode == 2


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["photos"],
        ["photos", "-o", "photos"],
        ["photos", "-o", "a.png"],
        ["a.png", "-", "-o", "out"],
        ["-", "--json"],
        ["a.png", "--watch"],
        ["a.png", "-o", "b.tiff"],
        ["a.png", "-o", "b.jpg", "--format", "png"],
        ["*.nothing"],
        ["@nowhere"],
        ["a.png", "--bg", "nowhere.png"],
        ["a.png", "--option", "smooting=true"],
        ["a.png", "--quality", "high"],
        ["a.png", "--mask", "--nonsense"],
        ["a.png", "--server", "localhost:1"],
        ["a.png", "--api-key", "geheim"],
        ["s"],
        ["b", "640", "480"],
        ["d", "u2net"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_told_before_anything_is_sent(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "photos/a.png"):
        (tmp_path / name).write_bytes(PHOTO)
    ran = birefnet(*words, url=NOBODY, cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, b""), ran.stderr
    assert b"Traceback" not in ran.stderr
    assert set(files_in(tmp_path)) == {"a.png", "photos/a.png"}


def test_no_service_is_told_at_once_and_is_no_fault_of_a_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PHOTO)
    ran = birefnet(tmp_path / "a.png", "--patience", "0", url=NOBODY)
    assert (ran.returncode, ran.stdout) == (3, b"")
    assert len(ran.stderr.splitlines()) == 1
    assert b"127.0.0.1:9" in ran.stderr


@pytest.mark.full
def test_a_wrong_key_ends_all_and_stands_nowhere(
    serve: Serve, photos: Path, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text('{"keys": []}')
    with serve(BIREFNET_KEYS_FILE=str(keys)) as server:
        (tmp_path / "key").write_text(f"{WRONG_KEY}\n")
        file = {"BIREFNET_API_KEY_FILE": str(tmp_path / "key")}
        ran = birefnet(photos, "-o", tmp_path / "out", url=server.url(""), **file)
        assert WRONG_KEY not in server.log()
    assert ran.returncode == 3
    assert b"[INVALID_API_KEY]" in ran.stderr
    assert WRONG_KEY.encode() not in ran.stdout + ran.stderr
    ran = birefnet(photos, "-o", tmp_path / "out", url=NOBODY, BIREFNET_API_KEY="ge\theim")
    assert (ran.returncode, b"heim" in ran.stderr) == (2, False)


def test_an_interrupt_loses_nothing_and_the_next_run_goes_on(url: str, tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for number in range(60):
        (photos / f"{number:02}.png").write_bytes(PHOTO)
    ran = start(photos, "-o", out, "--workers", "2", url=url)
    wait_until(lambda: out.is_dir() and len(list(out.iterdir())) >= 3)
    ran.send_signal(signal.SIGINT)
    _, told = ran.communicate(timeout=20)
    assert ran.returncode == 130, told
    assert b"Traceback" not in told
    assert b" left" in told
    first = files_in(out)
    assert 3 <= len(first) < 60
    assert all(open_image(data).size == (128, 96) for data in first.values())
    assert not [name for name in first if name.endswith(".part")]
    again = birefnet(photos, "-o", out, url=url)
    assert (again.returncode, len(files_in(out))) == (0, 60)
    assert again.stdout.count(b"(was there)") == len(first)
    assert files_in(out).items() >= first.items()


@pytest.mark.full
def test_a_folder_is_watched(url: str, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = start(photos, "-o", out, "--watch", url=url)
    wait_until(lambda: (out / "a/x.png").exists())
    (photos / "a/new").mkdir()
    with (photos / "a/new/late.png").open("wb") as slow:
        slow.write(PHOTO[:1000])
        slow.flush()
        time.sleep(1.5)
        slow.write(PHOTO[1000:])
    wait_until(lambda: (out / "a/new/late.png").exists())
    ran.send_signal(signal.SIGINT)
    _, told = ran.communicate(timeout=20)
    assert ran.returncode == 130
    assert told.count(b"failed") == told.count(b"0 failed") + told.count(b"1 failed")
    assert open_image((out / "a/new/late.png").read_bytes()).size == (128, 96)


@pytest.mark.full
def test_names_that_are_no_text_or_steer_a_terminal(url: str, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in (b"ph\xffoto.png", b"a\nb.png", b"\x1b[2Jc.png", b"-o.png", "\u0434.png".encode()):
        (photos / os.fsdecode(name)).write_bytes(PHOTO)
    (photos / os.fsdecode(b"\xffbroken\x1b[2J.jpg")).write_bytes(b"broken")
    ran = birefnet(photos, "-o", tmp_path / "out", url=url)
    assert ran.returncode == 1, ran.stderr
    assert {os.fsencode(file.name) for file in (tmp_path / "out").iterdir()} == {
        *(b"ph\xffoto.png", b"a\nb.png", b"\x1b[2Jc.png", b"-o.png", "\u0434.png".encode())
    }
    assert b"\x1b" not in ran.stdout + ran.stderr
    assert len(ran.stdout.splitlines()) == 5
    as_json = birefnet(photos, "-o", tmp_path / "out", "--json", url=url).stdout
    sources = [json.loads(line).get("source") for line in as_json.splitlines()]
    assert os.fsdecode(photos / os.fsdecode(b"ph\xffoto.png")) in sources
    ran = birefnet("--", "-o.png", url=url, cwd=photos)
    assert ran.stdout == b"-o-cutout.png\n", ran.stderr


def test_a_terminal_shows_a_bar_and_the_errors_above_it(
    url: str, photos: Path, tmp_path: Path
) -> None:
    ours, theirs = os.openpty()
    ran = subprocess.run(
        [*COMMAND, photos, "-o", tmp_path / "out"],
        env=surroundings(url),
        stdout=subprocess.PIPE,
        stderr=theirs,
        timeout=60,
        check=False,
    )
    os.close(theirs)
    told = os.read(ours, 100_000).decode()
    os.close(ours)
    assert (ran.returncode, ran.stdout) == (1, b"")
    assert "\r[########################] 4/4" in told
    assert f"\r\x1b[Kbirefnet: {photos}/b/broken.jpg: " in told


def test_a_reader_that_leaves_ends_it_without_a_traceback(
    url: str, photos: Path, tmp_path: Path
) -> None:
    ran = start(photos, "-o", tmp_path / "out", "--json", url=url)
    assert ran.stdout is not None
    ran.stdout.close()
    assert ran.stderr is not None
    told = ran.stderr.read()
    assert (ran.wait(20), told.count(b"Traceback")) == (1, 0), told
    ran.stderr.close()


@pytest.mark.full
def test_a_server_that_dies_and_comes_back_amid_200_files(
    model_store: Path, tmp_path: Path
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for number in range(200):
        (photos / f"{number:03}.png").write_bytes(PHOTO)
    off = {"BIREFNET_RATE_LIMIT_PER_MINUTE": "0", "BIREFNET_RATE_LIMIT_PER_SECOND": "0"}
    with BentoServer(model_store, {"BIREFNET_ENGINE": "fake", **off}) as server:
        ran = start(photos, "-o", out, "--json", url=server.url(""))
        wait_until(lambda: out.is_dir() and len(list(out.iterdir())) >= 20)
        workers = server.workers().values()
        server.supervisor.kill()
        for worker in workers:
            worker.kill()
        server.wait_for_end()
        time.sleep(2)
        there = len(files_in(out))
        assert there < 200
        server.launch()
        server.wait_until_ready()
        told, errors = ran.communicate(timeout=200)
    assert ran.returncode == 0, errors
    done = [json.loads(line) for line in told.splitlines()]
    sources = [one["source"] for one in done if one["status"] == "done"]
    assert (len(sources), len(set(sources)), len(files_in(out))) == (200, 200, 200)
    assert PREFIX not in errors.decode()
