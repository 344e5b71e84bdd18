"""Damaged files of every format: an `ImageError` or a picture within the limits, nothing else."""

from __future__ import annotations

import random
import resource

import numpy as np
import pytest
from PIL import Image

from service.errors import ImageError
from service.imaging.decode import decode
from service.imaging.guard import ImageLimits, inspect
from tests.support.pictures import make_array, make_image, make_noise, save, with_orientation

# Small limits, so that a lie about the size shows long before it hurts.
LIMITS = ImageLimits(max_pixels=1_000_000, max_long_side=2000, max_short_side=1000)
MUTATIONS = 80
SEED = 20251107


def _seeds() -> dict[str, bytes]:
    rgba = Image.fromarray(np.dstack([make_array(), make_array()[..., 0]]))
    return {
        "jpeg": make_image("JPEG", exif=with_orientation(6)),
        "jpeg-progressive": make_image("JPEG", progressive=True),
        "jpeg-cmyk": save(Image.fromarray(make_array()).convert("CMYK"), "JPEG"),
        "mpo": save(
            Image.fromarray(make_array()),
            "MPO",
            save_all=True,
            append_images=[Image.new("RGB", (128, 96))],
        ),
        "png": make_image("PNG", exif=with_orientation(5)),
        "png-rgba": save(rgba, "PNG"),
        "png-palette": save(Image.fromarray(make_array()).quantize(16), "PNG", transparency=1),
        "apng": save(
            rgba, "PNG", save_all=True, append_images=[Image.fromarray(make_noise(96, 128))]
        ),
        "webp": save(Image.fromarray(make_array()), "WEBP", exif=with_orientation(3)),
        "webp-lossless": save(rgba, "WEBP", lossless=True),
        "webp-animated": save(rgba, "WEBP", save_all=True, append_images=[rgba.rotate(90)]),
        "tiff-lzw": make_image("TIFF", compression="tiff_lzw", exif=with_orientation(8)),
        "tiff-jpeg": make_image("TIFF", compression="jpeg"),
        "tiff-rgba": save(rgba, "TIFF", compression="tiff_adobe_deflate"),
        "gif": make_image("GIF"),
        "gif-animated": save(
            Image.fromarray(make_array()).quantize(16),
            "GIF",
            save_all=True,
            append_images=[Image.fromarray(make_noise(96, 128)).quantize(16)],
        ),
        "avif": make_image("AVIF", exif=with_orientation(7)),
        "avif-rgba": save(rgba, "AVIF"),
        "bmp": make_image("BMP"),
        "bmp-palette": save(Image.fromarray(make_array()).quantize(16), "BMP"),
    }


def _damage(data: bytes, dice: random.Random) -> bytes:
    """One to four changes: bytes, runs, cuts, repeats, extreme numbers; mostly near the head."""
    damaged = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        reach = len(damaged) if dice.random() < 0.3 else min(len(damaged), 200)
        at = dice.randrange(3, max(reach, 4))
        kind = dice.randrange(6)
        if kind == 0:
            damaged[at : at + 1] = bytes([dice.randrange(256)])
        elif kind == 1:
            damaged[at : at + 4] = dice.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"))
        elif kind == 2:
            del damaged[at : at + dice.randint(1, 40)]
        elif kind == 3:
            damaged[at:at] = dice.randbytes(dice.randint(1, 40))
        elif kind == 4:
            damaged[at:at] = damaged[max(0, at - 30) : at]
        elif len(damaged) > 64:
            del damaged[dice.randrange(20, len(damaged)) :]
    return bytes(damaged)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", _seeds())
def test_damaged_files_are_refused_or_read(name: str) -> None:
    whole, dice = _seeds()[name], random.Random(f"{SEED} {name}")
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes = set()
    for i in range(MUTATIONS):
        data = _damage(whole, dice)
        try:
            header = inspect(data, LIMITS)
            source = decode(data, header)
        except ImageError as refused:
            outcomes.add(refused.code)
            continue
        except Exception as strange:  # the test is about exactly these
            pytest.fail(f"mutation {i} of {name}: {strange!r} ({data[:60]!r}...)")
        outcomes.add("read")
        assert source.height * source.width <= LIMITS.max_pixels
        assert (source.height, source.width) == (header.height, header.width)
        assert source.alpha is None or source.alpha.shape == source.pixels.shape[:2]
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
    assert grown_mb < 200, "a damaged file made the decoder allocate beyond the limits"
    assert len(outcomes) >= 2, "the mutations are all of one kind: the test tests nothing"
