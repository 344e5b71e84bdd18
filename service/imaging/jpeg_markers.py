"""The markers of a JPEG: where its scans and tables are, and what they say.

Entropy-coded data is crossed by a search for the next marker, and whatever is not the picture by
its length. So ten hostile megabytes cost no more than a second.
"""

from __future__ import annotations

import re
import struct
from array import array
from dataclasses import dataclass, field

_SOS, _DRI, _DNL = 0xDA, 0xDD, 0xDC
_APP0, _APP1, _APP2, _APP14 = 0xE0, 0xE1, 0xE2, 0xEE
_COMMENT = 0xFE
_DHT, _JPG, _DAC, _DQT = 0xC4, 0xC8, 0xCC, 0xDB
_FRAMES = frozenset(range(0xC0, 0xD0)) - {_DHT, _JPG, _DAC}
_LONE = bytes((0x01, *range(0xD0, 0xD8)))  # markers without a segment
_NOTES = (_APP0, _APP1, _APP2, _APP14)
_KEPT = frozenset((*_FRAMES, _DHT, _DAC, _DQT, _DRI))
_SEGMENTS = frozenset((*_KEPT, _SOS, _DNL, _COMMENT, *range(0xE0, 0xF0)))

_MARKER = re.compile(rb"\xff[\x01-\xfe]")
_MARKER_BUT_RESTART = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")

_EXIF = b"Exif\0\0"
_PROFILE = b"ICC_PROFILE\0"
# The guard refuses far fewer; this bounds what is remembered until it does.
MAX_SCANS = 1000
_MAX_PIECES = 20_000
# A file of nothing but the largest pictures and notes we take has some hundreds.
_MAX_SEGMENTS = 200_000
_MAX_PROFILE_PIECES = 255


@dataclass(frozen=True)
class Scan:
    """One pass over the picture.

    Attributes:
        header_at: Where its marker is.
        data_at: Where its entropy-coded data begins.
        data_end: Where that ends.
        components: Which components it has, by their place in the frame.
        first: First coefficient it sends.
        last: Last coefficient it sends.
        low_bit: Lowest bit of the coefficients it sends.
        restart_interval: Coding units between restart markers, or 0.
    """

    header_at: int
    data_at: int
    data_end: int
    components: tuple[int, ...]
    first: int
    last: int
    low_bit: int
    restart_interval: int


@dataclass
class JpegLayout:
    """What the walk has found.

    Attributes:
        frame_kind: Second byte of the frame's marker; 0 before there is one.
        precision: Bits per sample.
        width: Columns.
        height: Rows.
        components: Identifier and sampling factors, across and down.
        scans: The scans, at most one more than `MAX_SCANS`.
        kept: Where the pieces the decoder needs begin, and where they end.
        has_jfif: Whether it says that it is JFIF, which makes three components YCbCr.
        adobe_transform: Adobe's word on the colour transform, or None.
        exif: Where the EXIF data is.
        profile_pieces: Number, beginning and end of the pieces of an ICC profile.
    """

    frame_kind: int = 0
    precision: int = 8
    width: int = 0
    height: int = 0
    components: tuple[tuple[int, int, int], ...] = ()
    scans: list[Scan] = field(default_factory=list)
    kept: tuple[array[int], array[int]] = field(default_factory=lambda: (array("I"), array("I")))
    has_jfif: bool = False
    adobe_transform: int | None = None
    exif: tuple[int, int] | None = None
    profile_pieces: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def kept_bytes(self) -> int:
        """Bytes the decoder needs."""
        return sum(self.kept[1]) - sum(self.kept[0])

    def keep(self, at: int, end: int) -> None:
        """Remember a piece the decoder needs."""
        starts, ends = self.kept
        if ends and ends[-1] == at:
            ends[-1] = end
        elif len(ends) == _MAX_PIECES:
            raise ValueError("in too many pieces")
        else:
            starts.append(at)
            ends.append(end)


def walk(data: bytes) -> JpegLayout:
    """Go from marker to marker, to the end of the first picture.

    That is the end marker, or the first thing behind a scan that no JPEG has there; a frame or a
    second picture counts as such.

    Args:
        data: A file that begins with the signature of a JPEG.

    Raises:
        ValueError: If the file breaks off or contradicts itself before its first scan.
    """
    layout, at, interval = JpegLayout(), 2, 0
    for _ in range(_MAX_SEGMENTS):
        at = _next_marker(data, at, layout)
        kind, size = (data[at + 1], _segment_bytes(data, at)) if at >= 0 else (0, 0)
        if size == 0 or (kind in _FRAMES and layout.frame_kind):
            break
        if kind == _SOS:
            scan = _read_scan(data, at, size, layout, interval)
            if scan is None or len(layout.scans) > MAX_SCANS:
                break
            layout.scans.append(scan)
            layout.keep(at, scan.data_end)
            at = scan.data_end
            continue
        if kind in _FRAMES:
            _read_frame(data, at, size, layout)
        elif kind == _DRI and size == 6:
            interval = struct.unpack_from(">H", data, at + 4)[0]
        elif kind in _NOTES and not layout.scans:
            _read_note(data, at, size, kind, layout)
        if kind in _KEPT:
            layout.keep(at, at + size)
        at += size
    else:
        raise ValueError("too many segments")
    if not layout.scans:
        raise ValueError("no picture")
    return layout


def _next_marker(data: bytes, at: int, layout: JpegLayout) -> int:
    """Where the next segment begins, or -1; before the first scan, lone markers are skipped."""
    lone = b"" if layout.scans else _LONE
    while True:
        if data[at : at + 1] != b"\xff" or data[at + 1 : at + 2] in (b"", b"\0", b"\xff"):
            found = _MARKER.search(data, at)
            if found is None:
                return -1
            at = found.start()
        if data[at + 1] not in lone:
            return at
        at += 2


def _segment_bytes(data: bytes, at: int) -> int:
    """Length of a segment with its marker; 0 where the picture ends."""
    kind = data[at + 1]
    if kind not in _SEGMENTS:
        return 0
    if at + 4 > len(data):
        return 0
    size = 2 + (data[at + 2] << 8 | data[at + 3])
    return size if size >= 4 and at + size <= len(data) else 0


def _read_frame(data: bytes, at: int, size: int, layout: JpegLayout) -> None:
    layout.frame_kind = data[at + 1]
    if size < 10:
        raise ValueError("a frame header cut short")
    layout.precision, layout.height, layout.width, count = struct.unpack_from(">BHHB", data, at + 4)
    if size != 10 + 3 * count or not layout.height or not layout.width:
        raise ValueError("a frame header of another length, or of no size")
    entries = (data[i : i + 3] for i in range(at + 10, at + 10 + 3 * count, 3))
    layout.components = tuple((one, both >> 4, both & 15) for one, both, _ in entries)
    if not all(1 <= h <= 4 and 1 <= v <= 4 for _, h, v in layout.components):
        raise ValueError("impossible sampling factors")


def _read_scan(data: bytes, at: int, size: int, layout: JpegLayout, interval: int) -> Scan | None:
    """One scan with its data, or None where its header makes no sense."""
    identifiers = [identifier for identifier, _, _ in layout.components]
    count = data[at + 4] if size > 4 else 0
    named = data[at + 5 : at + 5 + 2 * count : 2]
    if size != 8 + 2 * count or not 1 <= count <= 4 or any(n not in identifiers for n in named):
        return None
    first, last, bits = data[at + size - 3 : at + size]
    marker = (_MARKER_BUT_RESTART if interval else _MARKER).search(data, at + size)
    return Scan(
        header_at=at,
        data_at=at + size,
        data_end=len(data) if marker is None else marker.start(),
        components=tuple(identifiers.index(n) for n in named),
        first=first,
        last=last,
        low_bit=bits & 15,
        restart_interval=interval,
    )


def _read_note(data: bytes, at: int, size: int, kind: int, layout: JpegLayout) -> None:
    """Notes that change how the picture looks."""
    body, end = at + 4, at + size
    if kind == _APP0:
        layout.has_jfif |= data.startswith(b"JFIF\0", body)
    elif kind == _APP1 and layout.exif is None and data.startswith(_EXIF, body):
        layout.exif = (body + len(_EXIF), end)
    elif kind == _APP2 and data.startswith(_PROFILE, body) and size >= 18:
        if len(layout.profile_pieces) < _MAX_PROFILE_PIECES:
            layout.profile_pieces.append((data[body + 12], body + 14, end))
    elif kind == _APP14 and size >= 16 and data.startswith(b"Adobe", body):
        layout.adobe_transform = data[body + 11]
