"""TIFF: every kind that is read, beside the same picture; every other is refused by name."""

from __future__ import annotations

import struct
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from models.arrays import U8Array
from scripts.hostile.tiff_files import (
    CMYK,
    DEFLATE,
    GREY,
    JPEG,
    LZW,
    PACK_BITS,
    PALETTE,
    PLAIN,
    RGB,
    WHITE_IS_ZERO,
    YCBCR,
    Samples,
    TiffLayout,
    directory,
    tiff_head,
    write_tiff,
)
from service.errors import AnimatedImage, CorruptImage, ImageBomb, UnsupportedFormat
from service.imaging.decode import SourceImage, decode
from service.imaging.guard import ImageLimits, inspect
from tests.support.pictures import make_array, make_noise, open_image, save, with_orientation

HEIGHT, WIDTH = 70, 91
LIMITS = ImageLimits(max_ratio=1e9)


def read(data: bytes) -> SourceImage:
    return decode(data, inspect(data, LIMITS))


def make_samples(n: int, bits: int = 8) -> Samples:
    """Smooth above, noise below; `n` samples a pixel."""
    smooth = np.dstack([make_array(HEIGHT, WIDTH), make_array(HEIGHT, WIDTH)[..., 1] // 2 + 60])
    smooth[40:, :, :3] = make_noise(HEIGHT - 40, WIDTH)
    samples = smooth[..., :n]
    if bits == 16:
        return samples.astype(np.uint16) * 257 + np.arange(WIDTH, dtype=np.uint16)[:, None]
    return samples >> (8 - bits)


def in_8_bits(samples: Samples) -> U8Array:
    return np.rint(samples / 257).astype(np.uint8) if samples.dtype == np.uint16 else samples


@pytest.mark.parametrize("compression", [PLAIN, LZW, DEFLATE, 32946, PACK_BITS])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    "pieces",
    [{}, {"rows": 1}, {"rows": 16}, {"tile": (32, 48)}, {"tile": (128, 128)}],
    ids=["one strip", "a row each", "16 rows each", "tiles", "one tile"],
)
@pytest.mark.parametrize("planar", [False, True])
def test_every_way_to_store_a_picture(
    compression: int, order: str, bits: int, pieces: dict[str, Any], planar: bool
) -> None:
    for n, photometric in ((1, GREY), (3, RGB), (4, RGB)):
        for predictor in {False, compression in (LZW, DEFLATE)}:
            samples = make_samples(n, bits)
            written = DEFLATE if compression == 32946 else compression
            layout = TiffLayout(
                photometric, written, order, planar=planar, predictor=predictor, **pieces
            )
            tags = {259: (3, (compression,)), **({338: (3, (2,))} if n == 4 else {})}
            source = read(write_tiff(samples, replace(layout, tags=tags)))
            wanted = in_8_bits(samples)
            assert np.array_equal(
                source.pixels,
                np.broadcast_to(wanted, (HEIGHT, WIDTH, n))[..., :3]
                if n > 1
                else np.repeat(wanted, 3, 2),
            )
            assert source.alpha is None if n < 4 else np.array_equal(source.alpha, wanted[..., 3])


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(make_array()),
        Image.fromarray(make_array()).convert("L"),
        Image.fromarray(make_array()).convert("1"),
        Image.fromarray(make_array()).quantize(200),
        Image.fromarray(np.dstack([make_array(), make_array()[..., 0]])),
        Image.fromarray(np.dstack([make_array(), make_array()[..., 0]])).convert("LA"),
        Image.fromarray(make_array()).convert("CMYK"),
    ],
    ids=lambda image: image.mode,
)
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_what_pillow_writes_is_read_as_pillow_reads_it(
    image: Image.Image, compression: str | None
) -> None:
    data = save(image, "TIFF", compression=compression)
    expected = open_image(data)
    source = read(data)
    assert np.array_equal(source.pixels, np.asarray(expected.convert("RGB")))
    if "A" in image.mode:
        assert np.array_equal(source.alpha, np.asarray(expected)[..., -1])


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("photometric", [GREY, WHITE_IS_ZERO, PALETTE])
@pytest.mark.parametrize("compression", [PLAIN, LZW, DEFLATE, PACK_BITS])
def test_few_bits(bits: int, photometric: int, compression: int) -> None:
    samples = make_samples(1, bits)
    colours = np.random.default_rng(0).integers(0, 256, (3, 1 << bits))
    tags = {320: (3, tuple((colours * 257).ravel().tolist()))} if photometric == PALETTE else {}
    data = write_tiff(samples, TiffLayout(photometric, compression, bits=bits, rows=9, tags=tags))
    spread = np.rint(samples[..., 0] * (255 / ((1 << bits) - 1))).astype(np.uint8)
    wanted = {
        GREY: np.stack([spread] * 3, axis=2),
        WHITE_IS_ZERO: 255 - np.stack([spread] * 3, axis=2),
        PALETTE: colours.T[samples[..., 0]],
    }[photometric]
    assert np.array_equal(read(data).pixels, wanted)


def test_white_may_be_zero_in_16_bits() -> None:
    samples = make_samples(1, 16)
    inverted = read(write_tiff(samples, TiffLayout(WHITE_IS_ZERO)))
    assert np.array_equal(inverted.pixels[..., 0], 255 - in_8_bits(samples)[..., 0])


@pytest.mark.parametrize("bits", [8, 16])
def test_cmyk_counts_ink(bits: int) -> None:
    samples = make_samples(4, bits)
    ours = read(write_tiff(samples, TiffLayout(CMYK, LZW, ">"))).pixels
    theirs = Image.frombytes("CMYK", (WIDTH, HEIGHT), in_8_bits(samples).tobytes()).convert("RGB")
    assert np.array_equal(ours, np.asarray(theirs))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "YCbCr"])
@pytest.mark.parametrize("rows", [8, 1000])
def test_jpeg_inside_is_read_as_pillow_reads_it(mode: str, rows: int) -> None:
    image = Image.fromarray(make_array()).convert(mode)
    data = save(image, "TIFF", compression="jpeg", quality=95, tiffinfo={278: rows})
    expected = np.asarray(open_image(data).convert("RGB")).astype(int)
    assert np.abs(read(data).pixels - expected).max() <= 2


@pytest.mark.parametrize("photometric", [GREY, RGB, YCBCR])
def test_jpeg_in_tiles_is_told_its_colours_by_the_tiff(photometric: int) -> None:
    samples = np.stack([np.full((HEIGHT, WIDTH), level, np.uint8) for level in (200, 90, 40)], 2)
    samples = samples[..., :1] if photometric == GREY else samples
    # The encoder makes YCbCr of RGB, whatever the TIFF says of it.
    source = read(write_tiff(samples, TiffLayout(photometric, JPEG, tile=(64, 64))))
    wanted = np.asarray(
        Image.fromarray(samples[..., 0] if photometric == GREY else samples).convert(
            "YCbCr" if photometric == RGB else "RGB"
        )
    )
    assert np.abs(source.pixels.astype(int) - wanted).max() <= 2


def test_colours_are_freed_of_the_opacity_multiplied_into_them() -> None:
    straight = np.dstack([make_array(HEIGHT, WIDTH), np.zeros((HEIGHT, WIDTH), np.uint8)])
    straight[..., 3] = np.linspace(0, 255, WIDTH).astype(np.uint8)
    stored = straight.copy()
    stored[..., :3] = np.rint(straight[..., :3] * (straight[..., 3:] / 255))
    source = read(write_tiff(stored, TiffLayout(tags={338: (3, (1,))})))
    visible = straight[..., 3] > 100
    assert np.array_equal(source.alpha, straight[..., 3])
    assert np.abs(source.pixels[visible] - straight[visible][:, :3].astype(int)).max() <= 2
    unassociated = read(write_tiff(stored, TiffLayout(tags={338: (3, (2,))})))
    assert np.array_equal(unassociated.pixels, stored[..., :3])


@pytest.mark.parametrize(
    ("extra", "has_alpha"), [(None, True), (0, False), (1, True), (2, True), (999, True)]
)
def test_a_fourth_sample_is_opacity_where_it_is_called_so(
    extra: int | None, has_alpha: bool
) -> None:
    tags = {} if extra is None else {338: (3, (extra,))}
    source = read(write_tiff(make_samples(4), TiffLayout(tags=tags)))
    assert (source.alpha is not None) == has_alpha


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_once(orientation: int) -> None:
    tagged = write_tiff(make_samples(3), TiffLayout(tags={274: (3, (orientation,))}))
    exif = with_orientation(orientation)
    png = save(Image.fromarray(make_samples(3)), "PNG", exif=exif)
    assert np.array_equal(read(tagged).pixels, read(png).pixels)


def test_a_profile_is_obeyed() -> None:
    linear = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(make_array())
    for profile in (linear, srgb, b"garbage"):
        tiff = read(save(image, "TIFF", icc_profile=profile)).pixels
        png = read(save(image, "PNG", icc_profile=profile)).pixels
        assert np.array_equal(tiff, png)


def test_of_several_pages_the_first_is_read() -> None:
    pages = [Image.fromarray(make_noise(96, 128, seed)) for seed in range(3)]
    data = save(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    header = inspect(data, LIMITS)
    assert header.file.frames == 3
    assert np.array_equal(decode(data, header).pixels, np.asarray(pages[0]))


@pytest.mark.parametrize(
    ("tags", "name"),
    [
        *(
            ({259: (3, (code,))}, name)
            for code, name in (
                (2, "fax"), (3, "fax"), (4, "fax"), (6, "old style"), (9, "JBIG"), (34661, "JBIG"),
                (32766, "NeXT"), (32809, "ThunderScan"), (32909, "PixarLog"), (34676, "SGILog"),
                (34712, "JPEG 2000"), (34887, "LERC"), (34925, "LZMA"), (50000, "ZSTD"),
                (50001, "WebP"), (50002, "JPEG XL"), (12345, "compression 12345"),
            )
        ),
        ({262: (3, (8,))}, "CIELab"),
        ({262: (3, (6,))}, "YCbCr"),
        ({262: (3, (32844,))}, "LogL"),
        ({262: (3, (4,))}, "colour space 4"),
        ({258: (3, (32,) * 3)}, "32 bits"),
        ({258: (3, (12,) * 3)}, "12 bits"),
        ({339: (3, (3,) * 3)}, "fraction"),
        ({339: (3, (2,) * 3)}, "sign"),
        ({266: (3, (2,))}, "reversed"),
        ({277: (3, (200,))}, "samples more"),
        ({50706: (1, (1, 4, 0, 0))}, "a camera's raw file"),
        ({254: (4, (1,)), 330: (4, (8,))}, "a camera's raw file"),
        ({259: (3, (34713,))}, "a camera's raw file"),
        ({262: (3, (32803,))}, "a camera's raw file"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_called_by_its_name(tags: dict[int, Any], name: str) -> None:
    with pytest.raises(UnsupportedFormat) as refused:
        inspect(write_tiff(make_samples(3), TiffLayout(tags=tags)), LIMITS)
    assert name in refused.value.detail


def test_other_inks_are_refused_and_canons_raw_file_is_known_by_its_mark() -> None:
    with pytest.raises(UnsupportedFormat, match="inks"):
        inspect(write_tiff(make_samples(4), TiffLayout(CMYK, tags={332: (3, (2,))})), LIMITS)
    raw = b"II*\0\x10\0\0\0CR\x02\0" + bytes(100)
    with pytest.raises(UnsupportedFormat, match="CR2"):
        inspect(raw, LIMITS)


def test_a_progressive_jpeg_inside_is_refused() -> None:
    jpeg = save(Image.fromarray(make_samples(3)), "JPEG", progressive=True)
    data = tiff_head("<", 8 + len(jpeg)) + jpeg
    data += directory({
        256: (4, (WIDTH,)), 257: (4, (HEIGHT,)), 258: (3, (8, 8, 8)), 259: (3, (7,)),
        262: (3, (6,)), 273: (4, (8,)), 277: (3, (3,)), 279: (4, (len(jpeg),)),
    }, "<", len(data))  # fmt: skip
    with pytest.raises(UnsupportedFormat, match="progressive JPEG inside a TIFF"):
        read(data)


SIZE = HEIGHT * WIDTH * 3


@pytest.mark.parametrize(
    ("tags", "layout"),
    [
        ({273: (4, (2**32 - 1,))}, {}),
        ({273: (4, (10**6,))}, {}),
        ({279: (4, (5,))}, {}),
        ({279: (4, (0,))}, {}),
        ({273: (4, (8,) * 5)}, {"rows": 7}),
        ({279: (4, (SIZE,) * 10)}, {"rows": 7}),
        ({322: (3, (0,))}, {"tile": (16, 16)}),
        ({322: (4, (2**31,))}, {"tile": (16, 16)}),
        ({322: (4, (2**16,)), 323: (4, (2**16,))}, {"tile": (16, 16)}),
        ({277: (3, (0,))}, {}),
        ({258: (3, (8, 8, 16))}, {}),
        ({256: (4, (0,))}, {}),
        ({317: (3, (3,))}, {"compression": LZW}),
        ({256: (2, b"wide")}, {}),
        ({273: (4, ())}, {}),
    ],
)
@pytest.mark.parametrize("compression", [PLAIN, LZW, DEFLATE, PACK_BITS])
def test_lies_about_pieces_are_corrupt(
    tags: dict[int, Any], layout: dict[str, Any], compression: int
) -> None:
    layout = {"compression": compression, **layout}
    with pytest.raises(CorruptImage):
        read(write_tiff(make_samples(3), TiffLayout(**layout, tags=tags)))


@pytest.mark.parametrize("compression", [LZW, DEFLATE, PACK_BITS, JPEG])
@pytest.mark.parametrize("pieces", [{}, {"rows": 10}, {"tile": (64, 64)}])
def test_a_piece_cut_short_is_corrupt(compression: int, pieces: dict[str, Any]) -> None:
    whole = write_tiff(
        make_samples(3), TiffLayout(YCBCR if compression == JPEG else RGB, compression, **pieces)
    )
    tag = 325 if "tile" in pieces else 279
    at = whole.index(struct.pack("<HH", tag, 4))
    n, where = struct.unpack_from("<II", whole, at + 4)
    place = at + 8 if n == 1 else where
    (size,) = struct.unpack_from("<I", whole, place)
    cut = whole[:place] + struct.pack("<I", size // 2) + whole[place + 4 :]
    with pytest.raises(CorruptImage):
        read(cut)


def test_a_chain_of_pages_that_comes_back_ends() -> None:
    data = bytearray(write_tiff(make_samples(3), TiffLayout()))
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    struct.pack_into("<I", data, at + 2 + 12 * count, at)
    assert inspect(bytes(data), LIMITS).file.frames == 1


def test_a_damaged_note_does_not_cost_the_picture() -> None:
    samples = make_samples(3)
    notes: list[dict[int, Any]] = [{34675: (7, b"garbage" * 30)}, {34665: (4, (2**32 - 1,))}]
    for tags in notes:
        data = write_tiff(samples, TiffLayout(tags=tags))
        assert np.array_equal(read(data).pixels, samples)
    data = bytearray(write_tiff(samples, TiffLayout(tags={34675: (7, b"profile" * 30)})))
    at = data.index(struct.pack("<HH", 34675, 7))
    data[at + 8 : at + 12] = b"\xff" * 4
    assert np.array_equal(read(bytes(data)).pixels, samples)


def test_a_million_smaller_copies_are_not_followed() -> None:
    data = write_tiff(make_samples(3), TiffLayout())
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    copy = struct.pack("<HHHII", 1, 254, 4, 1, 1)
    chain = b"".join(copy + struct.pack("<I", len(data) + 18 * (i + 1)) for i in range(500_000))
    data = data[: at + 2 + 12 * count] + struct.pack("<I", len(data)) + data[at + 6 + 12 * count :]
    started = time.thread_time()
    assert inspect(data + chain, LIMITS).file.frames == 1
    assert time.thread_time() - started < 1


def test_more_than_100_pages_are_refused_at_once() -> None:
    data = write_tiff(make_samples(3), TiffLayout())
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    n = 500_000
    chain = b"".join(struct.pack("<HI", 0, len(data) + 6 * (i + 1)) for i in range(n))
    data = data[: at + 2 + 12 * count] + struct.pack("<I", len(data)) + data[at + 6 + 12 * count :]
    started = time.thread_time()
    with pytest.raises(AnimatedImage):
        inspect(data + chain, LIMITS)
    assert time.thread_time() - started < 1


def test_a_bomb_is_one_by_pixels_and_by_ratio() -> None:
    flat = write_tiff(np.zeros((4000, 7000, 1), np.uint8), TiffLayout(GREY, LZW))
    with pytest.raises(ImageBomb) as refused:
        inspect(flat, ImageLimits())
    assert refused.value.fields["ratio"] > 1000
    vast = (4, (2**32 - 1,))
    huge = write_tiff(make_samples(3), TiffLayout(tags={256: vast, 257: vast, 278: vast}))
    with pytest.raises(ImageBomb):
        inspect(huge, ImageLimits())


def test_a_hundred_thousand_tiles_are_refused() -> None:
    n = 100_000
    tags = {256: (4, (16 * 400,)), 257: (4, (16 * 250,)), 324: (4, (8,) * n), 325: (4, (1,) * n)}
    with pytest.raises(UnsupportedFormat, match="100,000 pieces"):
        inspect(write_tiff(make_samples(3), TiffLayout(tile=(16, 16), tags=tags)), LIMITS)


def test_the_end_of_the_time_comes_through() -> None:
    data = write_tiff(make_samples(3), TiffLayout(compression=LZW, planar=True))
    asked = []

    def late() -> None:
        asked.append(1)
        if len(asked) > 2:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        decode(data, inspect(data, LIMITS), late)
