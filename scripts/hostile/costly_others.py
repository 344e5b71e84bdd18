"""WebP and BMP files that cost a decoder dear."""

from __future__ import annotations

import struct

from PIL import Image

from scripts.hostile.drawing import encode
from scripts.hostile.recipe import MOST_BYTES, SIDES, WIDTH, Numbers, Recipe, noise, varied
from scripts.hostile.seeds import bmp_file

_MOST_PIXELS = 100_000_000  # of all frames: or their encoder would take gigabytes
_WEBP = {
    **SIDES,
    "noise": (4, 0, 255),
    "quality": (60, 0, 100),
    "lossless": (0, 0, 1),
    "alpha": (0, 0, 1),
    "frames": (1, 1, 100),
}
_RUNS = {
    **SIDES,
    "kind": (0, 0, 4),
    "run": (2, 1, 255),
    "four": (0, 0, 1),
    "count": (5_000_000, 1, 5_200_000),
    "top_down": (0, 0, 1),
}
_BMP = {
    **SIDES,
    "bits": (2, 0, 5),
    "masks": (0, 0, 1),
    "noise": (255, 0, 255),
    "top_down": (0, 0, 1),
}


def webp_recipes() -> list[Recipe]:
    """Those of WebP."""
    return [
        Recipe("webp lossy", _webp, _WEBP),
        Recipe("webp lossy, noisy", _webp, varied(_WEBP, noise=60, quality=30)),
        Recipe("webp lossy with alpha", _webp, varied(_WEBP, alpha=1)),
        Recipe("webp lossless", _webp, varied(_WEBP, lossless=1, noise=1, width=5000)),
        Recipe("webp animated", _webp, varied(_WEBP, frames=90, width=900, height=900)),
        *(
            Recipe(
                f"webp chunks {kind}",
                _webp_chunks,
                {
                    "kind": (kind, 0, 4),
                    "payload": (0, 0, 30_000),
                    "count": (1_300_000, 1, 1_300_000),
                },
            )
            for kind in range(5)
        ),
    ]


def bmp_recipes() -> list[Recipe]:
    """Those of BMP."""
    return [
        *(
            Recipe(
                f"bmp {bits} bits",
                _bmp,
                varied(
                    _BMP,
                    bits=at,
                    width=WIDTH if bits < 4 else 2000,
                    height=4000 if bits < 8 else 1200,
                ),
            )
            for at, bits in enumerate((1, 4, 8, 16, 24, 32))
        ),
        Recipe("bmp bit fields 16", _bmp, varied(_BMP, bits=3, masks=1, width=2000, height=2500)),
        Recipe("bmp bit fields 32", _bmp, varied(_BMP, bits=5, masks=1, width=2000, height=1300)),
        *(
            Recipe(
                f"bmp runs {8 >> four} bits, {name}",
                _bmp_runs,
                varied(_RUNS, kind=kind, four=four, run=run),
            )
            for four in (0, 1)
            for kind, run, name in (
                (0, 2, "short"),
                (1, 4, "spelt out"),
                (2, 1, "jumps"),
                (3, 1, "line ends"),
                (4, 255, "runs and line ends"),
            )
        ),
    ]


def _webp(n: Numbers) -> bytes:
    channels = 4 if n["alpha"] else 3
    image = Image.fromarray(noise(n["width"], n["height"], channels, n["noise"]))
    options = {"quality": n["quality"], "lossless": bool(n["lossless"]), "method": 0}
    n_frames = min(n["frames"], _MOST_PIXELS // (n["width"] * n["height"]))
    if n_frames < 2:
        return encode(image, "WEBP", **options)
    frames = [image.point(lambda level, k=k: level ^ k) for k in range(1, n_frames)]
    return encode(image, "WEBP", save_all=True, append_images=frames, **options)


def _webp_chunks(n: Numbers) -> bytes:
    """So many chunks of a kind nobody knows, or of EXIF, behind a small picture."""
    small = encode(Image.new("RGBA", (64, 64), "grey"), "WEBP", exif=b"Exif\0\0")
    chunk = (b"abcd", b"EXIF", b"XMP ", b"ICCP", b"ANMF")[n["kind"]] + struct.pack(
        "<I", n["payload"] * 2
    )
    chunk += bytes(n["payload"] * 2)
    body = small[8:] + chunk * min(n["count"], (MOST_BYTES - 10_000) // len(chunk))
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _bmp(n: Numbers) -> bytes:
    """Plain pixels of any depth, or bit fields."""
    bits = (1, 4, 8, 16, 24, 32)[n["bits"]]
    masks = (0x7C00, 0x3E0, 0x1F) if bits == 16 else (0xFF << 20, 0x3FF << 10, 0x3FF)
    fields = n["masks"] and bits in (16, 32)
    columns = -(-n["width"] * bits // 32) * 4
    pixels = noise(columns, n["height"], 1, n["noise"])[..., 0].tobytes()
    coded = (3, struct.pack("<3I", *masks)) if fields else (0, b"")
    return bmp_file(pixels, bits, *coded, width=n["width"], height=_height(n))


def _bmp_runs(n: Numbers) -> bytes:
    """Run lengths of 8 or 4 bits: short runs, spelt-out pixels, jumps or line ends."""
    unit = (
        bytes((n["run"], 7)),
        b"\0" + bytes((max(3, n["run"]),)) + bytes((max(3, n["run"]) + 1) // 2 * 2),
        b"\0\2" + bytes((n["run"], 0)),
        b"\0\0",
        bytes((n["run"], 7)) * 2 + b"\0\0",
    )[n["kind"]]
    coded = unit * min(n["count"], (MOST_BYTES - 10_000) // len(unit)) + b"\0\1"
    bits, compression = (4, 2) if n["four"] else (8, 1)
    return bmp_file(coded, bits, compression, width=n["width"], height=_height(n))


def _height(n: Numbers) -> int:
    return -n["height"] if n["top_down"] else n["height"]
