"""What the encoder writes, every reader reads back, and it is nothing but the picture."""

from __future__ import annotations

import zlib

import cv2
import numpy as np
import pytest

from models.matting.compositing import Cutout
from models.spare_cores import SpareCores
from service.imaging import encode
from service.imaging.encode import encode_png
from tests.support.pictures import chunks_of, open_image, png_chunks

SIZES = [(1, 1), (1, 7), (7, 1), (64, 64), (63, 65), (3, 1000), (481, 333)]


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize(("channels", "mode"), [(4, "RGBA"), (3, "RGB"), (1, "L")])
def test_pixels_come_back_as_they_went(height: int, width: int, channels: int, mode: str) -> None:
    random = np.random.default_rng(height * width + channels)
    shape = (height, width) if channels == 1 else (height, width, channels)
    pixels = random.integers(0, 256, shape, dtype=np.uint8)
    data = encode_png(pixels)
    image = open_image(data)
    assert (image.format, image.mode) == ("PNG", mode)
    assert np.array_equal(np.asarray(image), pixels)


def test_a_second_reader_agrees() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (33, 17, 4), dtype=np.uint8)
    read = cv2.imdecode(np.frombuffer(encode_png(pixels), np.uint8), cv2.IMREAD_UNCHANGED)
    assert read is not None
    assert np.array_equal(cv2.cvtColor(read, cv2.COLOR_BGRA2RGBA), pixels)


def test_pixels_that_are_not_contiguous_come_back_too() -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (40, 60, 4), dtype=np.uint8)[::2, ::3]
    assert np.array_equal(np.asarray(open_image(encode_png(pixels))), pixels)


def test_the_file_holds_nothing_but_the_picture() -> None:
    assert png_chunks(encode_png(np.zeros((5, 5, 4), np.uint8))) == [
        b"IHDR",
        b"sRGB",
        b"IDAT",
        b"IDAT",  # the checksum of all rows
        b"IEND",
    ]


@pytest.mark.parametrize("shape", [(3, 1), (1, 70_000, 4), (900, 1200, 3), (2001, 1501, 4)])
def test_a_file_of_several_pieces_is_one_stream(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "_PIECE_BYTES", 300_000)
    monkeypatch.setattr(encode, "_STRIP_BYTES", 40_000)
    pixels = np.random.default_rng(3).integers(0, 4, shape, dtype=np.uint8)
    files = []
    for n_cores in (1, 4):
        monkeypatch.setattr(encode, "SPARE_CORES", SpareCores(n_cores))
        files.append(encode_png(pixels))
    assert files[0] == files[1]
    read = np.asarray(open_image(files[0]))  # Pillow verifies every checksum
    assert np.array_equal(read, pixels)
    stream = b"".join(data for kind, data in chunks_of(files[0]) if kind == b"IDAT")
    assert len(zlib.decompress(stream)) == shape[0] * (1 + pixels[0].size)  # and zlib the stream's


def test_a_cutout_is_encoded_as_its_rows_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "_PIECE_BYTES", 300_000)
    monkeypatch.setattr(encode, "_STRIP_BYTES", 40_000)
    random = np.random.default_rng(4)
    colours = random.integers(1, 256, (500, 700, 3), dtype=np.uint8)
    alpha = random.integers(0, 3, (500, 700), dtype=np.uint8)
    cutout = Cutout(colours, alpha)
    read = np.asarray(open_image(encode_png(cutout)))
    assert np.array_equal(read[..., 3], alpha)
    assert np.array_equal(read[..., :3], np.where(alpha[..., None] > 0, colours, 0))
