"""Pictures find their truths, in every form a truth may have."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.evaluate.cases import example_cases, folder_cases, read_matte, write_matte
from scripts.evaluate.outlines import read_outline
from tests.support.pictures import make_array


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(make_array(30, 40)).save(folder / "one.png")
    return folder


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    folder = tmp_path / "truth"
    folder.mkdir()
    return folder


@pytest.fixture
def ramp() -> np.ndarray:
    return np.tile(np.arange(0, 240, 6, dtype=np.uint8), (30, 1))


def write_outline(folder: Path, **outline: object) -> Path:
    file = folder / "one.json"
    file.write_text(json.dumps({"height": 30, "width": 40, **outline}))
    return file


def test_a_grey_picture_is_a_matte(images: Path, truth: Path, ramp: np.ndarray) -> None:
    Image.fromarray(ramp).save(truth / "one.png")
    (case,) = folder_cases(images, truth)
    assert (case.name, case.source.shape) == ("one", (30, 40, 3))
    assert np.array_equal(case.alpha_u8, ramp)
    assert case.known.all()


def test_the_transparency_of_a_cutout_is_a_matte(
    images: Path, truth: Path, ramp: np.ndarray
) -> None:
    Image.fromarray(np.dstack([make_array(30, 40), ramp])).save(truth / "one.png")
    (case,) = folder_cases(images, truth)
    assert np.array_equal(case.alpha_u8, ramp)


def test_an_outline_is_filled_to_a_fraction_of_a_pixel(truth: Path) -> None:
    square = [[10, 5], [20.5, 5], [20.5, 15], [10, 15]]
    alpha, known = read_outline(write_outline(truth, subject=[square]))
    assert known.all()
    assert (alpha[5:15, 10:20] > 225).all()
    assert int(alpha[10, 20]) == pytest.approx(128, abs=32)  # half of this pixel
    assert alpha.sum() / 255 == pytest.approx(105, rel=0.03)  # 10.5 x 10 pixels


def test_what_an_outline_does_not_know_is_not_known(truth: Path) -> None:
    unknown = [
        {"line": [[0, 10], [40, 10]], "width": 4},
        {"area": [[30, 20], [40, 20], [40, 30], [30, 30]]},
    ]
    _, known = read_outline(write_outline(truth, subject=[], unknown=unknown))
    assert not known[8:12].any()
    assert known[:7].all()
    assert not known[21:, 31:].any()
    assert known[13:, :29].all()


@pytest.mark.parametrize("text", ["", "[]", '{"height": 3}', '{"height": 3, "width": 3}'])
def test_a_file_that_is_no_outline_is_named(truth: Path, text: str) -> None:
    file = truth / "one.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"one\.json is no outline"):
        read_outline(file)


def test_a_picture_without_truth_is_named(images: Path, truth: Path) -> None:
    with pytest.raises(ValueError, match=r"no truth in .* for: one"):
        folder_cases(images, truth)


def test_an_empty_folder_is_named(truth: Path) -> None:
    with pytest.raises(ValueError, match="no picture in"):
        folder_cases(truth, truth)


def test_two_pictures_of_one_name_are_refused(images: Path, truth: Path) -> None:
    (images / "one.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match="two files called one"):
        folder_cases(images, truth)


def test_a_truth_of_another_size_is_refused(images: Path, truth: Path) -> None:
    Image.fromarray(np.zeros((20, 40), np.uint8)).save(truth / "one.png")
    with pytest.raises(ValueError, match=r"one\.png has 40 x 30 pixels, its truth 40 x 20"):
        list(folder_cases(images, truth))


def test_a_broken_picture_is_named(images: Path, truth: Path) -> None:
    (truth / "one.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"cannot read .*one\.png: UnsupportedFormat"):
        list(folder_cases(images, truth))


def test_a_matte_comes_back_as_it_was_written(tmp_path: Path, ramp: np.ndarray) -> None:
    write_matte(tmp_path, "one.two", ramp)
    assert np.array_equal(read_matte(tmp_path, "one.two"), ramp)


def test_every_example_photograph_has_a_mask_that_knows_most_of_it() -> None:
    cases = list(example_cases())
    assert [case.name for case in cases] == ["astronaut", "chelsea", "coffee"]
    for case in cases:
        assert case.known.mean() > 0.8
        subject = case.alpha_u8[case.known] >= 128
        assert 0.3 < subject.mean() < 0.9
