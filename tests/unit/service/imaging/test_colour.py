"""The colour space is decided by content, by the word that counts most, for every format."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from service.imaging.colour import _profiles, to_srgb
from service.imaging.colour_spaces import (
    ADOBE_RGB_CHROMATICITIES,
    SRGB_CHROMATICITIES,
    make_profile,
    power_curve,
    profile_of_cicp,
    srgb_curve,
)
from service.imaging.container import ColourTags
from service.imaging.decode import decode
from service.imaging.guard import ImageLimits, inspect
from tests.support.pictures import png_chunk, save

COLOUR = (170, 90, 60)
DISPLAY_P3 = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
# What COLOUR is in sRGB, from each space; by the matrices of the standards, not by our own code.
FROM_P3 = (182, 84, 51)
FROM_ADOBE = (193, 90, 57)
FROM_LINEAR = (212, 159, 132)


def flat(mode: str = "RGB", colour: object = COLOUR) -> Image.Image:
    return Image.new(mode, (64, 64), colour)  # type: ignore[arg-type]


def seen(data: bytes) -> tuple[int, ...]:
    """The colour of the middle."""
    return tuple(int(v) for v in decode(data, inspect(data, ImageLimits())).pixels[32, 32])


def near(actual: tuple[int, ...], expected: tuple[int, ...], tolerance: int = 2) -> bool:
    return max(abs(a - e) for a, e in zip(actual, expected, strict=True)) <= tolerance


def with_chunks(*chunks: bytes, image: Image.Image | None = None) -> bytes:
    data = save(flat() if image is None else image, "PNG")
    return data[:33] + b"".join(chunks) + data[33:]


def gamma(value: float) -> bytes:
    return png_chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))


def chromaticities(values: tuple[float, ...]) -> bytes:
    return png_chunk(b"cHRM", struct.pack(">8I", *(round(v * 100_000) for v in values)))


def cicp(*values: int) -> bytes:
    return png_chunk(b"cICP", bytes(values))


def profile_chunk(profile: bytes) -> bytes:
    return png_chunk(b"iCCP", b"name\0\0" + zlib.compress(profile))


def p3_profile(curve: object = srgb_curve) -> bytes:
    made = make_profile(DISPLAY_P3, curve)  # type: ignore[arg-type]
    assert made is not None
    return made


def grey_profile(exponent: float) -> bytes:
    """A profile of grey, written by hand."""
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 2) + b"g\0" + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061),
        b"kTRC": b"curv\0\0\0\0" + struct.pack(">IH", 1, round(exponent * 256)) + b"\0\0",
    }
    at, index, body = 132 + 12 * len(tags), b"", b""
    for kind, data in tags.items():
        padded = data + bytes(-len(data) % 4)
        index += kind + struct.pack(">II", at + len(body), len(data))
        body += padded
    head = struct.pack(">I4sI", at + len(body), bytes(4), 0x02400000) + b"mntrGRAYXYZ "
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + index + body


def dcf_exif(index: bytes, space: int, order: str = "<") -> bytes:
    """EXIF of a camera: a pointer to its directory, there the colour space and the index."""
    main = struct.pack(order + "HHHIII", 1, 0x8769, 4, 1, 26, 0)
    value = struct.pack(order + "HH", space, 0)
    camera = struct.pack(order + "HHHI", 2, 0xA001, 3, 1) + value
    camera += struct.pack(order + "HHIII", 0xA005, 4, 1, 56, 0)
    interoperability = struct.pack(order + "HHHI4sI", 1, 1, 2, 4, index, 0)
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(order + "I", 8) + main + camera + interoperability


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_a_profile_is_judged_by_its_numbers_in_every_format(name: str) -> None:
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}
    profile = p3_profile().replace(b"by numbers\0", b"sRGB 2014 \0")
    data = save(flat(), name, icc_profile=profile, **options.get(name, {}))
    assert near(seen(data), FROM_P3)


def test_a_bmp_of_version_5_carries_its_profile() -> None:
    profile = p3_profile()
    pixels = bytes(COLOUR[::-1]) * 64 * 64
    head = struct.pack("<IiiHHIIiiII", 124, 64, 64, 1, 24, 0, 0, 0, 0, 0, 0)
    head = head.ljust(56, b"\0") + struct.pack("<I", 0x4D424544)
    head = head.ljust(112, b"\0") + struct.pack("<III", 124 + len(pixels), len(profile), 0)
    file = b"BM" + struct.pack("<IHHI", 0, 0, 0, 138) + head + pixels + profile
    assert near(seen(file), FROM_P3)


def test_a_profile_of_megabytes_is_used() -> None:
    profile = bytearray(p3_profile())
    padded = bytes(profile) + np.random.default_rng(0).bytes(3_000_000)
    padded = struct.pack(">I", len(padded)) + padded[4:]
    assert near(seen(with_chunks(profile_chunk(padded))), FROM_P3)
    assert near(seen(save(flat(), "JPEG", quality=100, subsampling=0, icc_profile=padded)), FROM_P3)


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_a_profile_of_grey_counts_with_alpha_and_without(mode: str) -> None:
    image = flat(mode, 55 if mode == "L" else (55, 200))
    data = save(image, "PNG", icc_profile=grey_profile(1.0))
    assert near(seen(data), (128, 128, 128))


def test_a_profile_of_grey_counts_in_a_jpeg() -> None:
    data = save(flat("L", 55), "JPEG", quality=100, icc_profile=grey_profile(1.0))
    assert near(seen(data), (128, 128, 128))


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_colours_are_converted_with_alpha_and_in_a_palette(mode: str) -> None:
    image = flat().quantize(2) if mode == "P" else flat().convert(mode)
    data = save(image, "PNG", icc_profile=p3_profile())
    assert near(seen(data), FROM_P3)


@pytest.mark.parametrize(
    "profile",
    [grey_profile(1.0), p3_profile()[:200], bytes(3000), b"", b"x" * 127],
    ids=["grey", "half", "zeros", "empty", "short"],
)
def test_a_profile_that_does_not_fit_or_is_damaged_says_nothing(profile: bytes) -> None:
    assert seen(with_chunks(profile_chunk(profile))) == COLOUR


def test_behind_a_damaged_profile_the_next_word_counts() -> None:
    data = with_chunks(profile_chunk(p3_profile()[:200]), gamma(1.0))
    assert near(seen(data), FROM_LINEAR)


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ((gamma(1.0),), FROM_LINEAR),
        ((gamma(1 / 2.2),), COLOUR),
        ((gamma(0.45),), COLOUR),
        ((gamma(1 / 2.2), chromaticities(SRGB_CHROMATICITIES)), COLOUR),
        ((gamma(1 / 2.2), chromaticities(DISPLAY_P3)), FROM_P3),
        ((gamma(256 / 563), chromaticities(ADOBE_RGB_CHROMATICITIES)), FROM_ADOBE),
        ((chromaticities(DISPLAY_P3),), COLOUR),  # primaries without a curve: no viewer obeys
        ((png_chunk(b"sRGB", b"\0"), gamma(1.0)), COLOUR),
        ((profile_chunk(p3_profile()), png_chunk(b"sRGB", b"\0"), gamma(1.0)), FROM_P3),
        ((cicp(1, 13, 0, 1), profile_chunk(p3_profile())), COLOUR),
        ((cicp(12, 13, 0, 1), gamma(1.0)), FROM_P3),
        ((cicp(1, 8, 0, 1),), FROM_LINEAR),
        ((cicp(2, 2, 0, 1), gamma(1.0)), FROM_LINEAR),  # unspecified: the next word
        ((cicp(9, 16, 5, 1), gamma(1.0)), FROM_LINEAR),  # no PNG is YCbCr
        ((gamma(1.0), chromaticities((0.0,) * 8)), COLOUR),
        ((gamma(1.0), chromaticities((0.3, 0.3) * 4)), COLOUR),
    ],
)
def test_the_chunks_of_a_png_count_in_the_standards_order(
    chunks: tuple[bytes, ...], expected: tuple[int, ...]
) -> None:
    assert near(seen(with_chunks(*chunks)), expected, 3)


def test_linear_grey_is_converted_and_stays_grey() -> None:
    data = with_chunks(gamma(1.0), image=flat("L", 55))
    assert near(seen(data), (128, 128, 128))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", ["JPEG", "WEBP", "PNG"])
def test_adobe_rgb_told_by_a_camera_is_converted(name: str, order: str) -> None:
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}
    exif = b"Exif\0\0" + dcf_exif(b"R03\0", 0xFFFF, order)
    assert near(seen(save(flat(), name, exif=exif, **options.get(name, {}))), FROM_ADOBE)


@pytest.mark.parametrize(
    ("index", "space"), [(b"R98\0", 1), (b"R98\0", 0xFFFF), (b"R03\0", 1), (b"THM\0", 0xFFFF)]
)
def test_what_a_camera_does_not_call_adobe_rgb_is_left_alone(index: bytes, space: int) -> None:
    exif = b"Exif\0\0" + dcf_exif(index, space)
    assert seen(save(flat(), "PNG", exif=exif)) == COLOUR


def test_a_profile_counts_more_than_a_cameras_word() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = b"Exif\0\0" + dcf_exif(b"R03\0", 0xFFFF)
    assert seen(save(flat(), "PNG", exif=exif, icc_profile=srgb)) == COLOUR


@pytest.mark.parametrize(
    ("transfer", "level", "expected"),
    [
        (16, 148, 255),  # PQ: 203 cd/m2, the white of a page
        (18, 191, 255),  # HLG: 75 %
        (16, 0, 0),
        (18, 0, 0),
        (1, 255, 255),
        (14, 0, 0),
        (4, 128, 129),
    ],
)
def test_the_white_of_a_page_is_white_in_every_transfer(
    transfer: int, level: int, expected: int
) -> None:
    data = with_chunks(cicp(9, transfer, 0, 1), image=flat("RGB", (level,) * 3))
    assert near(seen(data), (expected,) * 3, 3)


def test_narrow_range_is_spread() -> None:
    for level, expected in ((16, 0), (235, 255), (0, 0), (255, 255)):
        data = with_chunks(cicp(1, 13, 0, 0), image=flat("RGB", (level,) * 3))
        assert near(seen(data), (expected,) * 3)


def test_every_known_number_makes_a_profile_littlecms_takes() -> None:
    for primaries in (1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 22):
        for transfer in (1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18):
            profile = profile_of_cicp((primaries, transfer, 0, 1))
            assert profile is not None
            ImageCms.ImageCmsProfile(io.BytesIO(profile))
    white = np.full((4, 4, 3), 255, np.uint8)
    tags = ColourTags(cicp=(12, 4, 0, 1))
    assert to_srgb(white, tags, adobe_rgb=False, check_deadline=lambda: None).min() >= 254


def test_what_is_srgb_by_content_is_not_even_copied() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    profile = make_profile(SRGB_CHROMATICITIES, srgb_curve)
    assert profile is not None
    renamed = profile.replace(b"by numbers\0", b"Adobe RGB \0")
    for tags in (ColourTags(), ColourTags(icc=renamed), ColourTags(gamma=0.45455)):
        assert to_srgb(pixels, tags, adobe_rgb=False, check_deadline=lambda: None) is pixels


def test_a_gamma_of_2_2_by_formula_is_not_taken_for_srgb() -> None:
    profile = make_profile(SRGB_CHROMATICITIES, power_curve(2.2))
    dark = np.full((4, 4, 3), 8, np.uint8)
    tags = ColourTags(icc=profile)
    assert to_srgb(dark, tags, adobe_rgb=False, check_deadline=lambda: None).max() < 8


def test_a_device_link_is_no_source_profile() -> None:
    link = bytearray(p3_profile())
    link[12:16] = b"link"
    assert list(_profiles(ColourTags(icc=bytes(link)), adobe_rgb=False)) == []
