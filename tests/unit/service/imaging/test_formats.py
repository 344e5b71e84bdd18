"""The table of formats."""

from __future__ import annotations

import pytest

from service.imaging.formats import READABLE, SUPPORTED_NAMES, is_clearly_no_image, sniff
from tests.support.pictures import make_image


@pytest.mark.parametrize("known", READABLE, ids=lambda known: known.name)
def test_each_format_is_recognised_as_itself_and_no_other(known: object) -> None:
    data = make_image(known.name)  # type: ignore[attr-defined]
    assert sniff(data) is known
    assert [other for other in READABLE if other.matches(data)] == [known]


def test_the_names_are_the_specifications() -> None:
    assert SUPPORTED_NAMES == ["JPEG", "PNG", "WEBP", "BMP"]


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
