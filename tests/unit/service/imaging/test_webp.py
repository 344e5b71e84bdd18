"""A WebP is its first frame, whatever stands around it."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from service.errors import CorruptImage, ImageError
from service.imaging.decode import SourceImage, decode
from service.imaging.guard import ImageLimits, inspect
from tests.support.pictures import make_array, make_image, make_noise, save, with_orientation


def read(data: bytes) -> SourceImage:
    return decode(data, inspect(data, ImageLimits()))


def chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def around(data: bytes, before: bytes = b"", behind: bytes = b"") -> bytes:
    body = b"WEBP" + before + data[12:] + behind
    return b"RIFF" + struct.pack("<I", len(body)) + body


def make_rgba() -> Image.Image:
    return Image.fromarray(np.dstack([make_array(), make_array()[..., 0]]))


@pytest.mark.parametrize(
    "note",
    [
        chunk(b"EXIF", b"garbage"),
        chunk(b"EXIF", b""),
        chunk(b"XMP ", b"<x:xmpmeta" + bytes(3_000_000)),
        chunk(b"ICCP", b"garbage"),
        chunk(b"JUNK", b"odd"),
    ],
    ids=["exif", "empty exif", "xmp", "profile", "unknown"],
)
@pytest.mark.parametrize("lossless", [True, False])
def test_nothing_ancillary_costs_the_picture(note: bytes, lossless: bool) -> None:
    plain = save(make_rgba(), "WEBP", lossless=lossless, exact=True)
    expected = read(plain)
    for data in (around(plain, behind=note), around(plain, before=note), plain + b"trailer"):
        source = read(data)
        assert np.array_equal(source.pixels, expected.pixels)
        assert np.array_equal(source.alpha, expected.alpha)


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_webp_cut_short_is_corrupt(lossless: bool, kept: float) -> None:
    data = save(Image.fromarray(make_noise(96, 128)), "WEBP", lossless=lossless)
    with pytest.raises(CorruptImage):
        read(data[: int(len(data) * kept)])


def test_of_an_animation_the_first_frame_is_laid_where_it_belongs() -> None:
    first = np.dstack([make_noise(96, 128), np.full((96, 128), 255, np.uint8)])
    first[:20] = first[:, :30] = first[70:] = 0  # the encoder stores the rest only
    second = np.dstack([make_noise(96, 128, 1), np.full((96, 128), 255, np.uint8)])
    frames = [Image.fromarray(frame) for frame in (first, second)]
    data = save(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    source = read(data)
    assert source.alpha is not None
    assert np.array_equal(source.alpha, first[..., 3])
    opaque = first[..., 3] > 0
    assert np.array_equal(source.pixels[opaque], first[opaque][:, :3])


def test_a_frame_that_lies_about_its_size_is_corrupt() -> None:
    frames = [Image.fromarray(make_noise(96, 128, seed)) for seed in range(2)]
    data = bytearray(save(frames[0], "WEBP", save_all=True, append_images=frames[1:]))
    at = data.index(b"ANMF") + 8 + 6
    data[at : at + 3] = (63).to_bytes(3, "little")
    with pytest.raises(ImageError):
        read(bytes(data))


def test_a_canvas_beyond_the_limits_is_refused_whatever_its_first_frame_is() -> None:
    frames = [Image.fromarray(make_noise(96, 128, seed)) for seed in range(2)]
    data = bytearray(save(frames[0], "WEBP", save_all=True, append_images=frames[1:]))
    at = data.index(b"VP8X") + 8 + 4
    data[at : at + 6] = (16_000).to_bytes(3, "little") * 2
    with pytest.raises(ImageError) as refused:
        inspect(bytes(data), ImageLimits())
    assert refused.value.code == "IMAGE_BOMB"


def test_a_still_picture_is_as_large_as_its_bitstream_says() -> None:
    data = bytearray(save(make_rgba(), "WEBP", quality=80))
    at = data.index(b"VP8X") + 8 + 4
    data[at : at + 6] = (16_000).to_bytes(3, "little") * 2
    assert read(bytes(data)).pixels.shape == (96, 128, 3)


def test_orientation_is_read() -> None:
    header = inspect(make_image("WEBP", exif=with_orientation(6)), ImageLimits())
    assert (header.height, header.width) == (128, 96)
