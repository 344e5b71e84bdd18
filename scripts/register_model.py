"""Put a model into the BentoML model store, getting it first if need be.

`python -m scripts.register_model --model u2net`
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from models.catalog import find
from models.errors import BackgroundRemovalError, ModelNotFound
from models.store import RegisteredModel, register, resolve
from scripts.download_model import DEFAULT_FOLDER, obtain


def main(arguments: list[str] | None = None) -> int:
    """Parse, register, print; 1 when it could not be done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="u2net", help="name in the catalogue (default: u2net)")
    parser.add_argument("--output-dir", type=Path, default=DEFAULT_FOLDER, metavar="FOLDER")
    parser.add_argument("--from-file", type=Path, metavar="PATH", help="take this file instead")
    options = parser.parse_args(arguments)
    try:
        registered = ensure(options.model, options.output_dir, options.from_file)
    except BackgroundRemovalError as failure:
        print(f"register_model: {failure}", file=sys.stderr)
        return 1
    print(f"{registered.tag} ({registered.spec.architecture}, {registered.spec.licence})")
    return 0


def ensure(name: str, folder: Path, from_file: Path | None = None) -> RegisteredModel:
    """The registered model, registered now if it was not."""
    spec = find(name)
    try:
        return resolve(name)
    except ModelNotFound:
        return register(spec, obtain(spec, folder, from_file))


if __name__ == "__main__":
    sys.exit(main())
