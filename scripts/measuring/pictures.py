"""Camera-sized files made of small photographs at run time, the same for every contender."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from models.arrays import U8Array
from scripts.command import Unusable

#: Name, width and height of what is measured.
SIZES = {"1080p": (1920, 1080), "12 MP": (4000, 3000)}
_JPEG_QUALITY = 92
_OTHER_QUALITY = {"WEBP": [cv2.IMWRITE_WEBP_QUALITY, 90]}
_NOISE = 2.0  # standard deviation in levels: a camera at low ISO
_SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class PictureKind:
    """What to make of a photograph.

    Attributes:
        format: JPEG, PNG, WEBP or BMP.
        width: Columns, in pixels.
        height: Rows, in pixels.
    """

    format: str
    width: int
    height: int


def find_photos(folder: Path) -> list[Path]:
    """The photographs of a folder, in alphabetical order.

    Raises:
        FileNotFoundError: If there is none.
    """
    photos = sorted(file for file in folder.glob("*") if file.suffix.lower() in _SUFFIXES)
    if not photos:
        raise FileNotFoundError(f"no photograph (.jpg, .png) in {folder}")
    return photos


def make_pictures(photos: Sequence[Path], kind: PictureKind, folder: Path) -> list[Path]:
    """Write one file of a kind per photograph into a folder; the same bytes every time."""
    made = []
    for seed, photo in enumerate(photos):
        file = folder / f"{photo.stem}_{kind.width}x{kind.height}.{kind.format.lower()}"
        pixels = enlarge(read_photo(photo), kind.height, kind.width, seed)
        file.write_bytes(_encode(pixels, kind.format))
        made.append(file)
    return made


def make_sizes(photos: Sequence[Path], folder: Path) -> dict[str, list[Path]]:
    """Write a JPEG per photograph and size of `SIZES` into a folder; files by size."""
    return {
        size: make_pictures(photos, PictureKind("JPEG", *sides), folder)
        for size, sides in SIZES.items()
    }


def enlarge(photo: U8Array, height: int, width: int, seed: int) -> U8Array:
    """Crop the middle to the aspect wanted, resize (Lanczos), add sensor noise.

    Takes colours ``[H, W, 3]`` and gives ``[height, width, 3]``.
    """
    rows = min(photo.shape[0], photo.shape[1] * height // width)
    columns = min(photo.shape[1], photo.shape[0] * width // height)
    top, left = (photo.shape[0] - rows) // 2, (photo.shape[1] - columns) // 2
    cropped = photo[top : top + rows, left : left + columns]
    resized = cv2.resize(cropped, (width, height), interpolation=cv2.INTER_LANCZOS4)
    noise = np.random.default_rng(seed).standard_normal(resized.shape, dtype=np.float32)
    noisy = resized.astype(np.float32) + _NOISE * noise
    return np.asarray(np.clip(noisy + 0.5, 0, 255), dtype=np.uint8)


def read_photo(file: Path) -> U8Array:
    """Read a file as colours ``[H, W, 3]``; raises `Unusable` if it is not a picture."""
    bgr = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if bgr is None:
        raise Unusable(f"{file} is not a picture")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _encode(pixels: U8Array, wanted: str) -> bytes:
    if wanted == "JPEG":
        encoded: bytes = simplejpeg.encode_jpeg(
            pixels, quality=_JPEG_QUALITY, colorspace="RGB", colorsubsampling="420"
        )
        return encoded
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    options = _OTHER_QUALITY.get(wanted, [])
    return bytes(cv2.imencode(f".{wanted.lower()}", bgr, options)[1].tobytes())
