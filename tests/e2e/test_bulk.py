"""The command `birefnet-batch`: killed and begun again, in folders and buckets, on a real Ray."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="requirements-bulk.lock is not installed")

from scripts.bulk.jobs import (
    Ended,
    rows_of,
    run,
    running,
    stamps,
    wait_for,
    workers_of,
)
from scripts.bulk.killed import fill, kill_and_go_on
from service.bulk.place import Place
from tests.support.pictures import make_image
from tests.support.s3 import S3Server
from tests.support.server import REPOSITORY, BentoServer

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

KINDS = (make_image("JPEG", 160, 200), make_image("PNG", 200, 160))
# The command with a worker of a test's own.
OTHERWISE = """
import os, sys
from service.bulk import cluster, command
from service.bulk.rows import failed
from service.bulk.worker import Worker

class Other(Worker):
{0}

cluster.Worker = Other
command.main(sys.argv[1:])
"""
DEADLY = """
    def _row(self, picture):
        if "deadly" in picture.path:
            os._exit(9)
        return super()._row(picture)
"""
NO_ENGINE = """
    def __init__(self, job):
        raise RuntimeError("no engine for this machine")
"""
FULL = """
    def _row(self, picture):
        return failed(picture, "STORAGE_FULL", "The storage is full")
"""


@pytest.fixture(autouse=True)
def _surroundings(model_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(model_store)
    for name, value in {
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        "BIREFNET_CACHE_DIR": str(tmp_path / "cache"),
        "BIREFNET_STORAGE_URL": str(tmp_path / "storage"),
        "LOG_LEVEL": "warning",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def places(tmp_path: Path) -> tuple[Place, Place]:
    return Place(str(tmp_path / "in"), make=True), Place(str(tmp_path / "out"), make=True)


def batch(tmp_path: Path, source: Place, target: Place, *words: str) -> Ended:
    return run(tmp_path / "said", source.address, target.address, *words)


def otherwise(worker: str, source: Place, target: Place) -> subprocess.CompletedProcess[bytes]:
    """Run the command to its end, with another worker."""
    program = OTHERWISE.format(worker)
    command = [sys.executable, "-c", program, source.address, target.address, "--actors", "1"]
    return subprocess.run(
        command, capture_output=True, check=False, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}
    )


def test_a_killed_worker_and_a_killed_driver_cost_no_picture_and_no_byte(
    places: tuple[Place, Place], real_server: BentoServer, tmp_path: Path
) -> None:
    source, target = places
    corpus = fill(source, KINDS, 72, 4)
    wanted = [real_server.remove(kind).content for kind in KINDS]
    words = ("--model", "u2netp", "--actors", "2")
    found = kill_and_go_on(corpus, target, words, tmp_path, wanted)
    assert found.faults == []
    assert found.before >= 36
    assert found.codes == {"EMPTY_FILE": 2, "INVALID_FORMAT": 1, "CORRUPT_IMAGE": 1}
    before = stamps(target)
    ended = batch(tmp_path, source, target, *words)
    assert (ended.status, stamps(target)) == (1, before), ended.said


def test_a_picture_that_ends_its_process_is_a_row_and_keeps_no_other(
    places: tuple[Place, Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = places
    monkeypatch.setenv("BIREFNET_ENGINE", "fake")
    for name in ("a.png", "b.png", "c.png", "deadly.png", "e.png", "f.png"):
        source.write_new(name, KINDS[1])
    ran = otherwise(DEADLY, source, target)
    assert ran.returncode == 1, ran.stderr
    codes = {row["path"]: row["code"] for row in rows_of(target)}
    assert codes.pop("deadly.png") == "PICTURE_ENDS_PROCESS"
    assert set(codes.values()) == {None}
    assert len(codes) == 5


@pytest.mark.parametrize(
    ("worker", "told"),
    [(NO_ENGINE, b"no engine for this machine"), (FULL, b"[STORAGE_FULL]")],
    ids=("no engine", "no room"),
)
def test_what_befalls_all_ends_the_job_and_blames_no_picture(
    worker: str,
    told: bytes,
    places: tuple[Place, Place],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, target = places
    monkeypatch.setenv("BIREFNET_ENGINE", "fake")
    fill(source, KINDS, 4, 0)
    ran = otherwise(worker, source, target)
    assert (ran.returncode, told in ran.stderr) == (3, True), ran.stderr
    assert b"goes on where this one stopped" in ran.stderr
    assert target.written("manifest.parquet") is None


@pytest.mark.services
def test_buckets_are_read_and_written_and_a_second_run_writes_nothing(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIREFNET_ENGINE", "fake")
    source, target = Place("s3://bucket/some/in"), Place("s3://bucket/some/in/out")
    fill(source, KINDS, 24, 3)
    ended = batch(tmp_path, source, target, "--format", "webp")
    assert ended.status == 1, ended.said
    rows = rows_of(target)
    assert Counter(row["code"] for row in rows)[None] == 21
    assert len({row["path"] for row in rows}) == 24
    before = stamps(target)
    assert {Path(path).suffix for path in before} == {".webp"}
    assert len(before) == 21
    ended = batch(tmp_path, source, target, "--format", "webp")
    assert (ended.status, stamps(target)) == (1, before), ended.said
    ended = batch(tmp_path, source, target, "--format", "png")
    assert (ended.status, stamps(target)) == (2, before)
    assert "format webp" in ended.said


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    with S3Server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


def test_an_interrupt_leaves_a_whole_manifest(
    places: tuple[Place, Place], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = places
    fill(source, KINDS, 60, 0)
    with running(
        tmp_path / "said", source.address, target.address, "--model", "u2netp", "--actors", "1"
    ) as process:
        wait_for(target, 24, process)
        assert len(workers_of(process.pid)) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 130, (tmp_path / "said").read_text()
    assert 0 < len(rows_of(target)) < 60
    assert "Traceback" not in (tmp_path / "said").read_text()


def test_what_is_another_s_is_not_replaced(
    places: tuple[Place, Place], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = places
    monkeypatch.setenv("BIREFNET_ENGINE", "fake")
    monkeypatch.setenv("LOG_LEVEL", "debug")
    for name in ("a.png", "b.png"):
        source.write_new(name, KINDS[1])
        target.write_new(name, b"another's")
    assert source.folder is not None
    assert target.folder is not None
    os.utime(target.folder / "a.png", (1, 1))
    ended = batch(tmp_path, source, target, "--actors", "1", "--threads", "2")
    assert ended.status == 1, ended.said
    assert [(row["code"], row["engine"]) for row in rows_of(target)] == [
        ("FILE_ERROR", None),
        (None, None),
    ]
    assert target.read("a.png", 100) == target.read("b.png", 100) == b"another's"


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("--model", "modnet"), 3, "modnet is not registered"),
        (("--option", "formt=png"), 2, "did you mean format"),
        (("--option", "bg_image=x.png"), 2, "an option that is no file"),
        (("--actors", "0"), 2, "at least 1"),
        ((), 2, "there is no picture"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    words: tuple[str, ...], status: int, told: str, places: tuple[Place, Place], tmp_path: Path
) -> None:
    ended = batch(tmp_path, *places, *words)
    assert (ended.status, told in ended.said, "Traceback" in ended.said) == (status, True, False)
