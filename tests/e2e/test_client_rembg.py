"""Code that others wrote for rembg, as it stands in its documentation, against our service."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from birefnet_client import RemovalError
from birefnet_client.rembg import _default_session, new_session, remove
from tests.support.pictures import make_image
from tests.support.server import BentoServer

PHOTO = make_image("PNG", 96, 128)


@pytest.fixture(autouse=True)
def _service(fake_server: BentoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIREFNET_URL", fake_server.url(""))
    _default_session.cache_clear()


def test_input_and_output_as_bytes(tmp_path: Path, fake_server: BentoServer) -> None:
    input_path, output_path = tmp_path / "input.png", tmp_path / "output.png"
    input_path.write_bytes(PHOTO)
    with open(input_path, "rb") as i, open(output_path, "wb") as o:
        input = i.read()
        output = remove(input)
        o.write(output)
    assert output_path.read_bytes() == fake_server.remove(PHOTO).content


def test_input_and_output_as_a_pillow_image() -> None:
    output = remove(Image.open(io.BytesIO(PHOTO)))
    assert (output.mode, output.size) == ("RGBA", (128, 96))


def test_input_and_output_as_an_array() -> None:
    output = remove(np.asarray(Image.open(io.BytesIO(PHOTO))))
    assert (output.shape, output.dtype) == ((96, 128, 4), np.uint8)


def test_force_output_as_bytes() -> None:
    output = remove(Image.open(io.BytesIO(PHOTO)), force_return_bytes=True)
    assert isinstance(output, bytes)


def test_a_session_for_many_files(tmp_path: Path) -> None:
    session = new_session("u2netp")
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(remove(PHOTO, session=session))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with pytest.raises(RemovalError, match="served are u2netp"):
        remove(PHOTO, session=new_session("isnet-anime"))


def test_only_the_mask_and_its_post_processing() -> None:
    image = Image.open(io.BytesIO(PHOTO))
    mask = remove(image, only_mask=True, post_process_mask=True)
    assert (mask.mode, mask.size) == ("L", (128, 96))
    assert np.array_equal(remove(np.asarray(image), only_mask=True), np.asarray(mask))


def test_a_background_colour_opaque_or_not() -> None:
    image = Image.open(io.BytesIO(PHOTO))
    cutout = np.asarray(remove(image))
    clear = cutout[..., 3] == 0
    for alpha in (255, 100, 0):
        output = np.asarray(remove(image, bgcolor=(10, 20, 30, alpha)))
        assert output.shape == (96, 128, 4)
        assert (output[clear] == (10, 20, 30, alpha)).all()


def test_alpha_matting_is_taken_and_said_to_change_nothing() -> None:
    with pytest.warns(UserWarning, match="always refined"):
        output = remove(
            PHOTO,
            alpha_matting=True,
            alpha_matting_foreground_threshold=270,
            alpha_matting_background_threshold=20,
            alpha_matting_erode_size=11,
        )
    assert output == remove(PHOTO)


@pytest.mark.parametrize("data", ["photo.jpg", None, 3])
def test_what_rembg_does_not_take_is_refused_as_it_refuses_it(data: object) -> None:
    with pytest.raises(TypeError, match="is not supported"):
        remove(data)
