"""What we do not take is called by its name."""

from __future__ import annotations

import struct

import pytest
from PIL import Image

from service.imaging.foreign import recognise
from tests.support.pictures import make_array, make_image, save


def make_box(brand: bytes, *compatible: bytes) -> bytes:
    """The first box of an ISO base media file, and something behind it."""
    body = b"ftyp" + brand + bytes(4) + b"".join(compatible)
    return struct.pack(">I", 4 + len(body)) + body + bytes(200)


def make_with_pillow(name: str) -> bytes:
    return save(Image.fromarray(make_array()), name)


@pytest.mark.parametrize(
    ("data", "name", "media_type"),
    [
        (make_box(b"heic", b"mif1"), "HEIC", "image/heic"),
        (make_box(b"hevx", b"msf1"), "HEIC", "image/heic"),
        (make_box(b"mif1", b"heic"), "HEIC", "image/heic"),
        (make_box(b"mp41", b"heic"), "HEIC", "image/heic"),
        (make_box(b"qt  "), "QuickTime", "video/quicktime"),
        (make_box(b"isom", b"mp42"), "MPEG-4", "video/mp4"),
        (make_box(b"crx ", b"isom"), "raw", "image/x-canon-cr3"),
        (b"MM\0+" + bytes(40), "BigTIFF", "image/tiff"),
        (b"II+\0" + bytes(40), "BigTIFF", "image/tiff"),
        (make_with_pillow("JPEG2000"), "JPEG 2000", "image/jp2"),
        (make_with_pillow("ICO"), "icon", "image/x-icon"),
        (make_with_pillow("PPM"), "PNM", "image/x-portable-anymap"),
        (make_with_pillow("EPS"), "PostScript", "application/postscript"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL", "image/jxl"),
        (b"\xff\x0a" + bytes(40), "JPEG XL", "image/jxl"),
        (b"\xff\xd8\xff\xf7" + bytes(40), "JPEG-LS", "image/jls"),
        (b"8BPS\0\1" + bytes(40), "Photoshop", "image/vnd.adobe.photoshop"),
        (b"%PDF-1.7\n", "PDF", "application/pdf"),
        (b"\n<!-- hello -->\n<!DOCTYPE HTML>", "HTML", "text/html"),
        (b"<html><body>404", "HTML", "text/html"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<svg xmlns=''/>", "SVG", "image/svg+xml"),
        (b"<?xml version='1.0'?><Error/>", "XML", "application/xml"),
        (b'{"error": 404}', "JSON", "application/json"),
        (b"data:image/jpeg;base64,/9j/4AAQ", "data URL", "text/plain"),
        (b"/9j/4AAQSkZJRgABAQ", "Base64", "text/plain"),
        (b"PK\x03\x04" + bytes(40), "ZIP", "application/zip"),
        (b"\x1a\x45\xdf\xa3" + bytes(40), "WebM", "video/webm"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_is_called_by_its_name(data: bytes, name: str, media_type: str) -> None:
    kind = recognise(data)
    assert kind is not None
    assert name in kind.name
    assert kind.media_type == media_type


@pytest.mark.parametrize("data", [b"", b"\0", b"ftyp", b"hello", bytes(3000), b"\0\0\0\x18ftyp"])
def test_what_has_no_name_gets_none(data: bytes) -> None:
    assert recognise(data) is None or data[4:8] == b"ftyp"


@pytest.mark.parametrize("format", ["PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_what_we_take_is_not_foreign(format: str) -> None:
    assert recognise(make_image(format)) is None


@pytest.mark.parametrize("comment", [b"<!--", b"<!---->", b" <!-- -->"])
def test_text_made_to_be_slow_to_search_is_not(comment: bytes) -> None:
    assert recognise(comment * 100_000) is None
