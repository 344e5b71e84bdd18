"""Whatever a camera, a scanner or an editor writes ends as upright 8-bit sRGB."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from models.arrays import U8Array
from service.errors import CorruptImage
from service.imaging.decode import SourceImage, decode
from service.imaging.guard import ImageLimits, inspect
from tests.support.pictures import (
    JPEG_TOLERANCE,
    make_array,
    make_image,
    make_png,
    png_chunk,
    save,
    with_orientation,
)

# How to store an upright picture so that a viewer that obeys EXIF sees it so (EXIF 2.3, 4.6.4).
STORED: dict[int, Image.Transpose | None] = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def read(data: bytes) -> SourceImage:
    return decode(data, inspect(data, ImageLimits()))


def assert_close(actual: U8Array, expected: U8Array, tolerance: int) -> None:
    assert actual.shape == expected.shape
    worst = int(np.abs(actual.astype(int) - expected.astype(int)).max())
    assert worst <= tolerance, f"off by {worst}"


def make_wide_profile(x: float, y: float) -> bytes:
    """Profile of a display whose red primary is elsewhere than sRGB's: an sRGB profile, edited.

    Red's column is what differs; the other columns and the curves stay.
    """
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (count,) = struct.unpack(">I", profile[128:132])
    for i in range(count):
        at = 132 + 12 * i
        tag, offset, size = struct.unpack(">4sII", profile[at : at + 12])
        if tag == b"rXYZ":
            old = struct.unpack(">3i", profile[offset + 8 : offset + 20])
            new = (int(old[0] * x), int(old[1] * y), old[2])
            profile[offset + 8 : offset + 20] = struct.pack(">3i", *new)
        if tag == b"desc":  # it must not call itself sRGB
            body = bytes(profile[offset : offset + size])
            renamed = body.replace("sRGB".encode("utf-16-be"), "wide".encode("utf-16-be"))
            profile[offset : offset + size] = renamed.replace(b"sRGB", b"wide")
    profile[84:100] = bytes(16)  # the profile's own checksum is optional
    return bytes(profile)


@pytest.mark.parametrize("orientation", STORED)
def test_every_orientation_of_a_png_ends_as_the_same_upright_pixels(orientation: int) -> None:
    upright = Image.fromarray(make_array())
    turn = STORED[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    source = read(save(stored, "PNG", exif=with_orientation(orientation)))
    assert np.array_equal(source.pixels, make_array())


@pytest.mark.parametrize("orientation", STORED)
def test_every_orientation_of_a_jpeg_ends_as_the_same_upright_pixels(orientation: int) -> None:
    upright = Image.fromarray(make_array())
    turn = STORED[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    data = save(stored, "JPEG", quality=95, subsampling=0, exif=with_orientation(orientation))
    assert_close(read(data).pixels, make_array(), JPEG_TOLERANCE)


@pytest.mark.parametrize("orientation", STORED)
def test_existing_alpha_is_turned_with_the_pixels(orientation: int) -> None:
    rgba = np.dstack([make_array(), make_array()[..., 0]])
    turn = STORED[orientation]
    stored = Image.fromarray(rgba) if turn is None else Image.fromarray(rgba).transpose(turn)
    source = read(save(stored, "PNG", exif=with_orientation(orientation)))
    assert source.alpha is not None
    assert np.array_equal(source.alpha, make_array()[..., 0])


def test_pixels_and_alpha_are_contiguous() -> None:
    data = save(Image.fromarray(make_array()), "PNG", exif=with_orientation(5))
    assert read(data).pixels.flags.c_contiguous


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_a_wide_gamut_profile_is_converted_to_srgb(name: str) -> None:
    grey_red = Image.new("RGB", (64, 64), (200, 100, 100))
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}
    wide = make_wide_profile(1.15, 1.08)
    plain = read(save(grey_red, name, **options.get(name, {}))).pixels[32, 32].astype(int)
    seen = read(save(grey_red, name, icc_profile=wide, **options.get(name, {}))).pixels[32, 32]
    # A redder primary: the same numbers mean a redder colour, so more red and no more blue in sRGB.
    assert seen[0] >= plain[0] + 6
    assert seen[2] <= plain[2] + 2


def test_a_wide_gamut_profile_is_converted_as_littlecms_converts_it() -> None:
    wide = make_wide_profile(1.15, 1.08)
    picture = Image.fromarray(make_array())
    expected = ImageCms.profileToProfile(
        picture,
        ImageCms.ImageCmsProfile(io.BytesIO(wide)),
        ImageCms.createProfile("sRGB"),
        outputMode="RGB",
    )
    assert expected is not None
    pixels = read(save(picture, "PNG", icc_profile=wide)).pixels
    assert np.array_equal(pixels, np.asarray(expected))
    assert not np.array_equal(pixels, make_array())


def test_an_srgb_profile_changes_nothing() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(read(make_image("PNG", icc_profile=profile)).pixels, make_array())


@pytest.mark.parametrize("broken", [b"not a profile at all", b"\0" * 400])
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_a_broken_profile_is_ignored(name: str, broken: bytes) -> None:
    source = read(make_image(name, icc_profile=broken))
    assert_close(source.pixels, make_array(), JPEG_TOLERANCE)


def test_a_profile_for_another_kind_of_colour_is_ignored() -> None:
    grey = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert np.array_equal(read(make_image("PNG", icc_profile=grey)).pixels, make_array())


def test_a_cmyk_jpeg_has_its_colours() -> None:
    # Pillow writes CMYK the way Adobe does: inverted, and saying so.
    data = save(Image.new("CMYK", (64, 64), (255, 0, 0, 0)), "JPEG", quality=100)
    assert b"Adobe" in data
    cyan = read(data).pixels[32, 32]
    assert_close(cyan, np.array([0, 255, 255], np.uint8), JPEG_TOLERANCE)


def test_black_ink_of_a_cmyk_jpeg_is_black() -> None:
    data = save(Image.new("CMYK", (64, 64), (0, 0, 0, 255)), "JPEG", quality=100)
    assert read(data).pixels.max() <= JPEG_TOLERANCE


def test_a_ycck_jpeg_has_its_colours() -> None:
    # The same planes, marked as YCCK (Adobe transform 2): stored Y=0, Cb=Cr=128, K=255: no ink.
    inverted = Image.merge("CMYK", [Image.new("L", (64, 64), v) for v in (255, 127, 127, 0)])
    data = save(inverted, "JPEG", quality=100)
    at = data.index(b"Adobe") + 11
    assert data[at] == 0
    data = data[:at] + b"\x02" + data[at + 1 :]
    assert read(data).pixels.min() >= 255 - JPEG_TOLERANCE


def test_a_palette_with_transparency_keeps_both() -> None:
    image = Image.fromarray(make_array()).quantize(16)
    expected = np.asarray(image.convert("RGB"))
    indices = np.asarray(image)
    source = read(save(image, "PNG", transparency=3))
    assert source.alpha is not None
    assert np.array_equal(source.alpha == 0, indices == 3)
    assert np.array_equal(source.pixels[indices != 3], expected[indices != 3])


def test_grey_with_alpha_keeps_both() -> None:
    grey, alpha = make_array()[..., 0], make_array()[..., 1]
    source = read(save(Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)]), "PNG"))
    assert source.alpha is not None
    assert np.array_equal(source.alpha, alpha)
    assert np.array_equal(source.pixels, np.dstack([grey] * 3))


def test_one_bit_becomes_black_and_white() -> None:
    bits = make_array()[..., 0] > 128
    source = read(save(Image.fromarray(bits), "PNG"))
    assert np.array_equal(source.pixels, np.dstack([bits * np.uint8(255)] * 3))


def test_sixteen_bit_grey_is_scaled_and_not_saturated() -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    pixels = read(save(Image.fromarray(ramp), "PNG")).pixels
    assert pixels.mean() == pytest.approx(127.5, abs=0.01)
    assert (pixels == 255).mean() < 0.01
    assert pixels[0, 0, 0] == 0
    assert pixels[-1, -1, 0] == 255


def test_sixteen_bit_grey_with_a_transparent_level_is_scaled_too() -> None:
    ramp = np.linspace(0, 65535, 64 * 64).astype(">u2").reshape(64, 64)
    rows = b"".join(b"\0" + row.tobytes() for row in ramp)
    data = make_png(64, 64, 16, 0, rows, png_chunk(b"tRNS", struct.pack(">H", 0)))
    source = read(data)
    assert source.pixels.mean() == pytest.approx(127.5, abs=1)
    assert source.alpha is not None
    assert np.array_equal(source.alpha == 0, ramp == 0)


def test_sixteen_bit_grey_with_alpha_is_scaled_too() -> None:
    ramp = np.linspace(0, 65535, 64 * 64).astype(">u2").reshape(64, 64)
    rows = b"".join(b"\0" + np.dstack([row, row])[0].astype(">u2").tobytes() for row in ramp)
    source = read(make_png(64, 64, 16, 4, rows))
    assert source.alpha is not None
    assert source.pixels.mean() == pytest.approx(127.5, abs=1)
    assert source.alpha.mean() == pytest.approx(127.5, abs=1)


def test_sixteen_bit_colour_is_scaled() -> None:
    ramp = np.arange(65536, dtype=">u2").reshape(256, 256)
    rows = b"".join(b"\0" + np.repeat(row, 3).tobytes() for row in ramp)
    pixels = read(make_png(256, 256, 16, 2, rows)).pixels
    assert pixels.mean() == pytest.approx(127.5, abs=0.6)


def test_a_file_without_transparency_has_no_alpha() -> None:
    assert read(make_image("PNG")).alpha is None


@pytest.mark.parametrize("name", ["PNG", "WEBP"])
def test_existing_alpha_is_kept_apart(name: str) -> None:
    rgba = np.dstack([make_array(), 255 - make_array()[..., 1]])
    options = {"lossless": True, "exact": True} if name == "WEBP" else {}
    source = read(save(Image.fromarray(rgba), name, **options))
    assert source.alpha is not None
    assert np.array_equal(source.alpha, rgba[..., 3])
    assert np.array_equal(source.pixels, rgba[..., :3])


def test_an_mpo_of_a_phone_is_read_as_its_first_jpeg() -> None:
    second = Image.new("RGB", (128, 96), "red")
    first = Image.fromarray(make_array())
    data = save(first, "MPO", save_all=True, append_images=[second], quality=95)
    assert b"MPF\0" in data
    assert_close(read(data).pixels, make_array(), JPEG_TOLERANCE)


def test_a_grey_jpeg_becomes_three_equal_channels() -> None:
    grey = make_array()[..., 0]
    pixels = read(save(Image.fromarray(grey), "JPEG", quality=95)).pixels
    assert_close(pixels, np.dstack([grey] * 3), JPEG_TOLERANCE)
    assert np.array_equal(pixels[..., 0], pixels[..., 2])


@pytest.mark.parametrize(
    "options",
    [
        {"progressive": True},
        {"subsampling": 0},
        {"subsampling": 1},
        {"subsampling": 2},
        {"optimize": True},
        {"restart_marker_blocks": 2},
        {"keep_rgb": True},
    ],
    ids=str,
)
def test_every_kind_of_jpeg_has_its_pixels(options: dict[str, int]) -> None:
    assert_close(read(make_image("JPEG", **options)).pixels, make_array(), JPEG_TOLERANCE)


def test_junk_between_the_markers_of_a_jpeg_is_skipped() -> None:
    data = make_image("JPEG")
    junk = data[:2] + b"\xff\xff\xff" + data[3:]  # fill bytes before a marker are legal
    comment = b"\xff\xfe" + struct.pack(">H", 2 + 300) + b"\xff\xd9" * 150
    padded = junk[:2] + comment + junk[2:]
    assert_close(read(padded).pixels, make_array(), JPEG_TOLERANCE)


def test_bytes_behind_the_end_of_a_jpeg_are_ignored() -> None:
    data = make_image("JPEG") + b"PK\x03\x04" + bytes(5000)
    assert_close(read(data).pixels, make_array(), JPEG_TOLERANCE)


def test_a_jpeg_cut_in_half_is_corrupt_and_not_half_grey() -> None:
    data = make_image("JPEG", 512, 512)
    with pytest.raises(CorruptImage):
        read(data[: len(data) // 2])


@pytest.mark.parametrize("depth", ["RGB", "L", "P", "1"])
def test_every_bmp_has_its_pixels(depth: str) -> None:
    image = Image.fromarray(make_array()).convert(depth)
    pixels = read(save(image, "BMP")).pixels
    assert np.array_equal(pixels, np.asarray(image.convert("RGB")))


def test_an_interlaced_png_has_its_pixels() -> None:
    # Adam7 of a picture of one colour: seven passes, each with its own rows.
    passes = (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    )
    pixels = make_array(64, 64)
    rows = b"".join(
        b"\0" + row.tobytes() for x, y, dx, dy in passes for row in pixels[y::dy, x::dx]
    )
    data = bytearray(make_png(64, 64, 8, 2, rows))
    header = bytes(data[16:28]) + b"\x01"
    data[8:33] = png_chunk(b"IHDR", header)
    assert np.array_equal(read(bytes(data)).pixels, pixels)


class TimeIsUp(TimeoutError):
    """An OSError, like those decoders raise and catch."""


def make_every_kind() -> dict[str, bytes]:
    noise = np.random.default_rng(0).integers(0, 256, (600, 700, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    wide = make_wide_profile(1.1, 1.05)
    return {
        "jpeg": save(image, "JPEG"),
        "jpeg with a profile": save(image, "JPEG", icc_profile=wide),
        "png": save(image, "PNG"),
        "webp": save(image, "WEBP"),
        "bmp": save(image, "BMP"),
        "bmp with a palette": save(image.convert("L"), "BMP"),
    }


@pytest.mark.parametrize("name", make_every_kind())
def test_the_end_of_the_time_ends_decoding_and_comes_through_unchanged(name: str) -> None:
    data = make_every_kind()[name]
    header = inspect(data, ImageLimits())
    asked = 0

    def count() -> None:
        nonlocal asked
        asked += 1

    decode(data, header, count)
    assert asked >= 2
    for last in range(asked):
        late, left = TimeIsUp(), last

        def check(late: TimeIsUp = late) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise late

        with pytest.raises(TimeIsUp) as ended:
            decode(data, header, check)
        assert ended.value is late


def test_want_of_memory_is_not_a_damaged_file(monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_image("PNG")
    header = inspect(data, ImageLimits())
    refused = OSError("out of memory when reading image file")  # as Pillow says it

    def no_memory(*_: object) -> None:
        raise MemoryError

    def fail(*_: object) -> None:
        raise refused

    monkeypatch.setattr(type(header.file), "decode", fail)
    with pytest.raises(CorruptImage):
        decode(data, header)
    monkeypatch.setattr(np, "empty", no_memory)
    with pytest.raises(MemoryError):
        decode(data, header)


def test_a_picture_with_alpha_shows_a_ground_where_it_hides_colours() -> None:
    rgba = np.dstack([make_array(), np.zeros((96, 128), np.uint8)])
    rgba[20:60, 30:90, 3] = 255
    rgba[10:20, 30:90, 3] = 100
    source = read(save(Image.fromarray(rgba), "PNG"))
    seen = source.as_seen()
    assert len(np.unique(seen.pixels[rgba[..., 3] == 0], axis=0)) == 1
    assert np.array_equal(seen.pixels[20:60, 30:90], rgba[20:60, 30:90, :3])
    assert seen.as_seen() is seen
    estimated = np.zeros_like(seen.pixels)
    own = seen.with_own_colours(estimated)
    assert np.array_equal(own[10:20, 30:90], rgba[10:20, 30:90, :3])
    assert not own[20:60, 30:90].any()


def test_a_picture_without_alpha_is_seen_as_it_is() -> None:
    source = read(make_image("PNG"))
    assert source.as_seen() is source
    assert source.with_own_colours(source.pixels) is source.pixels
