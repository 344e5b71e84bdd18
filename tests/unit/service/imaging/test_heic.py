"""HEIC, where its decoder is installed (the extra `[heic]`): as pillow_heif reads it."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scripts.hostile.heif_files import Item, box, coded_item, grid_item, size_box, write_heif
from service.errors import CorruptImage
from service.imaging.decode import SourceImage, decode
from service.imaging.guard import ImageLimits, inspect
from service.imaging.hevc import first_picture, read_parameters
from tests.support.pictures import make_array, make_noise, save, with_orientation

pillow_heif: Any = pytest.importorskip("pillow_heif")

LIMITS = ImageLimits(max_ratio=1e9)


def read(data: bytes) -> SourceImage:
    return decode(data, inspect(data, LIMITS))


def encode(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file, **options)
    return file.getvalue()


def pixels_of(data: bytes) -> Any:
    return np.asarray(pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=True))


@pytest.mark.parametrize(("height", "width"), [(96, 128), (97, 131), (64, 65)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("options", [{}, {"chroma": 444}, {"quality": 20}])
def test_the_pixels_are_those_pillow_heif_reads(
    height: int, width: int, mode: str, options: dict[str, Any]
) -> None:
    rgba = np.dstack([make_array(height, width), make_array(height, width)[..., 0]])
    data = encode(Image.fromarray(rgba).convert(mode), **options)
    expected = pixels_of(data)
    source = read(data)
    colours = np.stack([expected] * 3, axis=2) if mode == "L" else expected[..., :3]
    assert np.array_equal(source.pixels, colours)
    if mode == "RGBA":
        assert np.array_equal(source.alpha, expected[..., 3])


def test_deep_samples_become_8_bits() -> None:
    levels = make_array().astype(np.uint16) * 257
    file = io.BytesIO()
    size = levels.shape[1::-1]
    pillow_heif.encode("RGB;16", size, levels.tobytes(), file, quality=-1, chroma=444)
    assert np.abs(read(file.getvalue()).pixels.astype(int) - make_array()).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_once(orientation: int) -> None:
    flat = pixels_of(encode(Image.fromarray(make_array())))
    data = encode(Image.fromarray(make_array()), exif=with_orientation(orientation).tobytes())
    turned = save(Image.fromarray(flat), "PNG", exif=with_orientation(orientation))
    assert np.array_equal(read(data).pixels, read(turned).pixels)
    item = coded_item(encode(Image.fromarray(make_array())))
    quarter = Item(item.kind, item.data, (*item.properties, box(b"irot", b"\1")))
    rotated = read(write_heif([quarter], brand=b"heic")).pixels
    assert np.array_equal(rotated, np.rot90(flat))


def test_a_grid_is_put_together_as_a_phone_writes_it() -> None:
    cells = [encode(Image.fromarray(make_noise(64, 64, seed))) for seed in range(6)]
    rows = [np.concatenate([pixels_of(cell) for cell in cells[i : i + 3]], 1) for i in (0, 3)]
    whole = np.concatenate(rows)[:120, :181]
    items = [grid_item(2, 3, 181, 120), *map(coded_item, cells)]
    data = write_heif(items, [(b"dimg", 1, tuple(range(2, 8)))], brand=b"heic")
    assert np.array_equal(read(data).pixels, whole)


@pytest.mark.parametrize(("width", "height"), [(256, 96), (128, 64 + 96 + 1), (129, 96), (0, 0)])
def test_a_bitstream_of_another_size_than_stated_is_corrupt(width: int, height: int) -> None:
    item = coded_item(encode(Image.fromarray(make_array())))
    kept = tuple(one for one in item.properties if one[4:8] != b"ispe")
    lying = Item(item.kind, item.data, (size_box(width, height), *kept))
    with pytest.raises(CorruptImage):
        inspect(write_heif([lying], brand=b"heic"), LIMITS)


def test_only_the_first_picture_of_a_bitstream_is_decoded() -> None:
    item = coded_item(encode(Image.fromarray(make_array())))
    parameters = read_parameters(next(one[8:] for one in item.properties if one[4:8] == b"hvcC"))
    first = first_picture(item.data, parameters.length_bytes)
    assert first_picture(first * 50, parameters.length_bytes) == first
    many = Item(item.kind, item.data * 50, item.properties)
    expected = read(write_heif([item], brand=b"heic")).pixels
    assert np.array_equal(read(write_heif([many], brand=b"heic")).pixels, expected)


@pytest.mark.parametrize(
    "config",
    [b"", bytes(22), bytes(22) + b"\xff", bytes(22) + b"\1\x21\0\2\0\3\x42\1\1\0\3\x42\1\1",
     bytes(22) + b"\1\x21\xff\xff" + struct.pack(">H", 60000)],
)  # fmt: skip
def test_damaged_parameters_are_corrupt(config: bytes) -> None:
    item = coded_item(encode(Image.fromarray(make_array())))
    kept = tuple(one for one in item.properties if one[4:8] != b"hvcC")
    with pytest.raises(CorruptImage):
        inspect(
            write_heif([Item(item.kind, item.data, (*kept, box(b"hvcC", config)))], brand=b"heic"),
            LIMITS,
        )


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9])
def test_a_heic_cut_short_is_corrupt(kept: float) -> None:
    data = encode(Image.fromarray(make_noise(96, 128)), quality=95)
    with pytest.raises(CorruptImage):
        read(data[: int(len(data) * kept)])
