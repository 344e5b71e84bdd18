"""What becomes of many files: their names, and what is never replaced."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from birefnet_client.errors import RemovalError
from birefnet_client.folders import Done, Job, plan, remove_into, suffix_of
from birefnet_client.result import Cutout, CutoutInfo
from birefnet_client.running import Runner
from birefnet_client.steps import Steps, Work

MADE = Cutout(b"made", "image/png", CutoutInfo(model="m"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name in ("a/x.jpg", "b/x.jpg", "b/X.png", "b/notes.txt", ".hidden/y.jpg", "b/.z.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def names(jobs: list[Job], out: Path) -> dict[str, str]:
    return {job.source.as_posix(): job.target.relative_to(out).as_posix() for job in jobs}


def test_a_tree_is_kept_and_files_of_one_name_stay_two(tree: Path) -> None:
    out = tree / "out"
    (out / "a").mkdir(parents=True)
    (out / "a/x.png").write_bytes(b"of an earlier run")
    planned = names(plan([tree], out, ".png"), out)
    assert {Path(source).relative_to(tree).as_posix(): to for source, to in planned.items()} == {
        "a/x.jpg": "a/x.png",
        "b/x.jpg": "b/x.jpg.png",
        "b/X.png": "b/X.png.png",
    }


def test_files_given_one_by_one_keep_their_folders_only_if_they_must(tree: Path) -> None:
    a, b, out = tree / "a/x.jpg", tree / "b/x.jpg", tree / "out"
    assert names(plan([a], out, ".webp"), out) == {a.as_posix(): "x.webp"}
    assert names(plan([a, str(a), b], out, ".png"), out) == {
        a.as_posix(): "a/x.png",
        b.as_posix(): "b/x.png",
    }


def test_no_plan_replaces_a_source_or_makes_one_file_of_two(tree: Path) -> None:
    with pytest.raises(ValueError, match="is a source itself"):
        plan([tree / "b/X.png"], tree / "b", ".png")
    (tree / "b/x.jpg.png").touch()
    (tree / "b/x.webp").touch()
    planned = names(plan([tree / "b"], tree / "out", ".png"), tree / "out")
    assert sorted(planned.values()) == ["X.png.png", "x.jpg.png", "x.jpg.png.png", "x.webp.png"]
    (tree / "b/X.jpg").touch()
    with pytest.raises(ValueError, match="two pictures would both become"):
        plan([tree / "b"], tree / "out", ".png")


@pytest.mark.parametrize(
    ("options", "suffix"),
    [
        ({}, ".png"),
        ({"format": "jpeg"}, ".jpg"),
        ({"format": "webp"}, ".webp"),
        ({"output": "parts"}, ".zip"),
    ],
)
def test_a_name_tells_the_format(options: dict[str, str], suffix: str) -> None:
    assert suffix_of(options) == suffix  # type: ignore[arg-type]


@pytest.fixture
def do(tmp_path: Path) -> Callable[..., Done]:
    """Do one file, whose source is there."""
    source = tmp_path / "x.jpg"
    source.write_bytes(b"source")

    def remove(_: Path) -> Steps[Cutout]:
        made: Cutout = yield Work(lambda: MADE)
        return made

    def do(target: Path, *, resume: bool = True, overwrite: bool = False) -> Done:
        steps = remove_into(remove, Job(source, target), resume=resume, overwrite=overwrite)
        return Runner().run(steps)

    return do


def test_what_is_there_is_left_or_named_and_replaced_only_on_demand(
    do: Callable[..., Done], tmp_path: Path
) -> None:
    target = tmp_path / "out" / "deep" / "x.png"
    first = do(target)
    assert (first.error, first.skipped, first.info) == (None, False, MADE.info)
    assert target.read_bytes() == b"made"
    target.write_bytes(b"edited by hand")
    assert do(target).skipped
    os.utime(target, (1, 1))
    for done in (do(target), do(target, resume=False)):
        assert isinstance(done.error, RemovalError)
        assert str(target) in str(done.error)
    assert target.read_bytes() == b"edited by hand"
    assert do(target, overwrite=True).error is None
    assert target.read_bytes() == b"made"


def test_a_link_to_the_source_is_not_replaced(do: Callable[..., Done], tmp_path: Path) -> None:
    for name, link in (("soft.png", os.symlink), ("hard.png", os.link)):
        link(tmp_path / "x.jpg", tmp_path / name)
        error = do(tmp_path / name, overwrite=True).error
        assert "the source itself" in str(error)
    assert (tmp_path / "x.jpg").read_bytes() == b"source"


def test_a_target_that_cannot_be_written_is_told_and_leaves_nothing(
    do: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    for target in (tmp_path / "file" / "x.png", tmp_path / ("n" * 300 + ".png")):
        error = do(target).error
        assert error is not None
        assert (error.code, error.status) == ("FILE_ERROR", 0)
    assert do(tmp_path / "folder.png", overwrite=True).error is not None
    assert {file.name for file in tmp_path.iterdir()} == {"x.jpg", "file", "folder.png"}
