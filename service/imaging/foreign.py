"""What a file is that we do not take, so that the answer can call it by its name."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HEAD_BYTES = 1024
_BRAND_BYTES = 64


@dataclass(frozen=True)
class ForeignKind:
    """A kind of file we do not take.

    Attributes:
        name: What people call it.
        media_type: What it travels under.
    """

    name: str
    media_type: str


# Read where the extra `[heic]` is installed; so this is said only where it is not.
_HEIC = ForeignKind("a HEIC picture, for which this service has no reader", "image/heic")
_JPEG_XL = ForeignKind("a JPEG XL picture", "image/jxl")
_JPEG_2000 = ForeignKind("a JPEG 2000 picture", "image/jp2")
_BIG_TIFF = ForeignKind("a BigTIFF picture", "image/tiff")
_HTML = ForeignKind("an HTML page", "text/html")

# The first that fits counts.
_BY_START: tuple[tuple[bytes, ForeignKind], ...] = (
    (b"II+\0", _BIG_TIFF),
    (b"MM\0+", _BIG_TIFF),
    (b"II\xbc\x01", ForeignKind("a JPEG XR picture", "image/jxr")),
    (b"IIU\0", ForeignKind("a camera's raw file", "image/x-raw")),
    (b"IIRO", ForeignKind("a camera's raw file", "image/x-raw")),
    (b"FUJIFILMCCD-RAW", ForeignKind("a camera's raw file", "image/x-raw")),
    (b"FOVb", ForeignKind("a camera's raw file", "image/x-raw")),
    (b"\0\0\0\x0cjP  \r\n\x87\n", _JPEG_2000),
    (b"\xff\x4f\xff\x51", _JPEG_2000),
    (b"\0\0\0\x0cJXL \r\n\x87\n", _JPEG_XL),
    (b"\xff\x0a", _JPEG_XL),
    (b"\xff\xd8\xff\xf7", ForeignKind("a JPEG-LS picture", "image/jls")),
    (b"8BPS", ForeignKind("a Photoshop document (PSD)", "image/vnd.adobe.photoshop")),
    (b"%PDF-", ForeignKind("a PDF document", "application/pdf")),
    (b"%!PS", ForeignKind("a PostScript document", "application/postscript")),
    (b"\xc5\xd0\xd3\xc6", ForeignKind("a PostScript document", "application/postscript")),
    (b"\0\0\1\0", ForeignKind("an icon (ICO)", "image/x-icon")),
    (b"\0\0\2\0", ForeignKind("a cursor (CUR)", "image/x-icon")),
    (b"icns", ForeignKind("an icon (ICNS)", "image/icns")),
    (b"qoif", ForeignKind("a QOI picture", "image/qoi")),
    (b"BPG\xfb", ForeignKind("a BPG picture", "image/bpg")),
    (b"FLIF", ForeignKind("a FLIF picture", "image/flif")),
    (b"v/1\x01", ForeignKind("an OpenEXR picture", "image/x-exr")),
    (b"#?RADIANCE", ForeignKind("a Radiance HDR picture", "image/vnd.radiance")),
    (b"DDS ", ForeignKind("a DDS texture", "image/vnd-ms.dds")),
    (b"gimp xcf", ForeignKind("a GIMP document (XCF)", "image/x-xcf")),
    (b"AT&TFORM", ForeignKind("a DjVu document", "image/vnd.djvu")),
    (b"\x8aMNG\r\n\x1a\n", ForeignKind("an MNG animation", "video/x-mng")),
    (b"PK\x03\x04", ForeignKind("a ZIP archive or an office document", "application/zip")),
    (b"PK\x05\x06", ForeignKind("an empty ZIP archive", "application/zip")),
    (b"\x1f\x8b", ForeignKind("a gzip archive", "application/gzip")),
    (b"7z\xbc\xaf\x27\x1c", ForeignKind("a 7z archive", "application/x-7z-compressed")),
    (b"Rar!\x1a\x07", ForeignKind("a RAR archive", "application/vnd.rar")),
    (b"\x1a\x45\xdf\xa3", ForeignKind("a Matroska or WebM film", "video/webm")),
    (b"FLV\x01", ForeignKind("a Flash film", "video/x-flv")),
    (b"OggS", ForeignKind("an Ogg recording", "application/ogg")),
    (b"ID3", ForeignKind("an MP3 recording", "audio/mpeg")),
    (b"fLaC", ForeignKind("a FLAC recording", "audio/flac")),
    (b"MZ", ForeignKind("a Windows program", "application/vnd.microsoft.portable-executable")),
    (b"\x7fELF", ForeignKind("a Linux program", "application/x-executable")),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ForeignKind("an office document", "application/msword")),
)
_BY_BRAND: tuple[tuple[bytes, ForeignKind], ...] = (
    (rb"hei[cxms]|hev[cxms]|mif1|msf1", _HEIC),
    (rb"crx ", ForeignKind("a camera's raw file (CR3)", "image/x-canon-cr3")),
    (rb"M4A |M4B ", ForeignKind("an MPEG-4 recording", "audio/mp4")),
    (rb"qt  ", ForeignKind("a QuickTime film", "video/quicktime")),
    (rb"", ForeignKind("an MPEG-4 film", "video/mp4")),
)
_BY_RIFF = {
    b"WAVE": ForeignKind("a WAV recording", "audio/wav"),
    b"AVI ": ForeignKind("an AVI film", "video/x-msvideo"),
}
_BY_TEXT: tuple[tuple[bytes, ForeignKind], ...] = (
    (rb"<svg[\s>]", ForeignKind("an SVG drawing", "image/svg+xml")),
    (rb"^\s*(<!--(?:(?!-->).)*-->\s*)*<(!doctype html|html|head|body)\b", _HTML),
    (rb"^\s*<\?xml", ForeignKind("an XML document", "application/xml")),
    (rb"^\s*data:image/", ForeignKind("a data URL, not the bytes it holds", "text/plain")),
    (
        rb"^\s*(/9j/|iVBORw0KGgo|UklGR)",
        ForeignKind("a picture still encoded as Base64", "text/plain"),
    ),
    (rb"^P[1-7]\s", ForeignKind("a PNM picture", "image/x-portable-anymap")),
    (rb"^\s*[{\[]\s*[\"{\[]", ForeignKind("a JSON document", "application/json")),
)


def recognise(data: bytes) -> ForeignKind | None:
    """Name a file by its first bytes; None where nobody could.

    Args:
        data: A file in no format we read.
    """
    for start, kind in _BY_START:
        if data.startswith(start):
            return kind
    if data[4:8] == b"ftyp":
        brands = data[8:_BRAND_BYTES]
        own = next(
            kind for brand, kind in _BY_BRAND if re.search(rb"\A(?:" + brand + rb")", brands)
        )
        if own.media_type != "video/mp4":
            return own
        return _HEIC if re.search(rb"hei[cxms]|mif1", brands) else own
    if data[:4] == b"RIFF":
        return _BY_RIFF.get(data[8:12])
    head = data[:_HEAD_BYTES].removeprefix(b"\xef\xbb\xbf")
    for pattern, kind in _BY_TEXT:
        if re.search(pattern, head, re.IGNORECASE | re.DOTALL):
            return kind
    return None
