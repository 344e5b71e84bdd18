"""Folder of PNG pictures -> folder of rembg cutouts (RGBA PNG), inside rembg's own environment.

Only the standard library, Pillow and rembg: nothing of this project is installed there.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Any


def main() -> None:
    """Cut out every picture with rembg's defaults, one session for all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("pictures", type=Path)
    parser.add_argument("cutouts", type=Path)
    arguments = parser.parse_args()
    rembg: Any = importlib.import_module("rembg")
    session = rembg.new_session(arguments.model)
    for path in sorted(arguments.pictures.glob("*.png")):
        cut: bytes = rembg.remove(path.read_bytes(), session=session)
        (arguments.cutouts / path.name).write_bytes(cut)


if __name__ == "__main__":
    main()
