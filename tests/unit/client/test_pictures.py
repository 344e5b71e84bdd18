"""Pictures go in in every form, and what was made comes out in every form."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from birefnet_client.address import find_key, find_server
from birefnet_client.errors import RemovalError
from birefnet_client.pictures import read_picture
from birefnet_client.result import Cutout, CutoutInfo, info_of_headers
from tests.support.pictures import make_noise, open_image, save

NOISE = make_noise(7, 9)


def cutout_of(image: Image.Image, kind: str = "PNG") -> Cutout:
    return Cutout(save(image, kind), f"image/{kind.lower()}", CutoutInfo())


def test_a_file_is_sent_as_it_is_in_whatever_form_it_is_given(tmp_path: Path) -> None:
    data, path = save(Image.fromarray(NOISE), "JPEG"), tmp_path / "a photo.jpg"
    path.write_bytes(data)
    for source in (path, str(path), data, bytearray(data), memoryview(data), io.BytesIO(data)):
        assert read_picture(source).data == data
    with path.open("rb") as file:
        assert read_picture(file) == read_picture(path) == ("a photo.jpg", data)


@pytest.mark.parametrize("channels", [None, 3, 4])
def test_an_array_is_sent_without_loss_however_it_lies_in_memory(channels: int | None) -> None:
    shape = (5, 6) if channels is None else (5, 6, channels)
    array = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    for given in (array, np.asfortranarray(array), array[::-1]):
        assert np.array_equal(np.asarray(open_image(read_picture(given).data)), given)


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4, 3)), np.zeros((4, 4, 2), np.uint8), np.zeros(4, np.uint8)],
    ids=["of floats", "of two channels", "of one line"],
)
def test_an_array_that_is_no_picture_is_refused(array: object) -> None:
    with pytest.raises(TypeError, match="is no picture"):
        read_picture(array)


@pytest.mark.parametrize("source", [None, 3, ["a.jpg"], io.StringIO("text")])
def test_what_is_no_picture_is_refused(source: object) -> None:
    with pytest.raises(TypeError):
        read_picture(source)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16", "CMYK", "YCbCr"])
def test_an_image_of_any_mode_can_be_sent(mode: str) -> None:
    sent = open_image(read_picture(Image.new(mode, (8, 6))).data)
    assert (sent.format, sent.size) == ("PNG", (8, 6))


def test_an_image_s_orientation_goes_with_it() -> None:
    image = Image.fromarray(NOISE)
    image.getexif()[0x0112] = 6
    assert open_image(read_picture(image).data).getexif()[0x0112] == 6


def test_what_was_made_comes_out_as_image_array_and_alpha() -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (5, 6, 4), dtype=np.uint8)
    cutout = cutout_of(Image.fromarray(pixels))
    assert cutout.image().size == (6, 5)
    assert np.array_equal(cutout.array(), pixels)
    assert np.array_equal(cutout.alpha(), pixels[..., 3])
    mask = cutout_of(Image.fromarray(pixels[..., 0]))
    assert np.array_equal(mask.alpha(), pixels[..., 0])
    with pytest.raises(ValueError, match="output='mask'"):
        cutout_of(Image.fromarray(NOISE)).alpha()
    with pytest.raises(ValueError, match="zipfile"):
        Cutout(b"PK", "application/zip", CutoutInfo()).image()


def test_a_file_is_saved_whole_with_the_permissions_of_any_other(tmp_path: Path) -> None:
    cutout, other = cutout_of(Image.fromarray(NOISE)), tmp_path / "other"
    other.touch()
    assert cutout.save(tmp_path / "a.png") == tmp_path / "a.png"
    assert cutout.save(str(tmp_path / "b")) == tmp_path / "b.png"
    assert (tmp_path / "a.png").read_bytes() == cutout.data
    assert (tmp_path / "a.png").stat().st_mode == other.stat().st_mode
    cutout_of(Image.fromarray(NOISE), "JPEG").save(tmp_path / "c.JPEG")
    with pytest.raises(ValueError, match=r"ends in \.png"):
        cutout.save(tmp_path / "d.jpg")
    with pytest.raises(OSError, match="nowhere"):
        cutout.save(tmp_path / "nowhere" / "e.png")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.png", "b.png", "c.JPEG", "other"]


def test_nothing_is_invented_of_headers_that_are_not_there_or_strange() -> None:
    assert info_of_headers({}) == CutoutInfo()
    strange = {
        "x-original-size": "wide",
        "x-output-size": "1x",
        "x-processing-time-ms": "soon",
        "x-subject-box": "1,2,3",
        "x-applied": "",
    }
    assert info_of_headers(strange) == CutoutInfo(applied=())


def test_an_error_survives_a_process_pool() -> None:
    error = RemovalError("C", "d", status=1, request_id="r", retry_after_s=2, fields={"a": 1})
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), vars(again)) == (str(error), vars(error))


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("http://h:1", "http://h:1/api/background-removal"),
        ("https://h/sub/", "https://h/sub/api/background-removal"),
        ("http://h/api/background-removal/", "http://h/api/background-removal"),
        (None, "http://localhost:55433/api/background-removal"),
    ],
)
def test_the_api_is_found_below_an_address(given: str | None, address: str) -> None:
    assert find_server(given) == address


@pytest.mark.parametrize("given", ["localhost:55433", "ftp://h", "http://", "/remove"])
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="http://"):
        find_server(given)


@pytest.mark.parametrize("key", ["geheim\nX-Evil: 1", "geheim geheim", "gehe\u00efm", "geheim\x00"])
def test_a_key_that_no_header_may_hold_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError, match="API key") as refused:
        find_key(key)
    assert "gehe" not in str(refused.value)


def test_a_key_comes_from_the_environment_or_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("of-a-file\n")
    monkeypatch.setenv("BIREFNET_API_KEY_FILE", str(tmp_path / "key"))
    assert find_key(None) == "of-a-file"
    monkeypatch.setenv("BIREFNET_API_KEY", "of-the-environment")
    assert find_key(None) == "of-the-environment"
    assert find_key("given") == "given"


def test_a_password_in_an_address_is_refused_without_being_shown() -> None:
    with pytest.raises(ValueError, match="no password") as refused:
        find_server("http://me:geheim@h")
    assert "geheim" not in str(refused.value)
