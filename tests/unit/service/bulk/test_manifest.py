"""The manifest: each picture once, whatever ended the job before."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="requirements-bulk.lock is not installed")

from scripts.bulk.jobs import rows_of
from service.bulk.errors import Usage
from service.bulk.manifest import Manifest
from service.bulk.pictures import Job
from service.bulk.place import Place
from service.bulk.rows import Row

pytestmark = pytest.mark.full

JOB = Job("in", "out", {"format": "png"}, "u2netp")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(str(tmp_path), make=True)


def done(path: str, ms: float = 1.5) -> Row:
    return Row(path, f"{path}.png", None, None, ms, "openvino f32", "u2netp")


def failed(path: str) -> Row:
    return Row(path, f"{path}.png", "CORRUPT_IMAGE", "It is broken")


def test_rows_are_one_file_at_the_end(place: Place) -> None:
    manifest = Manifest(place)
    assert manifest.begin(JOB) == set()
    manifest.note([done("a"), failed("b")])
    manifest.finish()
    assert rows_of(place) == [done("a")._asdict(), failed("b")._asdict()]
    assert place.names(".manifest") == [".manifest/job.json"]


def test_what_a_kill_has_left_counts(place: Place) -> None:
    killed = Manifest(place, flush_s=0)
    killed.begin(JOB)
    killed.note([done("a")])
    killed.note([failed("b")])
    assert place.written("manifest.parquet") is None
    second = Manifest(place)
    assert second.begin(JOB) == {"a"}
    second.note([done("b"), done("c")])
    second.finish()
    assert [(row["path"], row["code"]) for row in rows_of(place)] == [
        ("a", None),
        ("b", None),
        ("c", None),
    ]


def test_a_kill_between_the_file_and_its_parts_leaves_no_picture_twice(place: Place) -> None:
    first = Manifest(place, flush_s=0)
    first.begin(JOB)
    first.note([done("a", 1.0)])
    (part,) = [name for name in place.names(".manifest") if name.endswith(".parquet")]
    kept = place.read(part, 1 << 20)
    first.finish()
    place.replace(part, kept)
    second = Manifest(place)
    assert second.begin(JOB) == {"a"}
    second.finish()
    assert [row["path"] for row in rows_of(place)] == ["a"]


def test_nothing_new_writes_nothing(place: Place) -> None:
    manifest = Manifest(place)
    manifest.begin(JOB)
    manifest.note([done("a")])
    manifest.finish()
    written = place.written("manifest.parquet")
    again = Manifest(place)
    again.begin(JOB)
    again.finish()
    assert place.written("manifest.parquet") == written


def test_other_options_are_not_mixed_in(place: Place) -> None:
    Manifest(place).begin(JOB)
    Manifest(place).begin(JOB)
    with pytest.raises(Usage, match="format png"):
        Manifest(place).begin(Job("in", "out", {"format": "webp"}, "u2netp"))
    with pytest.raises(Usage, match="model u2netp"):
        Manifest(place).begin(Job("in", "out", {"format": "png"}, "u2net"))
