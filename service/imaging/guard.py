"""Checks untrusted bytes in every way possible before pixels are decoded.

The order is decided (size, magic, pixels, 8K, minimum, ratio): another one reports the wrong fault
for the specification's own test pictures.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from PIL import Image

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
from service.imaging.colour import conversion_bytes
from service.imaging.container import DECODER_FAULTS, ColourTags, PictureFile
from service.imaging.exif import Exif
from service.imaging.foreign import recognise
from service.imaging.formats import (
    SPOKEN_NAMES,
    SUPPORTED_NAMES,
    ImageFormat,
    is_clearly_no_image,
    sniff,
)

# Ours are the limits; Pillow's own would warn up to twice its number and speak first.
Image.MAX_IMAGE_PIXELS = None

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
        max_scan_pixels: Most pixels times scans of a JPEG. A progressive one has about 10 scans;
            each costs a pass over the picture, however few bytes it has.
    """

    max_bytes: int = 10 * 1024 * 1024
    max_pixels: int = 50_000_000
    max_long_side: int = 7680
    max_short_side: int = 4320
    min_side: int = 64
    max_ratio: float = 1000.0
    ratio_from_bytes: int = 8 * 1024 * 1024
    max_frames: int = 100
    max_scan_pixels: int = 2_000_000_000


@dataclass(frozen=True)
class ImageHeader:
    """What the header of an accepted file says.

    Attributes:
        format: Its format, by its first bytes.
        height: Rows of the upright picture.
        width: Columns of the upright picture.
        exif: What EXIF says of how it is to be shown.
        file: Its layout, for the decoder.
    """

    format: ImageFormat
    height: int
    width: int
    exif: Exif
    file: PictureFile

    @property
    def orientation(self) -> int:
        """EXIF orientation 1..8; how the stored pixels must be turned to be upright."""
        return self.exif.orientation

    @property
    def decode_bytes(self) -> int:
        """Estimate of the most memory that decoding takes at once, pixels included.

        Within 0.8 to 3 times of what was measured for every kind of file. It is the largest of the
        three steps: decoding, converting colours, turning.
        """
        pixels, stored = self.height * self.width, self.file.stored_bytes
        steps = [self.file.decode_bytes]
        if stored < 3 * pixels or self.file.colour_tags != ColourTags() or self.exif.adobe_rgb:
            steps.append(stored + 3 * pixels + conversion_bytes(pixels))
        if self.orientation != 1:
            steps.append(2 * max(stored, 3 * pixels))
        return max(steps)


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
        raise _unsupported(known, data, media_type)
    try:
        file = known.read(data)
    except DECODER_FAULTS as fault:
        raise CorruptImage from fault
    width, height = file.width, file.height
    _check_pixels(width, height, limits)
    _check_ratio(width * height * _BYTES_PER_PIXEL, file.frames, len(data), limits)
    _check_frames(file.frames, limits)
    _check_scans(width * height, file.scans, limits)
    exif = file.exif
    if exif.orientation in _SIDEWAYS:
        width, height = height, width
    return ImageHeader(known, height, width, exif, file)


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


def _check_scans(pixels: int, scans: int, limits: ImageLimits) -> None:
    most = max(1, limits.max_scan_pixels // pixels)
    if scans > most:
        raise ImageBomb(
            f"Image bomb detected: the JPEG has {scans} scans; at most {most} are accepted "
            "of a picture of this size",
            scans=scans,
            max_scans=most,
        )


def _unsupported(
    known: ImageFormat | None, data: bytes, media_type: str | None
) -> UnsupportedFormat:
    """The error for what is no picture of ours, naming what it is where that can be told."""
    foreign = recognise(data) if known is None else None
    if foreign is not None:
        return UnsupportedFormat(
            f"Unsupported file format: this is {foreign.name}, whatever it is called. "
            f"Please upload {SPOKEN_NAMES}.",
            supported_formats=SUPPORTED_NAMES,
            received_format=foreign.media_type,
        )
    spoken = _spoken(media_type)
    detail = (
        UnsupportedFormat.public_message
        if known is None
        else f"Unsupported file format: the file was declared as {spoken}. "
        f"It begins like {known.name}; please send it as {known.media_types[0]}."
    )
    return UnsupportedFormat(detail, supported_formats=SUPPORTED_NAMES, received_format=spoken)


def _spoken(media_type: str | None) -> str:
    """A declared media type that is safe to repeat."""
    kind = (media_type or "").split(";")[0].strip().lower()
    return kind if _MEDIA_TYPE.fullmatch(kind) else "unknown"
