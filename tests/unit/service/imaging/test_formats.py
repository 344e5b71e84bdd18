"""The table of formats."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from scripts.hostile.heif_files import box
from service.imaging.formats import (
    AVIF,
    GIF,
    READABLE,
    SPOKEN_NAMES,
    SUPPORTED_NAMES,
    TIFF,
    is_clearly_no_image,
    sniff,
)
from tests.support.pictures import make_image

HAS_HEIC = find_spec("pillow_heif") is not None
HEIC = ["HEIC"] * HAS_HEIC


@pytest.mark.parametrize("known", READABLE[:7], ids=lambda known: known.name)
def test_each_format_is_recognised_as_itself_and_no_other(known: object) -> None:
    data = make_image(known.name)  # type: ignore[attr-defined]
    assert sniff(data) is known
    assert [other for other in READABLE if other.matches(data)] == [known]


def test_the_names_are_the_specifications_and_what_was_added() -> None:
    assert ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", *HEIC] == SUPPORTED_NAMES
    listed = ["JPEG", "PNG", "WebP", "BMP", "TIFF", "GIF", "AVIF", *HEIC]
    assert f"{', '.join(listed[:-1])} or {listed[-1]}" == SPOKEN_NAMES


@pytest.mark.parametrize(
    ("brand", "compatible", "known"),
    [
        (b"avif", b"mif1", AVIF),
        (b"avis", b"msf1", AVIF),
        (b"mif1", b"mif1avif", AVIF),
        (b"heic", b"mif1avif", None),
        (b"mif1", b"heic", None),
        (b"isom", b"mp42", None),
        (b"crx ", b"isom", None),
    ],
)
def test_an_avif_is_known_by_its_brands(brand: bytes, compatible: bytes, known: object) -> None:
    found = sniff(box(b"ftyp", brand, bytes(4), compatible) + b"avifheic" + bytes(200))
    if known is None and brand in (b"heic", b"mif1") and HAS_HEIC:
        assert found is not None
        assert found.name == "HEIC"
    else:
        assert found is known


@pytest.mark.parametrize(
    ("start", "known"), [(b"II*\0", TIFF), (b"MM\0*", TIFF), (b"GIF87a", GIF), (b"GIF89a", GIF)]
)
def test_both_byte_orders_and_both_versions_are_known(start: bytes, known: object) -> None:
    assert sniff(start + bytes(60)) is known
    assert sniff(start[::-1] + bytes(60)) is None


@pytest.mark.parametrize("data", [b"", b"R", b"RIFF", b"RIFF\0\0\0\0WAVE", b"B", b"\x89PNG"])
def test_too_little_is_nothing(data: bytes) -> None:
    assert sniff(data) is None


@pytest.mark.parametrize(
    "media_type",
    [
        None,
        "",
        "image/heic",
        "application/octet-stream",
        "Application/Octet-Stream; charset=binary",
        "binary/octet-stream",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/jpg",
        "imgae/jpeg",
        "jpeg",
        "*/*",
        "application/unknown",
        "x-unknown/whatever",
        "text",
    ],
)
def test_unknown_binary_and_misspelt_types_are_not_believed(media_type: str | None) -> None:
    assert not is_clearly_no_image(media_type)


@pytest.mark.parametrize(
    "media_type",
    [
        "application/pdf",
        "APPLICATION/PDF",
        "text/html; charset=utf-8",
        "text/csv",
        "video/quicktime",
        "audio/mpeg",
        "application/zip",
        "application/x-zip-compressed",
        "application/gzip",
        "application/json",
        "application/ld+json",
        "application/msword",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "font/woff2",
    ],
)
def test_the_name_of_another_kind_of_file_is_believed(media_type: str) -> None:
    assert is_clearly_no_image(media_type)
