"""Pictures that can be told apart, and what the service makes of each without any network.

As a command it is the process that makes them: `python -m scripts.replicas.expected FOLDER` removes
the background of each file in this process, with the settings of the environment.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from models.arrays import U8Array
from models.store.home import store_folder
from scripts.command import Unusable, run_command
from scripts.measuring.pictures import find_photos, read_photo
from scripts.measuring.processes import REPOSITORY, within
from service.local import LocalRemover

_PHOTOS = REPOSITORY / "examples/photos"
_WINDOW, _STEP = 0.8, 0.2  # shares of a photograph's sides


@dataclass(frozen=True)
class Known:
    """A picture and what must be made of it.

    Attributes:
        name: Its name.
        data: The file.
        cutout: The file that is made of it.
    """

    name: str
    data: bytes
    cutout: bytes

    def is_cutout(self, answer: bytes, levels: int) -> bool:
        """Whether an answer is this picture's, but for so many levels in any channel of a pixel."""
        if answer == self.cutout:
            return True
        return levels > 0 and difference(answer, self.cutout) <= levels


def difference(one: bytes, other: bytes) -> int:
    """Largest difference of two PNGs, in levels; 256 if one is none, or of another size."""
    try:
        first, second = _pixels(one), _pixels(other)
    except OSError:
        return 256
    if first.shape != second.shape:
        return 256
    seen = np.maximum(first[..., 3], second[..., 3])[..., None] > 0
    return int(np.abs(np.where(seen, first.astype(int) - second, 0)).max())


def make_pictures(height: int, width: int, folder: Path) -> None:
    """Crop twelve pictures out of the photographs.

    Args:
        height: Of each, in pixels.
        width: Of each, in pixels.
        folder: Where they are written.
    """
    for photo in find_photos(_PHOTOS):
        for number, crop in enumerate(_crops(read_photo(photo))):
            resized = cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA)
            Image.fromarray(resized).save(folder / f"{photo.stem}-{number}.png")


def make_known(height: int, width: int, model: str, engine: str, folder: Path) -> list[Known]:
    """Make twelve pictures, and what is expected of each.

    Args:
        height: Of each, in pixels.
        width: Of each, in pixels.
        model: Name in the catalogue.
        engine: As of BIREFNET_ENGINE.
        folder: For the files.

    Raises:
        Unusable: If two of them are too like to be told apart.
    """
    sources, made = folder / "sources", folder / "made"
    for place in (sources, made, folder / "home"):
        place.mkdir(parents=True)
    make_pictures(height, width, sources)
    (folder / "home" / "models").symlink_to(store_folder())
    environment = {
        "BENTOML_HOME": str(folder / "home"),
        "BIREFNET_CACHE_DIR": str(folder / "cache"),
        "BIREFNET_ENGINE": engine,
        "BIREFNET_MODEL": model,
    }
    command = [sys.executable, "-m", __spec__.name, str(sources), str(made)]
    subprocess.run(within(environment, command), cwd=REPOSITORY, check=True)
    files = sorted(sources.glob("*.png"))
    known = [Known(f.stem, f.read_bytes(), (made / f.name).read_bytes()) for f in files]
    _check_apart(known)
    return known


def _crops(photo: U8Array) -> list[U8Array]:
    """The four corners of a photograph, which overlap."""
    rows, columns = (round(side * _WINDOW) for side in photo.shape[:2])
    down, right = (round(side * _STEP) for side in photo.shape[:2])
    return [photo[y : y + rows, x : x + columns] for y in (0, down) for x in (0, right)]


def _check_apart(known: list[Known]) -> None:
    for place, one in enumerate(known):
        for other in known[place + 1 :]:
            if difference(one.cutout, other.cutout) < 32:
                raise Unusable(f"{one.name} and {other.name} could be taken for each other")


def _pixels(file: bytes) -> U8Array:
    with Image.open(io.BytesIO(file)) as picture:  # noqa: TID251  made by the service
        return np.asarray(picture.convert("RGBA"))


def main(arguments: list[str] | None = None) -> int:
    """Make the cutouts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sources", type=Path)
    parser.add_argument("made", type=Path)
    options = parser.parse_args(arguments)
    remover = LocalRemover()
    none: Mapping[str, object] = {}
    for source in sorted(options.sources.glob("*.png")):
        (options.made / source.name).write_bytes(remover.remove(source.read_bytes(), none)[0])
    remover.close()
    return 0


if __name__ == "__main__":
    run_command(main)
