"""A storage: whole or not at all, for nobody else, and every fault by its name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.blobs.blobs import (
    BadStorage,
    Blobs,
    StorageFull,
    StorageUnavailable,
    folder_of,
    make_folder,
    open_store,
)
from tests.support.server import REPOSITORY

pytestmark = pytest.mark.anyio

MB = 1024**2
# Writes one large blob after the other, and says when it begins.
WRITER = """
import asyncio, sys
from service.blobs.blobs import Blobs

async def main():
    blobs, data = Blobs(sys.argv[1]), bytes(64 * 1024**2)
    for number in range(1000):
        print(number, flush=True)
        await blobs.put(f"a/b/{number}", data)

asyncio.run(main())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_folder(tmp_path / "storage")
    return tmp_path / "storage"


async def test_what_is_put_is_there_whole_until_it_is_deleted(folder: Path) -> None:
    blobs = Blobs(str(folder))
    await blobs.put("a/b/one", b"0123456789")
    await blobs.put("a/c/two", b"")
    assert await blobs.read("a/b/one", 4) == b"0123"
    assert await blobs.read("a/b/one", 1000) == b"0123456789"
    assert [(blob.path, blob.n_bytes) for blob in await blobs.all_in("a/b")] == [("a/b/one", 10)]
    assert await blobs.all_in("nothing") == []
    assert await blobs.read("a/b/none", 4) is None
    await blobs.delete("a/b/one")
    await blobs.delete("a/b/one")
    assert await blobs.read("a/b/one", 4) is None
    assert await blobs.notes() == []


async def test_only_we_may_enter(folder: Path) -> None:
    old = os.umask(0)
    try:
        await Blobs(str(folder)).put("a/b/one", b"1")
    finally:
        os.umask(old)
    for place in (folder, folder / "a", folder / "a/b"):
        assert place.stat().st_mode & 0o777 == 0o700, place
    assert (folder / "a/b/one").stat().st_mode & 0o777 == 0o600


def test_an_operator_s_own_folder_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    tmp_path.chmod(0o755)
    make_folder(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o755


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
async def test_a_writer_that_is_killed_leaves_nothing_that_is_seen(folder: Path) -> None:
    left = 0
    for attempt in range(12):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder)], cwd=REPOSITORY, stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.007 * attempt)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        left += len(list(folder.rglob("*#*")))
        assert {blob.n_bytes for blob in await Blobs(str(folder)).all_in("a")} <= {64 * MB}
        for file in (folder / "a/b").glob("[0-9]*"):
            if "#" not in file.name:
                file.unlink()
        if left:
            break
    assert left, "no kill came in the middle of a write"
    blobs = Blobs(str(folder))
    await blobs.put("a/b/new", b"1")
    assert list(folder.rglob("*#*")), "it may be another replica's that is writing now"
    for leftover in folder.rglob("*#*"):
        os.utime(leftover, (time.time() - 100,) * 2)
    await blobs.put("a/b/newer", b"1")
    assert list(folder.rglob("*#*")) == []
    assert len(await blobs.all_in("a/b")) == 2


async def test_leftovers_go_at_the_start_and_nothing_else_does(folder: Path) -> None:
    (folder / "a/b").mkdir(parents=True)
    for name in ("x#1", "y#22", "z#", "#3", "n#1a", "plain"):
        (folder / "a/b" / name).write_bytes(b"1")
        os.utime(folder / "a/b" / name, (time.time() - 100,) * 2)
    assert Blobs(str(folder)).clean() == 2
    assert {file.name for file in (folder / "a/b").iterdir()} == {"z#", "#3", "n#1a", "plain"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


async def test_a_full_disk_is_told_and_keeps_no_half(small_disk: Path) -> None:
    blobs = Blobs(str(small_disk))
    await blobs.put("a/small", bytes(1000))
    with pytest.raises(StorageFull):
        await blobs.put("a/large", bytes(3 * MB))
    assert await blobs.notes() == ["the storage is full"]
    assert [blob.path for blob in await blobs.all_in("a")] == ["a/small"]
    assert [file.name for file in small_disk.rglob("*") if file.is_file()] == ["small"]
    await blobs.put("a/other", bytes(1000))
    assert await blobs.notes() == []


async def test_a_folder_that_is_gone_is_an_error_and_comes_back(folder: Path) -> None:
    blobs, away = Blobs(str(folder)), folder.with_name("away")
    await blobs.put("a/one", b"1")
    folder.rename(away)
    for work in (
        blobs.put("a/two", b"2"),
        blobs.read("a/one", 1),
        blobs.all_in("a"),
    ):
        with pytest.raises(StorageUnavailable):
            await work
    assert not folder.exists()
    assert await blobs.notes() == ["the storage does not answer"]
    away.rename(folder)
    assert await blobs.read("a/one", 1) == b"1"


async def test_a_folder_that_is_gone_at_the_start_may_come_later(folder: Path) -> None:
    folder.rename(folder.with_name("away"))
    blobs = Blobs(str(folder))
    with pytest.raises(StorageUnavailable):
        await blobs.all_in("a")
    folder.with_name("away").rename(folder)
    assert await blobs.all_in("a") == []


async def test_a_bucket_that_nobody_serves_is_an_error_soon(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in (
        ("AWS_ENDPOINT", "http://127.0.0.1:9"),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "an-id"),
        ("AWS_SECRET_ACCESS_KEY", "a-secret"),
    ):
        monkeypatch.setenv(name, value)
    blobs, started = Blobs("s3://bucket/prefix"), time.monotonic()
    with pytest.raises(StorageUnavailable):
        await blobs.put("a/one", b"1")
    assert await blobs.notes() == ["the storage does not answer"]
    assert time.monotonic() - started < 10
    assert "the storage refused" in caplog.text
    assert "a-secret" not in caplog.text


@pytest.mark.parametrize("address", ["s3://", "s3:///x", "ftp://a/b", "http://a/b", "s3://u:p@b/x"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(BadStorage):
        open_store(address)


def test_a_folder_is_a_path_or_an_address() -> None:
    assert folder_of("/a/b") == folder_of("file:///a/b") == Path("/a/b")
    assert folder_of("~/x") == Path.home() / "x"
    assert folder_of("file:///a%20b") == Path("/a b")
    assert folder_of("s3://a/b") is None
