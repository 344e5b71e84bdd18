"""The picture formats we know, in one table: name, media types, magic, and who reads them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from service.imaging import png
from service.imaging.avif import read_avif
from service.imaging.bmp import read_bmp
from service.imaging.container import PictureFile
from service.imaging.gif import read_gif
from service.imaging.jpeg import read_jpeg
from service.imaging.png import read_png
from service.imaging.tiff import read_tiff
from service.imaging.webp import read_webp

_RIFF_HEADER_BYTES = 12
_HEAD_BYTES = 64
_JPEG_LS = b"\xff\xd8\xff\xf7"
_AVIF_BRANDS = re.compile(rb"avif|avis")
_HEIC_BRANDS = re.compile(rb"hei[cxms]|hev[cxms]")
_NEUTRAL_BRANDS = (b"mif1", b"msf1")


@dataclass(frozen=True)
class ImageFormat:
    """One format.

    Attributes:
        name: Name, as the API spells it.
        media_types: Media types it travels under, the proper one first.
        matches: Whether bytes begin like this format.
        read: Reads the layout of a file; its faults are `DECODER_FAULTS`, and `UnsupportedFormat`.
    """

    name: str
    media_types: tuple[str, ...]
    matches: Callable[[bytes], bool]
    read: Callable[[bytes], PictureFile]


def _is_jpeg(head: bytes) -> bool:
    """JPEG-LS begins alike and is another thing."""
    return head[:3] == b"\xff\xd8\xff" and head[:4] != _JPEG_LS


def _is_webp(head: bytes) -> bool:
    """RIFF alone would let WAV and AVI in."""
    return head[:4] == b"RIFF" and head[8:_RIFF_HEADER_BYTES] == b"WEBP"


def _is_heif(head: bytes, own: re.Pattern[bytes]) -> bool:
    """By the brand, or where that only names the container, by those it is compatible with."""
    if head[4:8] != b"ftyp":
        return False
    brand = head[8:12]
    return own.match(brand) is not None or (
        brand in _NEUTRAL_BRANDS and own.search(head[16:_HEAD_BYTES]) is not None
    )


def _is_avif(head: bytes) -> bool:
    return _is_heif(head, _AVIF_BRANDS)


def _is_heic(head: bytes) -> bool:
    neutral = head[4:8] == b"ftyp" and head[8:12] in _NEUTRAL_BRANDS
    return (neutral or _is_heif(head, _HEIC_BRANDS)) and not _is_avif(head)


def _heic() -> tuple[ImageFormat, ...]:
    """HEIC where its decoder is installed, which is an extra (`[heic]`)."""
    if find_spec("pillow_heif") is None:
        return ()
    from service.imaging.heic import read_heic

    return (ImageFormat("HEIC", ("image/heic", "image/heif"), _is_heic, read_heic),)


JPEG = ImageFormat("JPEG", ("image/jpeg", "image/jpg"), _is_jpeg, read_jpeg)
PNG = ImageFormat("PNG", ("image/png",), lambda head: head[:8] == png.SIGNATURE, read_png)
WEBP = ImageFormat("WEBP", ("image/webp",), _is_webp, read_webp)
BMP = ImageFormat("BMP", ("image/bmp", "image/x-ms-bmp"), lambda head: head[:2] == b"BM", read_bmp)

TIFF = ImageFormat(
    "TIFF", ("image/tiff",), lambda head: head[:4] in (b"II*\0", b"MM\0*"), read_tiff
)
GIF = ImageFormat("GIF", ("image/gif",), lambda head: head[:6] in (b"GIF87a", b"GIF89a"), read_gif)
AVIF = ImageFormat("AVIF", ("image/avif",), _is_avif, read_avif)

READABLE = (JPEG, PNG, WEBP, BMP, TIFF, GIF, AVIF, *_heic())
SUPPORTED_NAMES = [known.name for known in READABLE]

# Media types of other kinds of file. What is none of these says nothing: clients declare nothing,
# `application/octet-stream`, the wrong picture type and misspellings all the time.
_NO_IMAGE = re.compile(
    r"(text|video|audio|font|model|message)/.+"
    r"|application/(pdf|x-pdf|postscript|rtf|json|xml|xhtml\+xml|javascript|x-javascript|msword"
    r"|zip|x-zip(-compressed)?|gzip|x-gzip|x-tar|x-bzip2?|x-xz|x-7z-compressed|vnd\.rar"
    r"|x-rar(-compressed)?|java-archive|mp4|ogg|wasm|x-sh|x-msdownload|x-executable"
    r"|vnd\.(ms-|openxmlformats|oasis|apple|microsoft|android).+|.+\+(json|xml|zip))"
)


def sniff(data: bytes) -> ImageFormat | None:
    """The format these bytes begin like, or None."""
    head = data[:_HEAD_BYTES]
    return next((known for known in READABLE if known.matches(head)), None)


def is_clearly_no_image(media_type: str | None) -> bool:
    """Whether a declared media type names another kind of file: a PDF, a text, a film, an archive.

    Nothing else is believed: not what is unknown, binary or misspelt.
    """
    kind = (media_type or "").split(";")[0].strip().lower()
    return _NO_IMAGE.fullmatch(kind) is not None
