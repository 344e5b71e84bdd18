"""Draw what each registered model makes of the same photographs, for docs/models.md.

    python -m scripts.model_pictures u2net u2netp
    python -m scripts.model_pictures BiRefNet-general-lite u2net --output docs/pictures/models.jpg

Starts the service with each model in turn: a picture is what a caller gets by default, on a ground
that shows holes and rims.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import httpx
import numpy as np

from models.arrays import U8Array
from models.catalog import find
from scripts.command import Unusable, run_command
from scripts.measuring.pictures import find_photos, read_photo
from scripts.measuring.processes import REPOSITORY, our_service
from scripts.measuring.report import say

_GROUND = "#3a7d5a"
_HEIGHT, _GAP, _CAPTION = 220, 6, 26
_PAPER, _INK = 255, (40, 40, 40)
_TIMEOUT_S = 120.0
_QUALITY = 85


def main(arguments: list[str] | None = None) -> int:
    """Parse, ask each model, draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL", help="registered already")
    parser.add_argument("--photos", type=Path, default=REPOSITORY / "examples/photos")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "docs/pictures/models.jpg")
    options = parser.parse_args(arguments)
    specs = [find(name) for name in options.models]
    photos = find_photos(options.photos)
    rows = {"the photograph": [read_photo(photo) for photo in photos]}
    for spec in specs:
        say(spec.name)
        rows[spec.name] = made_by(spec.name, photos)
    sheet = np.ascontiguousarray(np.vstack([_row(*row) for row in rows.items()])[..., ::-1])
    written = cv2.imwrite(str(options.output), sheet, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not written:
        raise Unusable(f"{options.output} cannot be written")
    print(options.output)
    return 0


def made_by(model: str, photos: list[Path]) -> list[U8Array]:
    """Photographs on another ground, as the service gives them; colours ``[H, W, 3]``."""
    with (
        tempfile.TemporaryDirectory() as folder,
        our_service(model, Path(folder, "log")) as server,
        httpx.Client(timeout=_TIMEOUT_S) as client,
    ):
        made = []
        for photo in photos:
            sent = {"image": (photo.name, photo.read_bytes())}
            answer = client.post(server.url, files=sent, data={"bg_color": _GROUND})
            if answer.status_code != httpx.codes.OK:
                raise Unusable(f"{photo.name}: {answer.text}")
            file = Path(folder, photo.name).with_suffix(".png")
            file.write_bytes(answer.content)
            made.append(read_photo(file))
        return made


def _row(name: str, pictures: list[U8Array]) -> U8Array:
    """Pictures side by side, of one height, below a name."""
    gap = np.full((_HEIGHT, _GAP, 3), _PAPER, np.uint8)
    cells = []
    for picture in pictures:
        width = round(picture.shape[1] * _HEIGHT / picture.shape[0])
        cells += [cv2.resize(picture, (width, _HEIGHT), interpolation=cv2.INTER_AREA), gap]
    row = np.hstack(cells[:-1])
    caption = np.full((_CAPTION, row.shape[1], 3), _PAPER, np.uint8)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(caption, name, (2, 18), font, 0.5, _INK, 1, cv2.LINE_AA)
    return np.asarray(np.vstack([caption, row]), np.uint8)


if __name__ == "__main__":
    run_command(main)
