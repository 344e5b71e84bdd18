"""The picture formats we know, in one table: name, media types, magic, and what we do with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

_RIFF_HEADER_BYTES = 12


@dataclass(frozen=True)
class ImageFormat:
    """One format.

    Attributes:
        name: Name, as Pillow and the API spell it.
        media_types: Media types it travels under, the proper one first.
        matches: Whether bytes begin like this format.
        pillow_names: Names Pillow may give a file of this format (an MPO is a JPEG with more behind
            it).
    """

    name: str
    media_types: tuple[str, ...]
    matches: Callable[[bytes], bool]
    pillow_names: tuple[str, ...]


def _is_webp(head: bytes) -> bool:
    """RIFF alone would let WAV and AVI in."""
    return head[:4] == b"RIFF" and head[8:_RIFF_HEADER_BYTES] == b"WEBP"


JPEG = ImageFormat(
    "JPEG", ("image/jpeg", "image/jpg"), lambda head: head[:3] == b"\xff\xd8\xff", ("JPEG", "MPO")
)
PNG = ImageFormat("PNG", ("image/png",), lambda head: head[:8] == b"\x89PNG\r\n\x1a\n", ("PNG",))
WEBP = ImageFormat("WEBP", ("image/webp",), _is_webp, ("WEBP",))
BMP = ImageFormat(
    "BMP", ("image/bmp", "image/x-ms-bmp"), lambda head: head[:2] == b"BM", ("BMP", "DIB")
)

READABLE = (JPEG, PNG, WEBP, BMP)
SUPPORTED_NAMES = [known.name for known in READABLE]


def sniff(data: bytes) -> ImageFormat | None:
    """The format these bytes begin like, or None."""
    head = data[:_RIFF_HEADER_BYTES]
    return next((known for known in READABLE if known.matches(head)), None)


def is_clearly_no_image(media_type: str | None) -> bool:
    """Whether a declared media type contradicts a picture.

    Clients declare nothing, `application/octet-stream` or the wrong picture type all the time; only
    a PDF, a text or a film is believed.
    """
    if not media_type:
        return False
    kind = media_type.split(";")[0].strip().lower()
    if kind in ("application/octet-stream", "binary/octet-stream", "multipart/form-data"):
        return False
    return "/" in kind and not kind.startswith("image/")
