"""JPEGs that cost a decoder dear."""

from __future__ import annotations

import struct
from functools import lru_cache
from itertools import pairwise
from typing import Any

from PIL import Image

from scripts.hostile.drawing import encode
from scripts.hostile.lut_profile import make_lut_profile
from scripts.hostile.mutations import split
from scripts.hostile.recipe import MOST_BYTES, SIDES, Numbers, Recipe, noise, varied

_COEFFICIENTS, _BITS = 63, 14
_SEGMENTS = (
    (b"\xff\xfe", b""),
    (b"\xff\xe1", b"Exif\0\0II*\0\x08\0\0\0"),
    (b"\xff\xe1", b"http://ns.adobe.com/xap/1.0/\0"),
    (b"\xff\xe2", b"ICC_PROFILE\0\x01\xff"),
    (b"\xff\xe2", b"MPF\0II*\0\x08\0\0\0"),
    (b"\xff\xed", b"Photoshop 3.0\x008BIM"),
    (b"\xff\xee", b"Adobe\0\x64\0\0\0\0"),
    (b"\xff\xdd", b"\0\0"),
    (b"\xff\xdb", b"\0" + bytes(range(1, 65))),
    (
        b"\xff\xc4",
        b"\0" + bytes((0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0)) + bytes(range(12)),
    ),
    (b"\xff\xc8", b""),
    (b"\xff\xdc", b"\0\x40"),
)
_JPEG_BOUNDS = {
    **SIDES,
    "noise": (0, 0, 255),
    "quality": (75, 1, 100),
    "sampling": (0, 0, 2),
    "mode": (1, 0, 2),
    "restart": (0, 0, 2000),
    "progressive": (0, 0, 1),
}
_JPEG_DEFAULTS = {name: bound[0] for name, bound in _JPEG_BOUNDS.items()}
_ARITHMETIC = {**_JPEG_BOUNDS, "arithmetic": (1, 0, 1)}
_SCANS = {**_JPEG_BOUNDS, "scans": (1000, 1, 500_000), "which": (0, 0, 9)}
_BANDS = {
    **SIDES,
    "mode": (1, 0, 2),
    "groups": (_COEFFICIENTS, 1, _COEFFICIENTS),
    "bits": (_BITS, 1, _BITS),
}
_MANY = (2_600_000, 1, 10_000_000)
_SEGMENT = {"kind": (0, 0, len(_SEGMENTS) - 1), "payload": (0, 0, 65_500), "count": _MANY}
_EXIF = {"entries": (5400, 1, 65_535), "loop": (1, 0, 1), "count": (1, 1, 159)}
_LUT = {
    **SIDES,
    "container": (0, 0, 3),
    "grid": (17, 2, 40),
    "noise": (1, 0, 60),
    "quality": (40, 1, 95),
}


def jpeg_recipes() -> list[Recipe]:
    """Those of JPEG, and profiles in every format that carries one."""
    return [*_scanned(), *_stuffed()]


def _scanned() -> list[Recipe]:
    """Costly by what is decoded."""
    return [
        Recipe("jpeg baseline", _jpeg, varied(_JPEG_BOUNDS, noise=12)),
        Recipe(
            "jpeg baseline, restart at each block",
            _jpeg,
            varied(_JPEG_BOUNDS, restart=1, sampling=2),
        ),
        Recipe("jpeg progressive", _jpeg, varied(_JPEG_BOUNDS, progressive=1, noise=12)),
        Recipe("jpeg CMYK", _jpeg, varied(_JPEG_BOUNDS, mode=2, noise=8)),
        Recipe(
            "jpeg CMYK progressive", _jpeg, varied(_JPEG_BOUNDS, mode=2, noise=8, progressive=1)
        ),
        Recipe("jpeg arithmetic", _jpeg, varied(_ARITHMETIC, noise=12)),
        Recipe("jpeg arithmetic progressive", _jpeg, varied(_ARITHMETIC, noise=12, progressive=1)),
        Recipe("jpeg 50 scans", _jpeg_scans, varied(_SCANS, scans=50)),
        Recipe("jpeg 1,000 scans", _jpeg_scans, _SCANS),
        Recipe(
            "jpeg scans, small picture",
            _jpeg_scans,
            varied(_SCANS, width=640, height=640, scans=500_000),
        ),
        Recipe("jpeg 50 lawful scans", _jpeg_bands, varied(_BANDS, mode=0, groups=4)),
        Recipe("jpeg all lawful scans", _jpeg_bands, _BANDS),
        Recipe("jpeg first scans again", _jpeg_scans, varied(_SCANS, which=9, scans=50, noise=8)),
        *(
            Recipe(f"profile with a table, {c}", _lut, varied(_LUT, container=k, noise=int(k != 2)))
            for k, c in enumerate(("jpeg CMYK", "jpeg", "png", "webp"))
        ),
    ]


def _stuffed() -> list[Recipe]:
    """Costly by what stands beside the picture."""
    return [
        *(
            Recipe(
                f"jpeg segments {marker.hex()} {start[:5]!r}",
                _jpeg_segments,
                varied(_SEGMENT, kind=kind),
            )
            for kind, (marker, start) in enumerate(_SEGMENTS)
        ),
        Recipe("jpeg large segments", _jpeg_segments, varied(_SEGMENT, payload=65_000)),
        *(
            Recipe(
                f"jpeg fill {kind}",
                _jpeg_fill,
                {"kind": (kind, 0, 4), "count": (5_000_000, 1, 10_400_000)},
            )
            for kind in range(5)
        ),
        Recipe("jpeg EXIF in circles", _jpeg_exif, _EXIF),
        Recipe("jpeg EXIF, many", _jpeg_exif, varied(_EXIF, count=159, loop=0)),
        Recipe("jpeg trailing pictures", _jpeg_trailer, {"count": (16_000, 1, 16_000)}),
    ]


def _image(n: Numbers) -> Image.Image:
    mode = ("L", "RGB", "CMYK")[n.get("mode", 1)]
    pixels = noise(n["width"], n["height"], len(mode) if mode != "L" else 1, n["noise"])
    return Image.fromarray(pixels[..., 0] if mode == "L" else pixels, mode)


def _jpeg(n: Numbers) -> bytes:
    """A baseline or progressive JPEG; `arithmetic` has the decoder take noise for such data."""
    data = _encoded_jpeg(**{name: n[name] for name in _JPEG_BOUNDS if name in n})
    if not n.get("arithmetic"):
        return data
    swap = {b"\xff\xc0": b"\xff\xc9", b"\xff\xc2": b"\xff\xca"}
    return b"".join(swap.get(part[:2], part[:2]) + part[2:] for part in split(data))


@lru_cache(8)
def _encoded_jpeg(**n: int) -> bytes:
    options: dict[str, Any] = {"quality": n["quality"], "subsampling": n["sampling"]}
    if n["restart"]:
        options["restart_marker_blocks"] = n["restart"]
    return encode(_image(n), "JPEG", progressive=bool(n["progressive"]), **options)


def _jpeg_scans(n: Numbers) -> bytes:
    """A progressive JPEG that goes over one of its scans again and again."""
    parts = split(_jpeg({**_JPEG_DEFAULTS, **n, "progressive": 1}))
    scans = [at for at, part in enumerate(parts) if part[:2] == b"\xff\xda"]
    again = parts[scans[-1 - n["which"] % len(scans)]]
    room = (MOST_BYTES - sum(map(len, parts))) // len(again)
    return b"".join((*parts[:-1], again * max(0, min(n["scans"], room)), parts[-1]))


def _jpeg_bands(n: Numbers) -> bytes:
    """A flat progressive JPEG with a scan for each bit of each few coefficients: lawful, if absurd.

    Source: ITU-T T.81, G.1.1.1.
    """
    parts = split(_jpeg({**_JPEG_DEFAULTS, **n, "noise": 0, "progressive": 1, "restart": 0}))
    scans = [at for at, part in enumerate(parts) if part[:2] == b"\xff\xda"]
    table = next(p for p in reversed(parts[: scans[-1]]) if p[:2] == b"\xff\xc4" and p[4] >> 4)
    first = [parts[at] for at in scans if parts[at][5 + 2 * parts[at][4]] == 0]  # the mean colours
    last = parts[scans[-1]]  # says of every block that it is zero to its end, which is always so
    edges = [1 + group * _COEFFICIENTS // n["groups"] for group in range(n["groups"] + 1)]
    bands = [
        last[:5] + bytes((component, last[6], start, end - 1, higher << 4 | bit)) + last[10:]
        for start, end in pairwise(edges)
        for component in ((1,), (1, 2, 3), (1, 2, 3, 4))[n["mode"]]
        for bit in reversed(range(n["bits"]))
        for higher in ((bit + 1) % n["bits"],)
    ]
    padding = (b"\xff\xfe\xff\xff" + bytes(65533)) * 3  # or it would unpack to too much
    return b"".join((*parts[: scans[0]], padding, *first, table, *bands, parts[-1]))


def _jpeg_segments(n: Numbers) -> bytes:
    """So many segments of one kind before a small picture."""
    marker, start = _SEGMENTS[n["kind"]]
    payload = start + bytes(n["payload"])
    segment = marker + struct.pack(">H", min(65535, 2 + len(payload))) + payload[:65533]
    return _with_head(segment * min(n["count"], (MOST_BYTES - 10_000) // len(segment)))


def _jpeg_fill(n: Numbers) -> bytes:
    """Fill bytes between two segments, of which any number is allowed, or what is no marker."""
    return _with_head((b"\xff", b"\0", b"\xff\xd0", b"\xff\0", b"\xff\x01")[n["kind"]] * n["count"])


def _jpeg_exif(n: Numbers) -> bytes:
    """EXIF whose directories lead to one another, in circles, with as many entries as fit."""
    entry = (
        struct.pack("<HHII", 0x8769, 4, 1, 8) if n["loop"] else struct.pack("<HHII", 1, 2, 9999, 8)
    )
    body = b"II*\0\x08\0\0\0" + struct.pack("<H", n["entries"]) + entry * n["entries"] + bytes(4)
    segment = b"Exif\0\0" + body[:65500]
    part = b"\xff\xe1" + struct.pack(">H", 2 + len(segment)) + segment
    return _with_head(part * n["count"])


def _jpeg_trailer(n: Numbers) -> bytes:
    """So many more pictures behind the first."""
    small = _with_head(b"")
    return small + small * min(n["count"], MOST_BYTES // len(small) - 1)


def _with_head(inserted: bytes) -> bytes:
    small = _encoded_jpeg(**{**_JPEG_DEFAULTS, "width": 64, "height": 64})
    return small[:2] + inserted + small[2:]


def _lut(n: Numbers) -> bytes:
    """A profile with a large table on a large picture: JPEG of CMYK or RGB, PNG, WebP."""
    kind = n["container"]
    profile = make_lut_profile(4 if kind == 0 else 3, n["grid"])
    image = _image({**n, "mode": 2 if kind == 0 else 1})
    if kind < 2:
        return encode(image, "JPEG", quality=n["quality"], icc_profile=profile)
    if kind == 2:
        return encode(image, "PNG", compress_level=1, icc_profile=profile)
    return encode(image, "WEBP", quality=n["quality"], method=0, icc_profile=profile)
