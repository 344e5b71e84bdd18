"""What the header says decoding takes is near what it takes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.hostile.tiff_files import (
    DEFLATE,
    GREY,
    JPEG,
    LZW,
    RGB,
    YCBCR,
    TiffLayout,
    write_tiff,
)
from service.imaging.guard import ImageLimits, inspect
from tests.support.pictures import make_png, png_chunk, save, with_orientation

HEIGHT, WIDTH = 1500, 2000
LIMITS = ImageLimits(max_ratio=1e9, max_bytes=10**9)

# tracemalloc does not see what C libraries allocate; the kernel's high-water mark does.
MEASURE = """
import json, os, sys
from service.imaging.decode import decode
from service.imaging.guard import ImageLimits, inspect
from service.resources import return_freed_memory

def resident(field):
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024

def grow(data):
    header = inspect(data, ImageLimits(max_ratio=1e9, max_bytes=10**9))
    return_freed_memory()
    open("/proc/self/clear_refs", "w").write("5")
    before = resident("VmRSS")
    decode(data, header)
    return resident("VmHWM") - before

grown = {}
for name in sys.argv[1:]:  # each in a process of its own, where no other has left memory behind
    data = open(name, "rb").read()
    out, told = os.pipe()
    if not os.fork():
        grow(data)  # the first time, libraries load
        os.write(told, str(grow(data)).encode())
        os._exit(0)
    os.wait()
    grown[name] = int(os.read(out, 100))
print(json.dumps(grown))
"""


def make_smooth(mode: str = "RGB") -> Image.Image:
    small = np.random.default_rng(0).integers(0, 256, (15, 20, 4), dtype=np.uint8)
    return Image.fromarray(small).convert(mode).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)


def make_deep_png(colour_type: int, channels: int, *extra: bytes) -> bytes:
    row = b"\0" + bytes(range(200)) * (WIDTH * channels * 2 // 200)
    return make_png(WIDTH, HEIGHT, 16, colour_type, row * HEIGHT, *extra)


def make_files() -> dict[str, bytes]:
    colour = make_smooth()
    png = save(colour, "PNG", compress_level=1)
    linear = png_chunk(b"gAMA", (100_000).to_bytes(4, "big"))
    return {
        "baseline": save(colour, "JPEG"),
        "progressive": save(colour, "JPEG", progressive=True, subsampling=0),
        "turned": save(colour, "JPEG", exif=with_orientation(6)),
        "grey jpeg": save(make_smooth("L"), "JPEG"),
        "cmyk": save(colour.convert("CMYK"), "JPEG"),
        "png": png,
        "linear png": png[:33] + linear + png[33:],
        "palette": save(
            colour.quantize(64, method=Image.Quantize.FASTOCTREE), "PNG", transparency=3
        ),
        "rgba of 16 bits": make_deep_png(6, 4),
        "rgb of 16 bits with a transparent colour": make_deep_png(
            2, 3, png_chunk(b"tRNS", bytes(6))
        ),
        "webp": save(colour, "WEBP", method=0),
        "webp with alpha": save(make_smooth("RGBA"), "WEBP", method=0),
        "bmp": save(colour, "BMP"),
    }


def make_newer_files() -> dict[str, bytes]:
    colour = make_smooth()
    return {
        **make_tiffs(),
        "gif": save(colour.quantize(64, method=Image.Quantize.FASTOCTREE), "GIF"),
        "gif with a transparent index": save(
            colour.quantize(64, method=Image.Quantize.FASTOCTREE), "GIF", transparency=3
        ),
        "avif": save(colour, "AVIF", speed=10),
        "avif of full colour with alpha": save(
            make_smooth("RGBA"), "AVIF", speed=10, subsampling="4:4:4"
        ),
    }


def make_tiffs() -> dict[str, bytes]:
    rgba = np.asarray(make_smooth("RGBA"))
    deep = rgba.astype(np.uint16) * 257
    opacity = {338: (3, (1,))}
    return {
        "tiff in strips": write_tiff(rgba[..., :3], TiffLayout(RGB, LZW, rows=16)),
        "tiff in one strip": write_tiff(rgba[..., :3], TiffLayout(RGB, LZW)),
        "tiff of 16 bits in one strip": write_tiff(deep, TiffLayout(RGB, LZW, ">", tags=opacity)),
        "tiff of 16 bits, deflated": write_tiff(deep, TiffLayout(RGB, DEFLATE, ">", tags=opacity)),
        "tiff in tiles": write_tiff(deep, TiffLayout(RGB, DEFLATE, tile=(256, 256), planar=True)),
        "tiff of 8 jpegs": write_tiff(rgba[..., :3], TiffLayout(YCBCR, JPEG, rows=200)),
        "tiff of one jpeg": write_tiff(rgba[..., :3], TiffLayout(YCBCR, JPEG)),
        "plain tiff": write_tiff(rgba[..., :3], TiffLayout(RGB)),
        "tiff of one bit": write_tiff(rgba[..., :1] >> 7, TiffLayout(GREY, DEFLATE, bits=1)),
    }


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("make", [make_files, make_newer_files])
def test_the_estimate_is_near_the_memory_that_decoding_takes(
    make: Callable[[], dict[str, bytes]], tmp_path: Path
) -> None:
    files = {tmp_path / f"{i}": (name, data) for i, (name, data) in enumerate(make().items())}
    for path, (_, data) in files.items():
        path.write_bytes(data)
    measured = json.loads(
        subprocess.run(
            [sys.executable, "-c", MEASURE, *map(str, files)],
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[4],
        ).stdout
    )
    wrong = {}
    for path, (name, data) in files.items():
        ratio = inspect(data, LIMITS).decode_bytes / measured[str(path)]
        if not 0.8 <= ratio <= 3:
            wrong[name] = round(ratio, 2)
    assert not wrong


def test_many_scans_and_deep_samples_are_counted() -> None:
    colour = make_smooth()
    baseline, progressive = (
        inspect(save(colour, "JPEG", progressive=many, subsampling=0), LIMITS).decode_bytes
        for many in (False, True)
    )
    assert progressive - baseline > 5 * HEIGHT * WIDTH  # two bytes for each of three coefficients
