"""GIF: the first frame as Pillow reads it, and everything a block can lie about."""

from __future__ import annotations

import struct
import time
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models.arrays import U8Array
from service.errors import AnimatedImage, CorruptImage, ImageBomb, ImageError
from service.imaging.decode import SourceImage, decode
from service.imaging.guard import ImageLimits, inspect
from tests.support.pictures import make_array, make_noise, open_image, save

HEIGHT, WIDTH = 70, 91
LIMITS = ImageLimits(max_ratio=1e9)


def read(data: bytes) -> SourceImage:
    return decode(data, inspect(data, LIMITS))


def make_indexed(n: int = 256) -> Image.Image:
    noisy = make_array(HEIGHT, WIDTH)
    noisy[30:] = make_noise(HEIGHT - 30, WIDTH)
    return Image.fromarray(noisy).quantize(n)


def make_gif(
    frames: list[bytes], size: tuple[int, int] = (WIDTH, HEIGHT), palette: bytes | None = None
) -> bytes:
    """Frames behind a header of our choosing."""
    flags = 0 if palette is None else 0xF0 | (len(palette) // 3).bit_length() - 2
    head = b"GIF89a" + struct.pack("<HHBBB", *size, flags, 0, 0) + (palette or b"")
    return head + b"".join(frames) + b";"


def make_frame(indices: U8Array, x: int = 0, y: int = 0, palette: bytes | None = None) -> bytes:
    """One frame, its codes taken from a file of Pillow's."""
    height, width = indices.shape
    image = Image.fromarray(indices, "L").convert("P")
    image.putdata(indices.ravel().tolist())
    whole = save(image, "GIF", interlace=0, optimize=False)
    at = whole.index(b"," + bytes(4)) + 10
    at += 3 << (whole[at - 1] & 7) + 1 if whole[at - 1] & 0x80 else 0
    flags = 0 if palette is None else 0x80 | (len(palette) // 3).bit_length() - 2
    place = struct.pack("<HHHHB", x, y, width, height, flags)
    return b"," + place + (palette or b"") + whole[at:-1]


def make_palette(seed: int) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, 768, dtype=np.uint8).tobytes()


INDICES = make_noise(HEIGHT, WIDTH)[..., 0]


@pytest.mark.parametrize("n", [2, 3, 4, 16, 17, 200, 256])
@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize("transparency", [None, 0, 1])
def test_the_pixels_are_those_pillow_reads(
    n: int, interlace: int, transparency: int | None
) -> None:
    options = {} if transparency is None else {"transparency": transparency}
    data = save(make_indexed(n), "GIF", interlace=interlace, **options)
    expected = np.asarray(open_image(data).convert("RGBA"))
    source = read(data)
    assert np.array_equal(source.pixels, expected[..., :3])
    if transparency is None:
        assert source.alpha is None
    else:
        assert np.array_equal(source.alpha, expected[..., 3])


@pytest.mark.parametrize("height", [64, 65, 66, 67, 68, 69, 70, 71])
def test_interlaced_rows_are_put_in_order(height: int) -> None:
    image = make_indexed().crop((0, 0, WIDTH, height))
    plain, interlaced = (save(image, "GIF", interlace=way) for way in (0, 1))
    assert np.array_equal(read(plain).pixels, read(interlaced).pixels)


def test_of_an_animation_the_first_frame_is_laid_where_it_belongs() -> None:
    frames = [make_frame(INDICES[:30, :40], 20, 10), make_frame(INDICES)]
    source = read(make_gif(frames, palette=make_palette(1)))
    colours = np.frombuffer(make_palette(1), np.uint8).reshape(256, 3)
    assert source.alpha is not None
    wanted = np.zeros((HEIGHT, WIDTH), np.uint8)
    wanted[10:40, 20:60] = 255
    assert np.array_equal(source.alpha, wanted)
    assert np.array_equal(source.pixels[10:40, 20:60], colours[INDICES[:30, :40]])


def test_a_palette_of_its_own_counts_more_and_none_is_grey() -> None:
    common, own = make_palette(1), make_palette(2)
    colours = np.frombuffer(own, np.uint8).reshape(256, 3)
    source = read(make_gif([make_frame(INDICES, palette=own)], palette=common))
    assert np.array_equal(source.pixels, colours[INDICES])
    grey = read(make_gif([make_frame(INDICES)]))
    assert np.array_equal(grey.pixels, np.stack([INDICES] * 3, axis=2))


def test_an_index_beyond_the_palette_is_black() -> None:
    short = make_palette(1)[: 3 * 16]
    pixels = read(make_gif([make_frame(INDICES, palette=short)])).pixels
    assert not pixels[INDICES >= 16].any()


@pytest.mark.parametrize("canvas", [(0, 0), (64, 64), (10, 300)])
def test_a_frame_larger_than_the_canvas_enlarges_it(canvas: tuple[int, int]) -> None:
    header = inspect(make_gif([make_frame(INDICES)], canvas, make_palette(1)), LIMITS)
    assert header.width == WIDTH
    assert header.height == max(HEIGHT, canvas[1])


@pytest.mark.parametrize("disposal", [0, 1, 2, 3, 7])
def test_disposal_and_what_stands_beside_the_frame_change_nothing(disposal: int) -> None:
    control = bytes((0x21, 0xF9, 4, disposal << 2, 10, 0, 0, 0))
    comment = b"\x21\xfe\x05hello\x00"
    application = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
    text = b"\x21\x01\x0c" + bytes(12) + b"\x02hi\0"
    frame = make_frame(INDICES)
    plain = read(make_gif([frame], palette=make_palette(1)))
    for before in (control, comment, application, text, comment * 1000, b"\0"):
        source = read(make_gif([before, frame, comment], palette=make_palette(1)))
        assert np.array_equal(source.pixels, plain.pixels)
        assert source.alpha is None


def test_a_missing_trailer_and_what_follows_are_nobodys_harm() -> None:
    whole = make_gif([make_frame(INDICES)], palette=make_palette(1))
    for data in (whole[:-1], whole + b"trailer", whole[:-1] + b"\xff garbage"):
        assert np.array_equal(read(data).pixels, read(whole).pixels)


@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_codes_that_end_too_early_are_corrupt(interlace: int, kept: float) -> None:
    whole = save(make_indexed(), "GIF", interlace=interlace)
    with pytest.raises(CorruptImage):
        read(whole[: int(len(whole) * kept)])


@pytest.mark.parametrize("rows", [1, 35, 69])
@pytest.mark.parametrize("last", [0, 1, 2, 255])
def test_an_end_code_before_the_last_pixel_is_corrupt(rows: int, last: int) -> None:
    indices = INDICES.copy()
    indices[rows - 1, -1] = last
    frame = bytearray(make_frame(indices[:rows]))
    frame[5:9] = struct.pack("<HH", WIDTH, HEIGHT)
    with pytest.raises(CorruptImage):
        read(make_gif([bytes(frame)], palette=make_palette(1)))


@pytest.mark.parametrize("last", [0, 1, 2, 255])
def test_a_whole_picture_may_end_with_any_index(last: int) -> None:
    indices = INDICES.copy()
    indices[-1, -1] = last
    grey = read(make_gif([make_frame(indices)])).pixels
    assert np.array_equal(grey[..., 0], indices)


def test_a_tiny_frame_on_a_vast_canvas_is_a_bomb() -> None:
    tiny = make_frame(INDICES[:2, :2])
    for canvas, code in (((65535, 65535), "IMAGE_BOMB"), ((7680, 4320), "IMAGE_BOMB")):
        with pytest.raises(ImageBomb) as refused:
            inspect(make_gif([tiny], canvas), ImageLimits())
        assert refused.value.code == code


def test_more_than_100_frames_are_refused() -> None:
    frames = [make_frame(INDICES)] * 101
    with pytest.raises(AnimatedImage) as refused:
        inspect(make_gif(frames), ImageLimits())
    assert refused.value.fields == {"frames": 101, "max_frames": 100}


@pytest.mark.parametrize(
    "block",
    [
        b"\x21\xfe" + b"\x01a" * 4_000_000 + b"\0",
        b"\x21\xfe\0" * 3_000_000,
        b"," + bytes(9) + b"\x02\0",
        b"\x21\xf9\x04" + b"\x00" * 5 + b",",
        b"\0" * 8_000_000,
    ],
    ids=["pieces of one byte", "empty comments", "no size", "a cut frame", "zeros"],
)
def test_millions_of_blocks_end_soon(block: bytes) -> None:
    started = time.thread_time()
    with pytest.raises(ImageError):
        inspect(make_gif([block]), LIMITS)
    assert time.thread_time() - started < 1


@pytest.mark.parametrize("bits", [0, 9, 12, 255])
def test_codes_of_impossible_width_are_corrupt(bits: int) -> None:
    frame = bytearray(make_frame(INDICES))
    frame[10] = bits
    with pytest.raises(CorruptImage):
        read(make_gif([bytes(frame)], palette=make_palette(1)))


def test_the_end_of_the_time_comes_through() -> None:
    data = make_gif([make_frame(INDICES)])

    def late() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        decode(data, inspect(data, LIMITS), late)


def test_what_pillow_animates_is_counted() -> None:
    frames = [Image.fromarray(make_noise(96, 128, seed)).quantize(32) for seed in range(7)]
    options: dict[str, Any] = {"save_all": True, "append_images": frames[1:]}
    header = inspect(save(frames[0], "GIF", **options), LIMITS)
    assert header.file.frames == 7
