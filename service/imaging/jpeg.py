"""JPEG: one walk over its markers, then the picture alone, decoded to the last bit or not at all.

What the decoder is given is built anew of the segments the walk has judged. So it can meet no scan
that was not counted, no second picture, no comment and no trailer.

Source:
    ITU-T T.81 (ISO/IEC 10918-1); JFIF 1.02; ICC.1:2010 B.4 for profiles in several segments.
"""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from models.arrays import U8Array
from service.errors import UnsupportedFormat
from service.imaging.colour import conversion_bytes
from service.imaging.container import CheckDeadline, ColourTags, StoredPixels, WatchedBytes
from service.imaging.exif import Exif, read_exif
from service.imaging.jpeg_markers import JpegLayout, Scan, walk

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"
_KNOWN_TRANSFORMS = {3: (0, 1), 4: (0, 2)}  # by components
_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_COLOUR_SPACES = {1: "GRAY", 3: "RGB", 4: "CMYK"}

# What the strict decoder says of bytes nobody needs, behind a scan that is whole.
_LEFT_OVER = re.compile(r"extraneous bytes before marker")
_ODD_SAMPLING = re.compile(r"subsampling")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")

_FRAME_KINDS = {
    0xC3: "lossless",
    0xC5: "hierarchical",
    0xC6: "hierarchical",
    0xC7: "hierarchical",
    0xC9: "arithmetic-coded",
    0xCA: "arithmetic-coded",
    0xCB: "arithmetic-coded",
    0xCD: "hierarchical",
    0xCE: "hierarchical",
    0xCF: "hierarchical",
}
_PROGRESSIVE = 0xC2
_WHOLE_SPECTRUM = b"\0\x3f\0"
_COEFFICIENT_BYTES = 2
_BITS = 8


@dataclass(frozen=True)
class JpegFile:
    """The layout of a JPEG, with what `PictureFile` asks for."""

    layout: JpegLayout
    exif: Exif
    colour_tags: ColourTags

    @property
    def width(self) -> int:
        """Columns."""
        return self.layout.width

    @property
    def height(self) -> int:
        """Rows."""
        return self.layout.height

    @property
    def frames(self) -> int:
        """One; a second picture behind the first is another picture."""
        return 1

    @property
    def scans(self) -> int:
        """Scans: each passes over all pixels."""
        return len(self.layout.scans)

    @property
    def stored_bytes(self) -> int:
        """A byte for every component."""
        return self.width * self.height * len(self.layout.components)

    @property
    def decode_bytes(self) -> int:
        """The pixels, the file once more, and all coefficients where the scans are many."""
        pixels, total = self.width * self.height, self.stored_bytes + self.layout.kept_bytes
        if self.scans > 1 or self.layout.frame_kind == _PROGRESSIVE:
            factors = [h * v for _, h, v in self.layout.components]
            total += int(_COEFFICIENT_BYTES * pixels * sum(factors) / max(factors))
        if len(self.layout.components) == 4:
            total += 3 * pixels + conversion_bytes(pixels)  # CMYK is always converted
        return total

    def decode(self, data: bytes, check_deadline: CheckDeadline) -> StoredPixels:
        """Decode; see `PictureFile`. Data that is missing is an error, not grey."""
        n_components = len(self.layout.components)
        _check_complete(self.layout)
        alone = _picture_alone(data, self.layout)
        check_deadline()
        colour_space = _COLOUR_SPACES[n_components]
        try:
            pixels = simplejpeg.decode_jpeg(alone, colorspace=colour_space)
        except ValueError as fault:
            if _ODD_SAMPLING.search(str(fault)):
                pixels = _by_pillow(alone, _MODES[n_components], check_deadline)
            elif _LEFT_OVER.search(str(fault)) and _has_every_interval(data, self.layout):
                check_deadline()
                pixels = simplejpeg.decode_jpeg(alone, colorspace=colour_space, strict=False)
            else:
                raise
        if pixels.shape[:2] != (self.height, self.width):
            raise ValueError("the decoder sees another size")
        if n_components == 4:  # stored the way Adobe does: 255 is no ink
            cv2.bitwise_not(pixels, dst=pixels)
        return StoredPixels(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def read_jpeg(data: bytes) -> JpegFile:
    """Read the layout of a JPEG.

    Args:
        data: A file that begins with the signature of a JPEG.

    Raises:
        ValueError: If there is no picture in it.
        UnsupportedFormat: If it is of a kind that hardly any program writes or reads.
    """
    layout = walk(data)
    kind = _FRAME_KINDS.get(layout.frame_kind)
    if kind is None and layout.precision != _BITS:
        kind = f"{layout.precision}-bit"
    if kind is not None:
        raise UnsupportedFormat(
            f"Unsupported file format: this is a {kind} JPEG, which browsers do not show either. "
            "Please save it as an ordinary JPEG, or as PNG."
        )
    if not layout.scans or len(layout.components) not in _MODES:
        raise ValueError("no scan, or components of no known colour space")
    exif = None if layout.exif is None else data[layout.exif[0] : layout.exif[1]]
    return JpegFile(layout, read_exif(exif), ColourTags(icc=_profile(data, layout)))


def _profile(data: bytes, layout: JpegLayout) -> bytes | None:
    """Put a profile together; it says itself how long it is, which counts more than numbering."""
    pieces = sorted(layout.profile_pieces, key=lambda piece: piece[0])
    profile = b"".join(data[at:end] for _, at, end in pieces)
    if len(profile) < 4 or len(profile) < struct.unpack_from(">I", profile)[0]:
        return None
    return profile


def _picture_alone(data: bytes, layout: JpegLayout) -> bytes:
    """The file of the judged segments only, ended properly."""
    n_components = len(layout.components)
    parts: list[bytes | memoryview] = [_SOI]
    if layout.has_jfif:
        parts.append(_JFIF)
    if layout.adobe_transform is not None and n_components in _KNOWN_TRANSFORMS:
        known = _KNOWN_TRANSFORMS[n_components]  # another one means the colours are transformed
        transform = layout.adobe_transform if layout.adobe_transform in known else known[1]
        parts.append(_ADOBE + bytes([transform]))
    view = memoryview(data)
    parts += [view[at:end] for at, end in zip(*layout.kept, strict=True)]
    parts.append(_EOI)
    alone = b"".join(parts)
    if layout.frame_kind == _PROGRESSIVE:
        return alone
    return _with_plain_spectrum(alone, data, layout)


def _with_plain_spectrum(alone: bytes, data: bytes, layout: JpegLayout) -> bytes:
    """Correct what some cameras write into the last bytes of a sequential scan's header.

    They mean nothing there, and the strict decoder stops at them.
    """
    headers = [data[scan.header_at : scan.data_at] for scan in layout.scans]
    if all(header.endswith(_WHOLE_SPECTRUM) for header in headers):
        return alone
    corrected, at = bytearray(alone), 0
    for header in headers:
        at = corrected.index(header, at) + len(header)
        corrected[at - len(_WHOLE_SPECTRUM) : at] = _WHOLE_SPECTRUM
    return bytes(corrected)


def _by_pillow(alone: bytes, mode: str, check_deadline: CheckDeadline) -> U8Array:
    """Decode sampling factors TurboJPEG does not take."""
    with Image.open(WatchedBytes(alone, check_deadline), formats=["JPEG"]) as image:
        if image.mode != mode:
            raise ValueError("components of another colour space")
        pixels = np.asarray(image)
    if mode == "CMYK":  # Pillow has turned it round already
        pixels = cv2.bitwise_not(pixels)
    return pixels.reshape(*pixels.shape[:2], -1)


def _check_complete(layout: JpegLayout) -> None:
    """Refuse a file that ended between two scans.

    Every component must be in some scan, and what a progressive scan sent without its lowest bits
    must have got them by a later one.
    """
    lowest_bit: dict[tuple[int, int], int] = defaultdict(lambda: -1)
    for scan in layout.scans:
        for component in scan.components:
            first, last = (scan.first, scan.last) if layout.frame_kind == _PROGRESSIVE else (0, 0)
            for coefficient in range(first, min(last, 63) + 1):
                lowest_bit[component, coefficient] = (
                    scan.low_bit if layout.frame_kind == _PROGRESSIVE else 0
                )
    started = {component for component, coefficient in lowest_bit if coefficient == 0}
    if len(started) < len(layout.components) or any(bit > 0 for bit in lowest_bit.values()):
        raise ValueError("a scan is missing")


def _has_every_interval(data: bytes, layout: JpegLayout) -> bool:
    """Whether the scans have all of the restart markers that a whole picture has, in their order.

    More may follow: bytes behind the picture look like anything.
    """
    for scan in layout.scans:
        if scan.restart_interval:
            wanted = -(-_units(scan, layout) // scan.restart_interval) - 1
            found = _RESTART.findall(data, scan.data_at, scan.data_end)[:wanted]
            if found != [bytes((0xFF, 0xD0 + i % 8)) for i in range(wanted)]:
                return False
    return True


def _units(scan: Scan, layout: JpegLayout) -> int:
    """Coding units (MCU) of a scan."""
    h_most = max(h for _, h, _ in layout.components)
    v_most = max(v for _, _, v in layout.components)
    h_own, v_own = h_most, v_most
    if len(scan.components) == 1:  # one component alone goes block by block
        _, h, v = layout.components[scan.components[0]]
        columns = -(-layout.width * h // h_most)
        rows = -(-layout.height * v // v_most)
        return -(-columns // 8) * -(-rows // 8)
    return -(-layout.width // (8 * h_own)) * -(-layout.height // (8 * v_own))
