"""Untrusted bytes in, a believed header out: every check possible before pixels are decoded.

The order is decided (size, magic, pixels, 8K, minimum, ratio): another one reports the wrong fault
for the specification's own test pictures.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from service.errors import (
    AnimatedImage,
    CorruptImage,
    EmptyImage,
    FileTooLarge,
    ImageBomb,
    ResolutionTooLarge,
    ResolutionTooSmall,
    UnsupportedFormat,
)
from service.imaging.formats import SUPPORTED_NAMES, ImageFormat, is_clearly_no_image, sniff

# Ours are the limits; Pillow's own would warn up to twice its number and speak first.
Image.MAX_IMAGE_PIXELS = None

# What a hostile file makes Pillow raise while it parses or decodes.
DECODER_FAULTS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
)

_EXIF_ORIENTATION = 0x0112
_PNG_EXIF = b"eXIf"
_SIDEWAYS = (5, 6, 7, 8)
_BYTES_PER_PIXEL = 4
_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,64}/[a-z0-9.+-]{1,64}")


@dataclass(frozen=True)
class ImageLimits:
    """How much picture we take.

    Attributes:
        max_bytes: Largest file.
        max_pixels: Most pixels (width times height).
        max_long_side: Most pixels along the longer side.
        max_short_side: Most pixels along the shorter side.
        min_side: Fewest pixels along either side.
        max_ratio: Most decoded bytes per byte of file.
        ratio_from_bytes: Decoded size from which the ratio is judged; a small transparent picture
            is legitimate at any ratio.
        max_frames: Most frames of an animation, of which the first is used.
    """

    max_bytes: int = 10 * 1024 * 1024
    max_pixels: int = 50_000_000
    max_long_side: int = 7680
    max_short_side: int = 4320
    min_side: int = 64
    max_ratio: float = 1000.0
    ratio_from_bytes: int = 8 * 1024 * 1024
    max_frames: int = 100


@dataclass(frozen=True)
class ImageHeader:
    """What the header of an accepted file says.

    Attributes:
        format: Its format, by its first bytes.
        height: Rows of the upright picture.
        width: Columns of the upright picture.
        orientation: EXIF orientation 1..8; how the stored pixels must be turned to be upright.
    """

    format: ImageFormat
    height: int
    width: int
    orientation: int


def inspect(data: bytes, limits: ImageLimits, media_type: str | None = None) -> ImageHeader:
    """Accept or refuse a file by everything but its pixels.

    Args:
        data: The uploaded file.
        limits: How much picture we take.
        media_type: What the client declared, if anything; advice, not proof.

    Returns:
        The header of an accepted file.

    Raises:
        ImageError: The subclass that says why not; the caller's fault.
    """
    check_size(len(data), limits)
    known = sniff(data)
    if known is None or is_clearly_no_image(media_type):
        raise UnsupportedFormat(
            supported_formats=SUPPORTED_NAMES, received_format=_spoken(media_type)
        )
    try:
        with Image.open(io.BytesIO(data), formats=list(known.pillow_names)) as image:
            width, height = image.size
            frames = 1 if known.name == "JPEG" else int(getattr(image, "n_frames", 1))
            _check_pixels(width, height, limits)
            _check_ratio(width * height * _BYTES_PER_PIXEL, frames, len(data), limits)
            _check_frames(frames, limits)
            orientation = _orientation(image, data)
    except (UnidentifiedImageError, *DECODER_FAULTS) as fault:
        raise CorruptImage from fault
    if orientation in _SIDEWAYS:
        width, height = height, width
    return ImageHeader(known, height, width, orientation)


def check_size(n_bytes: int, limits: ImageLimits) -> None:
    """Refuse an empty or too large file by its length alone."""
    if n_bytes == 0:
        raise EmptyImage
    if n_bytes > limits.max_bytes:
        raise file_too_large(n_bytes, limits.max_bytes)


def file_too_large(n_bytes: int, max_bytes: int) -> FileTooLarge:
    """The error for a file of so many bytes, with the specification's fields."""
    max_mb = max_bytes / 1024**2
    return FileTooLarge(
        f"File size exceeds {max_mb:g}MB limit",
        file_size_mb=round(n_bytes / 1024**2, 1),
        max_size_mb=int(max_mb) if max_mb.is_integer() else max_mb,
    )


def _check_pixels(width: int, height: int, limits: ImageLimits) -> None:
    pixels = width * height
    if pixels > limits.max_pixels:
        raise ImageBomb(
            f"Image bomb detected: {pixels / 1e6:.1f} megapixels exceed "
            f"the limit of {limits.max_pixels / 1e6:g}",
            megapixels=round(pixels / 1e6, 1),
            max_megapixels=limits.max_pixels / 1e6,
        )
    if max(width, height) > limits.max_long_side or min(width, height) > limits.max_short_side:
        raise ResolutionTooLarge(
            f"Image resolution {width}x{height} exceeds 8K "
            f"({limits.max_long_side}x{limits.max_short_side})",
            resolution=f"{width}x{height}",
            max_resolution=f"{limits.max_long_side}x{limits.max_short_side}",
        )
    if min(width, height) < limits.min_side:
        raise ResolutionTooSmall(
            f"Image resolution {width}x{height} is below the minimum of "
            f"{limits.min_side}x{limits.min_side}",
            resolution=f"{width}x{height}",
            min_resolution=f"{limits.min_side}x{limits.min_side}",
        )


def _check_ratio(decoded_bytes: int, frames: int, file_bytes: int, limits: ImageLimits) -> None:
    all_frames_bytes = decoded_bytes * frames
    ratio = all_frames_bytes / file_bytes
    if ratio > limits.max_ratio and all_frames_bytes > limits.ratio_from_bytes:
        raise ImageBomb(
            f"Image bomb detected: decompression ratio exceeds {limits.max_ratio:g}x",
            file_size_bytes=file_bytes,
            decompressed_size_bytes=all_frames_bytes,
            ratio=round(ratio, 1),
        )


def _check_frames(frames: int, limits: ImageLimits) -> None:
    if frames > limits.max_frames:
        raise AnimatedImage(
            f"The image has {frames} frames; at most {limits.max_frames} are accepted",
            frames=frames,
            max_frames=limits.max_frames,
        )


def _orientation(image: Image.Image, data: bytes) -> int:
    """EXIF orientation 1..8; damaged EXIF means upright."""
    try:
        # Pillow decodes a whole PNG to look for EXIF behind the pixels: only where there is some.
        exif = image.getexif() if _PNG_EXIF in data else Image.Image.getexif(image)
        value = exif.get(_EXIF_ORIENTATION, 1)
    except DECODER_FAULTS:
        return 1
    return value if isinstance(value, int) and 1 <= value <= _SIDEWAYS[-1] else 1


def _spoken(media_type: str | None) -> str:
    """A declared media type that is safe to repeat."""
    kind = (media_type or "").split(";")[0].strip().lower()
    return kind if _MEDIA_TYPE.fullmatch(kind) else "unknown"
