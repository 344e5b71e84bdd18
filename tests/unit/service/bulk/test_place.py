"""A folder of pictures: what is found in it, however it is named, and what is never replaced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.blobs.blobs import BadStorage
from service.bulk.place import Place
from service.errors import ServiceError

ODD = ("a b.jpg", "ä.jpg", "p%20q.jpg", "h#1.jpg", "q?.jpg", "star*.jpg", "[x].jpg", "b\\c.jpg")


@pytest.fixture
def source(tmp_path: Path) -> Place:
    return Place(str(tmp_path / "in"), make=True)


def test_every_name_is_found_and_can_be_read(source: Place, tmp_path: Path) -> None:
    assert source.folder is not None
    for name in ODD:
        (source.folder / name).write_bytes(name.encode())
    found = {one.path for one in source.pictures(Place(str(tmp_path / "out"), make=True))}
    assert found == set(ODD)
    for name in ODD:
        assert source.read(name, 100) == name.encode()
        source.write_new(f"copies/{name}", b"copy")
        assert (source.folder / "copies" / name).read_bytes() == b"copy"


def test_what_is_hidden_linked_or_made_is_no_source(source: Place) -> None:
    assert source.folder is not None
    for name in ("a.jpg", ".hidden/b.jpg", "out/c.jpg", "note.txt", "out-too/d.jpg"):
        source.write_new(name, b"x")
    (source.folder / "loop").symlink_to(source.folder)
    made = source.pictures(Place(str(source.folder / "out")))
    assert sorted(one.path for one in made) == ["a.jpg", "out-too/d.jpg"]


def test_a_name_that_is_no_text_is_told_and_is_not_there(source: Place, tmp_path: Path) -> None:
    assert source.folder is not None
    Path(os.fsdecode(bytes(source.folder) + b"/b\xff.jpg")).write_bytes(b"x")
    (found,) = source.pictures(Place(str(tmp_path / "out"), make=True))
    assert found.path == "b\\xff.jpg"
    with pytest.raises(FileNotFoundError):
        source.read(found.path, 100)


def test_of_a_file_that_is_too_long_the_beginning_is_read(source: Place) -> None:
    source.write_new("a.jpg", bytes(1000))
    assert len(source.read("a.jpg", 1000)) == 1000
    assert len(source.read("a.jpg", 10)) == 11
    source.write_new("empty.jpg", b"")
    assert source.read("empty.jpg", 10) == b""


def test_what_is_there_stays(source: Place) -> None:
    assert source.written("a.png") is None
    source.write_new("a.png", b"first")
    source.write_new("a.png", b"second")
    assert source.read("a.png", 100) == b"first"
    written = source.written("a.png")
    assert written is not None
    source.replace("a.png", b"third")
    assert source.read("a.png", 100) == b"third"
    source.write_new("deep/b.png", b"x")
    assert source.names("deep") == ["deep/b.png"]
    source.delete(["deep/b.png"])
    assert source.names("deep") == []


def test_a_place_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadStorage):
        Place(str(tmp_path / "nowhere"))
    with pytest.raises(BadStorage):
        Place("ftp://somewhere/else")


def test_a_folder_that_goes_away_is_not_an_empty_one(source: Place, tmp_path: Path) -> None:
    assert source.folder is not None
    source.folder.rmdir()
    with pytest.raises(ServiceError):
        list(source.pictures(Place(str(tmp_path / "out"), make=True)))
