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
    ("media_type", "contradicts"),
    [
        (None, False),
        ("image/heic", False),
        ("application/octet-stream", False),
        ("Application/Octet-Stream; charset=binary", False),
        ("application/pdf", True),
        ("text/html; charset=utf-8", True),
        ("video/mp4", True),
    ],
)
def test_only_a_clear_contradiction_is_believed(media_type: str | None, contradicts: bool) -> None:
    assert is_clearly_no_image(media_type) is contradicts
