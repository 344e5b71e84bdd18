"""The picture formats we know, in one table: name, media types, magic, and who reads them.

GIF, TIFF, AVIF and HEIC are read as decision 9 says.
"""

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


def _brands(head: bytes) -> tuple[bytes, bytes]:
    """The brand of an ISO base media file, and all it is compatible with; empty of any other."""
    if head[4:8] != b"ftyp":
        return b"", b""
    return head[8:12], head[16 : min(int.from_bytes(head[:4], "big"), _HEAD_BYTES)]


def _is_avif(head: bytes) -> bool:
    """By its brand, or where that is not HEIC's, by one it is compatible with."""
    own, compatible = _brands(head)
    fits = _AVIF_BRANDS.search(compatible) is not None and _HEIC_BRANDS.match(own) is None
    return _AVIF_BRANDS.match(own) is not None or fits


def _is_heic(head: bytes) -> bool:
    """By its brand, which may only name the container, or by one it is compatible with."""
    own, compatible = _brands(head)
    fits = own in _NEUTRAL_BRANDS or _HEIC_BRANDS.search(own + b" " + compatible) is not None
    return fits and not _is_avif(head)


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
_LISTED = ["WebP" if name == "WEBP" else name for name in SUPPORTED_NAMES]
#: The formats in a sentence.
SPOKEN_NAMES = f"{', '.join(_LISTED[:-1])} or {_LISTED[-1]}"

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
