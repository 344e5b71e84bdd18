"""Pictures whose matte is known: a folder of them, our own photographs, or composites."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from models.arrays import Mask, U8Array
from scripts.evaluate.composites import Split, fetch_packages, make_composites
from scripts.evaluate.outlines import read_outline
from scripts.measuring.processes import REPOSITORY
from service.errors import ImageError
from service.imaging.decode import SourceImage, decode
from service.imaging.guard import ImageLimits, inspect

EXAMPLE_PHOTOS = REPOSITORY / "examples" / "photos"
EXAMPLE_MASKS = REPOSITORY / "examples" / "masks"

#: Whoever evaluates reads files of their own: nothing but a broken file is refused.
_LIMITS = ImageLimits(
    max_bytes=2**30,
    max_pixels=400_000_000,
    max_long_side=65_500,
    max_short_side=65_500,
    min_side=1,
    max_ratio=1e9,
)
_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
_TRUTHS = (".json", ".png", ".webp", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Case:
    """One picture with its truth.

    Attributes:
        name: What to call it.
        source: Colours ``[H, W, 3]``.
        alpha_u8: True matte ``[H, W]``, 0..255.
        known: Mask ``[H, W]`` of the pixels whose truth is known; the others do not count.
        foreground: True colours of the subject ``[H, W, 3]``, or None where nobody knows them.
        backgrounds: What to judge cutouts on: pictures ``[H, W, 3]`` and plain colours ``[3]``.
        soft: Whether much of the edge is known to be half transparent: hair, fur, leaves.
    """

    name: str
    source: U8Array
    alpha_u8: U8Array
    known: Mask
    foreground: U8Array | None = None
    backgrounds: tuple[U8Array, ...] = ()
    soft: bool = False


@dataclass(frozen=True)
class CaseSet:
    """Pictures to evaluate on, loaded one at a time.

    Attributes:
        description: What they are, in words.
        names: Of each, all different.
        load: Gives the picture of a name.
    """

    description: str
    names: tuple[str, ...]
    load: Callable[[str], Case]

    def __iter__(self) -> Iterator[Case]:
        """The pictures, in the order of their names."""
        return (self.load(name) for name in self.names)


def example_cases() -> CaseSet:
    """The photographs of this repository and the masks drawn for them by hand."""
    cases = folder_cases(EXAMPLE_PHOTOS, EXAMPLE_MASKS)
    words = "example photographs with masks drawn by hand (examples/masks/README.md)"
    return CaseSet(f"{len(cases.names)} {words}", cases.names, cases.load)


def composite_cases(cache: Path, split: Split, count: int) -> CaseSet:
    """Cut-outs over photographs, whose alpha is known exactly; see `composites.py`.

    Raises:
        Unusable: If the material is neither in the cache nor to be had here.
    """
    cases = {
        one.name: Case(known=np.ones(one.alpha_u8.shape, np.bool_), **vars(one))
        for one in make_composites(fetch_packages(cache), split, count)
    }
    words = f"composites with exact alpha, split '{split}' (scripts/evaluate/composites.py)"
    return CaseSet(f"{len(cases)} {words}", tuple(cases), cases.__getitem__)


def folder_cases(images: Path, truth: Path) -> CaseSet:
    """Pictures of one folder with the truths of the same name from another.

    Args:
        images: Folder of pictures.
        truth: Folder of mattes: pictures (their transparency if they have any, else their
            brightness) or outlines (JSON).

    Returns:
        All pictures of the folder, by name.

    Raises:
        ValueError: If there is none, two have the same name, or one has no truth.
    """
    pictures, truths = _by_name(images, _PICTURES), _by_name(truth, _TRUTHS)
    if not pictures:
        raise ValueError(f"no picture in {images}")
    missing = sorted(set(pictures) - set(truths))
    if missing:
        raise ValueError(f"no truth in {truth} for: {', '.join(missing[:10])}")

    def load(name: str) -> Case:
        return _read_case(name, pictures[name], truths[name])

    return CaseSet(f"{len(pictures)} pictures of {images}", tuple(pictures), load)


def write_matte(folder: Path, name: str, alpha_u8: U8Array) -> None:
    """Write one matte ``[H, W]`` into a folder, as a grey PNG."""
    _, data = cv2.imencode(".png", alpha_u8)
    (folder / f"{name}.png").write_bytes(data.tobytes())


def read_matte(folder: Path, name: str) -> U8Array:
    """Read back what `write_matte` has written: ``[H, W]``, 0..255."""
    data = np.frombuffer((folder / f"{name}.png").read_bytes(), np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)


def _by_name(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    files = sorted(file for file in folder.glob("*") if file.suffix.lower() in suffixes)
    named = {file.stem: file for file in files}
    if len(named) < len(files):
        twice = next(file for file in files if named[file.stem] != file)
        raise ValueError(f"two files called {twice.stem} in {folder}")
    return named


def _read_case(name: str, picture: Path, truth: Path) -> Case:
    source = _read_picture(picture).pixels
    if truth.suffix == ".json":
        alpha, known = read_outline(truth)
    else:
        alpha = _read_truth(truth)
        known = np.ones(alpha.shape, np.bool_)
    if alpha.shape != source.shape[:2]:
        sizes = [" x ".join(map(str, shape[1::-1])) for shape in (source.shape, alpha.shape)]
        raise ValueError(f"{picture.name} has {sizes[0]} pixels, its truth {sizes[1]}")
    return Case(name, source, alpha, known)


def _read_truth(file: Path) -> U8Array:
    picture = _read_picture(file)
    if picture.alpha is not None and picture.alpha.min() < 255:
        return picture.alpha
    return np.ascontiguousarray(picture.pixels[..., 1])  # a grey picture: any channel will do


def _read_picture(file: Path) -> SourceImage:
    data = file.read_bytes()
    try:
        return decode(data, inspect(data, _LIMITS))
    except ImageError as fault:
        raise ValueError(f"cannot read {file}: {type(fault).__name__}") from fault
