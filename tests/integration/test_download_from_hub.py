"""A checkpoint of unpublished hash: asked of a hub, verified by its digest, pinned ever after."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from models.catalog import find
from models.checkpoints.download import Hub, download
from models.checkpoints.http_download import site_of
from models.checkpoints.hub import next_address
from models.checkpoints.provenance import read_provenance
from models.errors import ChecksumMismatch, DownloadFailed
from scripts.download_model import main as download_model
from tests.support.file_server import FileServer, open_file_server

LITE = find("BiRefNet-general-lite")
REPOSITORY = "ZhengPeng7/BiRefNet_lite"
FIRST, SECOND = "1" * 40, "2" * 40
ROOT = Path(__file__).parents[2]


def make_content(seed: int) -> bytes:
    return np.random.default_rng(seed).bytes(3_000_000)


MAIN = f"/{REPOSITORY}/resolve/main/model.safetensors"
OLD, NEW = make_content(1), make_content(2)


@pytest.fixture
def hub() -> Iterator[FileServer]:
    """A hub whose newest commit is the first."""
    with open_file_server() as server:
        server.add_hub_file(REPOSITORY, OLD, FIRST)
        yield server


def move_on(hub: FileServer) -> None:
    """The author uploads other weights under the same name."""
    hub.add_hub_file(REPOSITORY, NEW, SECOND)


def left_in(folder: Path) -> list[str]:
    """Names in a folder, but for its lock."""
    return sorted(file.name for file in folder.iterdir() if file.name != ".lock")


def test_a_checkpoint_is_fetched_verified_and_recorded(hub: FileServer, tmp_path: Path) -> None:
    file = download(LITE, tmp_path, hub=Hub(hub.url))
    assert file.read_bytes() == OLD
    assert left_in(tmp_path) == ["BiRefNet-general-lite.json", "BiRefNet-general-lite.safetensors"]
    record = read_provenance(tmp_path, LITE.name)
    assert record is not None
    assert (record.origin, record.revision) == (f"{site_of(hub.url)}/{REPOSITORY}", FIRST)
    assert record.sha256 == hashlib.sha256(OLD).hexdigest()
    assert record.size_bytes == len(OLD)


def test_the_content_is_asked_for_at_the_commit_and_not_at_the_branch(
    hub: FileServer, tmp_path: Path
) -> None:
    download(LITE, tmp_path, hub=Hub(hub.url))
    asked = [path for path, _ in hub.asked]
    assert asked[0] == f"/{REPOSITORY}/resolve/main/model.safetensors"
    assert asked[1] == f"/{REPOSITORY}/resolve/{FIRST}/model.safetensors"


def test_what_is_here_is_not_asked_for_again(hub: FileServer, tmp_path: Path) -> None:
    download(LITE, tmp_path, hub=Hub(hub.url))
    hub.asked.clear()
    download(LITE, tmp_path, hub=Hub(hub.url))
    assert hub.asked == []


def test_a_lost_file_comes_back_as_it_was_though_the_hub_moved_on(
    hub: FileServer, tmp_path: Path
) -> None:
    file = download(LITE, tmp_path, hub=Hub(hub.url))
    file.unlink()
    move_on(hub)
    assert download(LITE, tmp_path, hub=Hub(hub.url)).read_bytes() == OLD


def test_another_revision_is_taken_and_pinned_only_on_purpose(
    hub: FileServer, tmp_path: Path
) -> None:
    download(LITE, tmp_path, hub=Hub(hub.url))
    move_on(hub)
    assert download(LITE, tmp_path, hub=Hub(hub.url, revision="main")).read_bytes() == NEW
    record = read_provenance(tmp_path, LITE.name)
    assert record is not None
    assert record.revision == SECOND
    assert download(LITE, tmp_path, hub=Hub(hub.url)).read_bytes() == NEW
    assert download(LITE, tmp_path, hub=Hub(hub.url, revision=FIRST)).read_bytes() == OLD


def test_a_hub_that_changed_a_commit_is_not_believed(hub: FileServer, tmp_path: Path) -> None:
    file = download(LITE, tmp_path, hub=Hub(hub.url))
    file.unlink()
    hub.add_hub_file(REPOSITORY, NEW, FIRST)
    with pytest.raises(ChecksumMismatch, match="nothing was fetched"):
        download(LITE, tmp_path, hub=Hub(hub.url))
    assert left_in(tmp_path) == ["BiRefNet-general-lite.json"]


def test_other_bytes_than_the_hub_announced_leave_nothing(hub: FileServer, tmp_path: Path) -> None:
    hub.files[f"/storage/{hashlib.sha256(OLD).hexdigest()}"] = NEW
    with pytest.raises(ChecksumMismatch, match="nothing was kept"):
        download(LITE, tmp_path, hub=Hub(hub.url))
    assert left_in(tmp_path) == []


def test_a_repository_that_was_renamed_is_followed(hub: FileServer, tmp_path: Path) -> None:
    here = f"/{REPOSITORY}/resolve/main/model.safetensors"
    there = here.replace("BiRefNet_lite", "BiRefNet_T")
    hub.redirects[there] = hub.redirects[here]
    hub.redirects[here] = {"Location": there}
    assert download(LITE, tmp_path, hub=Hub(hub.url)).read_bytes() == OLD


def test_a_mirror_without_digests_serves_only_what_is_recorded(
    hub: FileServer, tmp_path: Path
) -> None:
    file = download(LITE, tmp_path, hub=Hub(hub.url))
    file.unlink()
    hub.redirects.clear()
    hub.files[f"/{REPOSITORY}/resolve/{FIRST}/model.safetensors"] = OLD
    assert download(LITE, tmp_path, hub=Hub(hub.url)).read_bytes() == OLD
    with pytest.raises(DownloadFailed, match="names no sha256"):
        download(LITE, tmp_path / "elsewhere", hub=Hub(hub.url, revision=FIRST))


def test_without_a_hub_one_sentence_names_the_other_way(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed) as failed:
        download(LITE, tmp_path, hub=Hub("http://127.0.0.1:9"))
    said = str(failed.value)
    assert said.startswith("BiRefNet-general-lite could not be downloaded (")
    assert said.endswith("--model BiRefNet-general-lite --from-file PATH")
    assert "\n" not in said
    assert left_in(tmp_path) == []


def test_a_repository_that_is_not_there_says_so(hub: FileServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match=r"has no model.safetensors of .* at gone"):
        download(LITE, tmp_path, hub=Hub(hub.url, revision="gone"))


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "at main is missing or private (status 401 Unauthorized)"),
        (403, "at main is missing or private (status 403 Forbidden)"),
        (429, "cannot serve now (status 429 Too Many Requests)"),
        (503, "cannot serve now (status 503 Service Unavailable)"),
    ],
)
def test_an_error_of_the_hub_is_told_for_what_it_is(
    status: int, said: str, hub: FileServer, tmp_path: Path
) -> None:
    del hub.redirects[MAIN]
    hub.statuses[MAIN] = status
    with pytest.raises(DownloadFailed) as failed:
        download(LITE, tmp_path, hub=Hub(hub.url))
    assert said in str(failed.value)
    assert "has no" not in str(failed.value)


def test_storage_that_lost_the_file_is_told_without_its_signed_address(
    hub: FileServer, tmp_path: Path
) -> None:
    commit = MAIN.replace("main", FIRST)
    hub.redirects[commit] = {"Location": f"{hub.url}/storage/gone?Signature=secret"}
    with pytest.raises(DownloadFailed, match="status 404 Not Found from ") as failed:
        download(LITE, tmp_path, hub=Hub(hub.url))
    assert "secret" not in str(failed.value)
    assert "\n" not in str(failed.value)


def test_a_hub_that_sends_more_than_it_announced_is_stopped(
    hub: FileServer, tmp_path: Path
) -> None:
    hub.files[f"/storage/{hashlib.sha256(OLD).hexdigest()}"] = OLD * 10
    told: list[tuple[int, int]] = []
    with pytest.raises(ChecksumMismatch, match=f"larger than the {len(OLD)} bytes"):
        download(LITE, tmp_path, lambda *done: told.append(done), Hub(hub.url))
    assert told[-1][0] <= len(OLD)
    assert {total for _, total in told} == {len(OLD)}


def test_a_branch_is_asked_again_though_a_mirror_names_no_commit(
    hub: FileServer, tmp_path: Path
) -> None:
    mirror = Hub(hub.url, revision="main")
    del hub.redirects[MAIN]["X-Repo-Commit"]
    hub.redirects[MAIN]["Location"] = "/there"
    linked = {name: hub.redirects[MAIN][name] for name in ("X-Linked-ETag", "X-Linked-Size")}
    hub.files["/there"] = OLD
    hub.headers["/there"] = linked
    assert download(LITE, tmp_path, hub=mirror).read_bytes() == OLD
    hub.files["/there"] = NEW
    hub.headers["/there"] = {
        "X-Linked-ETag": hashlib.sha256(NEW).hexdigest(),
        "X-Linked-Size": str(len(NEW)),
    }
    assert download(LITE, tmp_path, hub=mirror).read_bytes() == NEW


def test_content_that_did_not_change_is_not_fetched_again(hub: FileServer, tmp_path: Path) -> None:
    download(LITE, tmp_path, hub=Hub(hub.url))
    hub.add_hub_file(REPOSITORY, OLD, SECOND)
    hub.asked.clear()
    download(LITE, tmp_path, hub=Hub(hub.url, revision="main"))
    assert [path for path, _ in hub.asked] == [MAIN]
    record = read_provenance(tmp_path, LITE.name)
    assert record is not None
    assert record.revision == SECOND


def test_a_plain_etag_is_no_digest(hub: FileServer, tmp_path: Path) -> None:
    hub.redirects.clear()
    hub.files[MAIN] = OLD
    hub.headers[MAIN] = {"ETag": f'"{hashlib.sha256(OLD).hexdigest()}"'}
    with pytest.raises(DownloadFailed, match="names no sha256"):
        download(LITE, tmp_path, hub=Hub(hub.url))


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"location": "http://hub.example/there"}, "redirects from https to http"),
        ({"location": "https://hub.example:port/"}, "redirects to nowhere"),
        ({}, r"redirects to nowhere \(status 302 Found\)"),
    ],
)
def test_a_redirect_off_tls_or_to_nowhere_is_not_followed(
    headers: dict[str, str], said: str
) -> None:
    asked = httpx.Request("HEAD", "https://hub.example/here")
    with pytest.raises(DownloadFailed, match=said):
        next_address(httpx.Response(302, headers=headers, request=asked))


def test_redirects_without_end_are_given_up(hub: FileServer, tmp_path: Path) -> None:
    here = f"/{REPOSITORY}/resolve/main/model.safetensors"
    hub.redirects[here] = {"Location": here}
    with pytest.raises(DownloadFailed, match="redirects without end"):
        download(LITE, tmp_path, hub=Hub(hub.url))


def test_a_killed_download_goes_on_and_was_never_taken_for_whole(
    hub: FileServer, tmp_path: Path
) -> None:
    hub.seconds_per_piece = 0.1
    command = [sys.executable, "-m", "scripts.download_model", "--model", LITE.name]
    command += ["--mirror", hub.url, "--output-dir", str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    give_up = time.monotonic() + 30
    while not any(f.stat().st_size for f in tmp_path.glob("*.part")):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (part,) = left_in(tmp_path)
    assert part.endswith(".part")
    kept = (tmp_path / part).stat().st_size
    assert 0 < kept < len(OLD)
    hub.seconds_per_piece = 0
    assert download(LITE, tmp_path, hub=Hub(hub.url)).read_bytes() == OLD
    assert hub.asked[-1][1] == f"bytes={kept}-"
    assert len(left_in(tmp_path)) == 2


def test_a_part_of_one_revision_is_never_continued_with_another(
    hub: FileServer, tmp_path: Path
) -> None:
    hub.cut_after = [1_000_000]
    with pytest.raises(DownloadFailed):
        download(LITE, tmp_path, hub=Hub(hub.url))
    move_on(hub)
    assert download(LITE, tmp_path, hub=Hub(hub.url)).read_bytes() == NEW


def test_the_script_takes_a_mirror_and_names_what_it_pinned(
    hub: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", LITE.name, "--mirror", hub.url, "--output-dir", str(tmp_path)]
    assert download_model(options) == 0
    assert f"(verified; {site_of(hub.url)}/{REPOSITORY}@{FIRST})" in capsys.readouterr().out
    assert json.loads((tmp_path / f"{LITE.name}.json").read_text())["revision"] == FIRST


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("BiRefNet-product", 1, "no BiRefNet-product was ever published: BiRefNet-general serves"),
        ("BiRefNet-anime", 1, "no BiRefNet-anime was ever published: ToonOut"),
    ],
)
def test_a_name_that_was_never_published_says_so(
    name: str, status: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", name, "--mirror", "http://127.0.0.1:9", "--output-dir", str(tmp_path)]
    assert download_model(options) == status
    assert said in capsys.readouterr().err
