"""Get a model of the catalogue: `python -m scripts.download_model --model u2net`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from models.catalog import ALIASES, CATALOG, find
from models.checkpoints.download import Hub, adopt, download
from models.checkpoints.http_download import Progress
from models.checkpoints.hub import HUB_URL
from models.checkpoints.provenance import read_provenance
from models.errors import BackgroundRemovalError
from models.spec import ModelSpec
from scripts.command import run_command

DEFAULT_FOLDER = Path("data/models")
DEFAULT_MODEL = "u2net"


def main(arguments: list[str] | None = None) -> int:
    """Parse, get, print; 1 when it could not be had."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, help=f"name in the catalogue (default: {DEFAULT_MODEL})"
    )
    parser.add_argument("--list", action="store_true", help="print the catalogue and stop")
    parser.add_argument("--output-dir", type=Path, default=DEFAULT_FOLDER, metavar="FOLDER")
    parser.add_argument("--from-file", type=Path, metavar="PATH", help="take this file instead")
    add_hub_options(parser)
    options = parser.parse_args(arguments)
    if options.list:
        print_catalogue()
        return 0
    try:
        spec = find(options.model)
        tell_of_alias(options.model)
        file = obtain(spec, options.output_dir, options.from_file, hub_of(options))
    except BackgroundRemovalError as failure:
        print(f"download_model: {failure}", file=sys.stderr)
        return 1
    record = read_provenance(file.parent, spec.name)
    print(f"{spec.name}: {file} (verified{f'; {record}' if record else ''})")
    return 0


def add_hub_options(parser: argparse.ArgumentParser) -> None:
    """Add what chooses the hub and the revision."""
    parser.add_argument(
        "--mirror", metavar="URL", default=HUB_URL, help=f"model hub (default: {HUB_URL})"
    )
    parser.add_argument(
        "--revision",
        help="commit, tag or branch on the hub to pin from now on (default: what was recorded "
        "by the first download, else the newest)",
    )


def hub_of(options: argparse.Namespace) -> Hub:
    """The hub that the options choose."""
    return Hub(options.mirror, options.revision)


def tell_of_alias(name: str | None) -> None:
    """Say so if a name is only an alias, so that nobody is served something else unawares."""
    if name is not None and name in ALIASES:
        print(ALIASES[name].note, file=sys.stderr)


def obtain(
    spec: ModelSpec, folder: Path, from_file: Path | None = None, hub: Hub | None = None
) -> Path:
    """Get one checkpoint with a progress bar, or take a file that is already here."""
    if from_file is not None:
        return adopt(spec, from_file, folder)
    with tqdm(desc=spec.name, unit="B", unit_scale=True, leave=False) as bar:
        return download(spec, folder, _show_on(bar), hub or Hub())


def print_catalogue() -> None:
    """Print every model: name, network, input, size, licence, purpose; then what to beware of."""
    width = max(map(len, CATALOG))
    for spec in sorted(CATALOG.values(), key=lambda spec: spec.rank):
        shape = f"{spec.input.width}x{spec.input.height}"
        size = f"{spec.size_bytes / 1e6:.1f} MB"
        print(f"{spec.name:{width}} {spec.network_name:18} {shape:>9} {size:>8}  {spec.licence}")
        if spec.purpose:
            print(f"{'':{width}} {spec.purpose}")
    for name, alias in ALIASES.items():
        print(f"{name:{width}} {alias.note}")
    for caveat in dict.fromkeys(spec.caveat for spec in CATALOG.values()):
        names = (spec.name for spec in CATALOG.values() if spec.caveat == caveat)
        print(f"\n{', '.join(names)}:\n  {caveat}")


def _show_on(bar: tqdm[NoReturn]) -> Progress:
    def show(done: int, total: int) -> None:
        bar.total = total or None
        bar.update(done - bar.n)

    return show


if __name__ == "__main__":
    run_command(main)
