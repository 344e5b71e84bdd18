"""Pictures whose alpha and foreground are known, made from cut-outs and photographs of Debian.

Cut-outs with a real alpha channel (tuxpaint-stamps-default, GPL-2+) are pasted over photographs
from wallpaper packages, fetched at run time into a cache folder and never committed. Two splits
share no cut-out folder and no photograph: ``tune`` to choose numbers on, ``test`` to report.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from models.arrays import FloatArray, U8Array
from scripts.command import Unusable

Split = Literal["tune", "test"]

STAMPS_PACKAGE = "tuxpaint-stamps-default"
PHOTO_PACKAGES = ("plasma-workspace-wallpapers", "mate-backgrounds", "lomiri-wallpapers-20.04")
DEFAULT_CACHE = Path.home() / ".cache" / "birefnet-background-removal" / "quality"

#: Photographs without a subject of their own, by what their path ends with.
_PHOTOS = (
    "BytheWater/contents/images/2560x1600.jpg",
    "ColdRipple/contents/images/2560x1600.jpg",
    "DarkestHour/contents/images/2560x1600.jpg",
    "FallenLeaf/contents/images/2560x1600.jpg",
    "Grey/contents/images/2560x1600.jpg",
    "PastelHills/contents/images/3200x2000.jpg",
    "summer_1am/contents/images/2560x1600.jpg",
    "nature/Aqua.jpg",
    "nature/Blinds.jpg",
    "nature/Dune.jpg",
    "nature/FreshFlower.jpg",
    "nature/GreenMeadow.jpg",
    "nature/RainDrops.jpg",
    "nature/Storm.jpg",
    "nature/Wood.jpg",
)
#: Not photographs although they pass the test below, or not one whole subject.
_NOT_PHOTOS = (
    "cartoon",
    "mirror",
    "candle",
    "wings",
    "symbols",
    "paratrooper",
    "daffodil.png",
    "easter",
)
_MIN_STAMP_SIDE = 200
_ASPECTS = ((3, 4), (4, 3), (1, 1), (16, 9), (2, 3))


@dataclass(frozen=True)
class Composite:
    """One picture with its truth.

    Attributes:
        name: Cut-out it was made from, and a running number.
        soft: Whether the cut-out has hair, fur or leaves: much of its edge is half transparent.
        source: Colours ``[H, W, 3]``, with sensor noise and JPEG artefacts.
        foreground: True colours of the subject ``[H, W, 3]``, also where alpha is small.
        alpha_u8: True matte ``[H, W]``.
        backgrounds: What to judge cutouts on: pictures ``[H, W, 3]`` and plain colours ``[3]``.
    """

    name: str
    soft: bool
    source: U8Array
    foreground: U8Array
    alpha_u8: U8Array
    backgrounds: tuple[U8Array, ...]


def fetch_packages(cache: Path) -> Path:
    """Download the Debian packages into a cache folder and unpack them there, once.

    Returns:
        Folder that holds the unpacked files.

    Raises:
        Unusable: If there is no apt here, or it cannot fetch a package.
    """
    unpacked = cache / "unpacked"
    for package in (STAMPS_PACKAGE, *PHOTO_PACKAGES):
        done = cache / f"{package}.done"
        if done.exists():
            continue
        if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
            raise Unusable(
                f"the pictures come from the Debian package {package}: run this where apt-get and "
                "dpkg-deb exist (any Debian or Ubuntu container), or copy a filled cache folder"
            )
        cache.mkdir(parents=True, exist_ok=True)
        fetched = subprocess.run(
            ["apt-get", "download", package], cwd=cache, capture_output=True, text=True, check=False
        )
        if fetched.returncode:
            raise Unusable(
                f"apt-get download {package} failed (apt-get update?): {fetched.stderr.strip()}"
            )
        archive = next(cache.glob(f"{package}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", str(archive), str(unpacked)], check=True)
        archive.unlink()
        done.touch()
    return unpacked


def make_composites(unpacked: Path, split: Split, count: int) -> Iterator[Composite]:
    """Build so many pictures of one split from what `fetch_packages` gave, always the same ones.

    Yields:
        Pictures of 600 to 1200 pixels on the long side.
    """
    all_stamps, half = _list_stamps(unpacked), 0 if split == "tune" else 1
    folders = sorted({path.parent for path in all_stamps})[half::2]  # near-twins share a folder
    stamps = [path for path in all_stamps if path.parent in folders]
    photos = _list_photos(unpacked)[half::2]
    order = np.random.default_rng(7).permutation(len(stamps))
    for number in range(count):
        rng = np.random.default_rng([number, half])
        yield _make_one(stamps[order[number % len(stamps)]], photos, number, rng)


def _list_photos(unpacked: Path) -> list[Path]:
    images = sorted(unpacked.glob("usr/share/**/*.jpg"))
    return [path for path in images if path.as_posix().endswith(_PHOTOS)]


def _list_stamps(unpacked: Path) -> list[Path]:
    root = unpacked / "usr/share/tuxpaint/stamps"
    return [path for path in sorted(root.rglob("*.png")) if _is_photo_cutout(path)]


def _is_photo_cutout(path: Path) -> bool:
    if any(word in path.as_posix() for word in _NOT_PHOTOS):
        return False
    rgba = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if rgba is None or rgba.ndim != 3 or rgba.shape[2] != 4 or max(rgba.shape) < _MIN_STAMP_SIDE:
        return False
    opaque = rgba[..., 3] > 250
    if opaque.mean() < 0.08 or (rgba[..., 3] < 5).mean() < 0.05:
        return False
    colours = np.unique((rgba[..., :3][opaque].astype(int) // 8) @ [1, 32, 1024]).size
    inside = cv2.erode(opaque.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    grey = cv2.cvtColor(rgba[..., :3], cv2.COLOR_BGR2GRAY)
    flat = np.abs(cv2.Laplacian(grey, cv2.CV_32F))[inside] < 1  # drawings are flat
    return bool(colours > 600 and flat.size > 500 and flat.mean() < 0.2)


def _make_one(stamp: Path, photos: list[Path], number: int, rng: np.random.Generator) -> Composite:
    rgba = _read(stamp, cv2.COLOR_BGRA2RGBA)
    height, width = _canvas_size(rgba.shape[:2], rng)
    foreground, alpha = _place(rgba, height, width, rng)
    chosen = rng.choice(len(photos), size=3, replace=False)
    behind = [_background(photos[index], height, width, rng) for index in chosen]
    mixed = behind[0] + alpha[..., None] * (foreground.astype(np.float32) - behind[0])
    noisy = mixed + rng.normal(0, 1.5, mixed.shape)
    colours = ((255, 255, 255), (20, 20, 20), (40, 160, 60))
    plain = [np.array(colour, np.uint8) for colour in colours]
    alpha_u8 = np.round(alpha * 255).astype(np.uint8)
    return Composite(
        name=f"{number:03d}-{stamp.stem}",
        soft=_softness(rgba[..., 3]) > 0.9,
        source=_through_jpeg(np.clip(np.round(noisy), 0, 255).astype(np.uint8)),
        foreground=foreground,
        alpha_u8=alpha_u8,
        backgrounds=(*plain, *(np.round(one).astype(np.uint8) for one in behind[1:])),
    )


def _read(path: Path, conversion: int) -> U8Array:
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if stored is None:
        raise Unusable(f"cannot read {path}: delete the cache folder and try again")
    return np.asarray(cv2.cvtColor(stored, conversion), dtype=np.uint8)


def _softness(alpha_u8: U8Array) -> float:
    """Half-transparent pixels per pixel of edge."""
    opaque = (alpha_u8 > 250).astype(np.uint8)
    edge = cv2.morphologyEx(opaque, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return float(((alpha_u8 > 12) & (alpha_u8 < 243)).sum() / max(1, edge.sum()))


def _canvas_size(stamp: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
    """Pick height and width: 600 to 1200 pixels on the long side, fewer for a small cut-out."""
    long_side = int(np.clip(rng.uniform(600, 1200), 600, max(600, 4.5 * max(stamp))))
    across, down = _ASPECTS[rng.integers(len(_ASPECTS))]
    scale = long_side / max(across, down)
    return round(down * scale), round(across * scale)


def _place(
    rgba: U8Array, height: int, width: int, rng: np.random.Generator
) -> tuple[U8Array, FloatArray]:
    """Enlarge a cut-out and put it somewhere on an empty canvas: colours and alpha 0..1."""
    share = rng.uniform(0.6, 0.85)
    scale = share * min(height / rgba.shape[0], width / rgba.shape[1])
    rows, columns = max(1, round(rgba.shape[0] * scale)), max(1, round(rgba.shape[1] * scale))
    method = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    known = (rgba[..., 3:] > 40).astype(np.float32)
    colours = _extend_colours(rgba[..., :3].astype(np.float32), known[..., 0])
    colours = np.clip(cv2.resize(colours, (columns, rows), interpolation=method), 0, 255)
    opacity = cv2.resize(
        rgba[..., 3].astype(np.float32) / 255, (columns, rows), interpolation=method
    )
    if scale > 1:  # enlarging blurs an edge; a camera would not
        opacity = (opacity - 0.5) * min(2.0, scale) ** 0.7 + 0.5
    if rng.random() < 0.5:
        colours, opacity = colours[:, ::-1], opacity[:, ::-1]
    top = int(rng.uniform(0.2, 0.8) * (height - rows))
    left = int(rng.uniform(0.2, 0.8) * (width - columns))
    box = (top, height - rows - top, left, width - columns - left)
    canvas = cv2.copyMakeBorder(np.ascontiguousarray(colours), *box, cv2.BORDER_REPLICATE)
    alpha = cv2.copyMakeBorder(np.ascontiguousarray(opacity), *box, cv2.BORDER_CONSTANT, value=0)
    return np.round(canvas).astype(np.uint8), np.clip(alpha, 0, 1).astype(np.float32)


def _extend_colours(colours: FloatArray, known: FloatArray) -> FloatArray:
    """Continue known colours outwards: a PNG may hold anything under alpha 0."""
    total, weight = colours * known[..., None], known
    extended = total.copy()
    for sigma in (2.0, 6.0, 20.0, 60.0):
        near = cv2.GaussianBlur(weight, (0, 0), sigma)
        blurred = cv2.GaussianBlur(total, (0, 0), sigma) / np.maximum(near, 1e-6)[..., None]
        missing = (extended.sum(axis=2) == 0) & (near > 1e-3)
        extended[missing] = blurred[missing]
    return np.where(known[..., None] > 0, colours, extended).astype(np.float32)


def _background(path: Path, height: int, width: int, rng: np.random.Generator) -> FloatArray:
    """Crop, resize and defocus one photograph: ``[height, width, 3]``, 0..255."""
    photo = _read(path, cv2.COLOR_BGR2RGB)
    scale = rng.uniform(0.6, 1.0) * min(photo.shape[0] / height, photo.shape[1] / width)
    rows, columns = int(height * scale), int(width * scale)
    top = rng.integers(0, photo.shape[0] - rows + 1)
    left = rng.integers(0, photo.shape[1] - columns + 1)
    crop = photo[top : top + rows, left : left + columns]
    method = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
    resized = cv2.resize(crop, (width, height), interpolation=method)
    sigma = rng.uniform(0.002, 0.008) * max(height, width)
    return np.asarray(cv2.GaussianBlur(resized, (0, 0), sigma), dtype=np.float32)


def _through_jpeg(source: U8Array) -> U8Array:
    _, data = cv2.imencode(".jpg", source[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.ascontiguousarray(decoded[..., ::-1])
