"""Names of cutouts: the tree is kept, and no two pictures become one file."""

from __future__ import annotations

import pytest

from service.bulk.pictures import Found, Job, is_picture, name_targets


def targets(*paths: str) -> dict[str, str]:
    named = name_targets([Found(path, 1.0) for path in paths], ".png")
    return {one.path: one.target for one in named}


def test_a_cutout_has_the_picture_s_place_and_name() -> None:
    assert targets("a.jpg", "deep/er/b.c.JPEG") == {
        "a.jpg": "a.png",
        "deep/er/b.c.JPEG": "deep/er/b.c.png",
    }


def test_pictures_of_one_name_keep_their_suffix() -> None:
    assert targets("x.jpg", "X.png", "y/x.jpg") == {
        "x.jpg": "x.jpg.png",
        "X.png": "X.png.png",
        "y/x.jpg": "y/x.png",
    }


def test_a_name_that_was_made_longer_takes_no_other_picture_s() -> None:
    named = targets("a.jpg", "a.png", "a.jpg.webp", "a.jpg.webp.tif")
    assert len(set(named.values())) == 4
    assert named["a.jpg.webp"] == "a.jpg.webp.png"


@pytest.mark.parametrize("path", ["a.jpg", "deep/b.PNG", "c.tiff"])
def test_pictures_are_known_by_their_suffix(path: str) -> None:
    assert is_picture(path)


@pytest.mark.parametrize("path", ["a.txt", ".a.jpg", ".thumbs/a.jpg", "a.jpg#1", "jpg", "a.jpg/"])
def test_what_is_hidden_or_none_is_left_out(path: str) -> None:
    assert not is_picture(path)


@pytest.mark.parametrize(
    ("options", "suffix"),
    [
        ({}, ".png"),
        ({"format": "jpeg"}, ".jpg"),
        ({"format": "avif"}, ".avif"),
        ({"output": "parts"}, ".zip"),
    ],
)
def test_the_suffix_is_that_of_what_is_made(options: dict[str, str], suffix: str) -> None:
    assert Job("in", "out", options).suffix == suffix
