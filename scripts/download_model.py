"""Get a model of the catalogue: `python -m scripts.download_model --model u2net`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from models.catalog import CATALOG, find
from models.download import Progress, adopt, download
from models.errors import BackgroundRemovalError
from models.spec import ModelSpec

DEFAULT_FOLDER = Path("data/models")


def main(arguments: list[str] | None = None) -> int:
    """Parse, get, print; 1 when it could not be had."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="u2net", help="name in the catalogue (default: u2net)")
    parser.add_argument("--list", action="store_true", help="print the catalogue and stop")
    parser.add_argument("--output-dir", type=Path, default=DEFAULT_FOLDER, metavar="FOLDER")
    parser.add_argument("--from-file", type=Path, metavar="PATH", help="take this file instead")
    options = parser.parse_args(arguments)
    if options.list:
        print_catalogue()
        return 0
    try:
        file = obtain(find(options.model), options.output_dir, options.from_file)
    except BackgroundRemovalError as failure:
        print(f"download_model: {failure}", file=sys.stderr)
        return 1
    print(f"{options.model}: {file} (verified)")
    return 0


def obtain(spec: ModelSpec, folder: Path, from_file: Path | None = None) -> Path:
    """Get one checkpoint with a progress bar, or take a file that is already here."""
    if from_file is not None:
        return adopt(spec, from_file, folder)
    with tqdm(desc=spec.name, unit="B", unit_scale=True, leave=False) as bar:
        return download(spec, folder, _show_on(bar))


def print_catalogue() -> None:
    """Print one line per model: name, architecture, size, licence, caveat."""
    for spec in sorted(CATALOG.values(), key=lambda spec: spec.rank):
        size_mb = spec.size_bytes / 1e6
        print(f"{spec.name:8} {spec.architecture:9} {size_mb:6.1f} MB  {spec.licence}")
        print(f"{'':8} {spec.caveat}")


def _show_on(bar: tqdm[NoReturn]) -> Progress:
    def show(done: int, total: int) -> None:
        bar.total = total or None
        bar.update(done - bar.n)

    return show


if __name__ == "__main__":
    sys.exit(main())
