"""Put a model into the BentoML model store, getting it first if need be.

`python -m scripts.register_model --model u2net`, or of a file of your own `--from-file PATH`.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path

from models.catalog import find
from models.checkpoints.download import Hub
from models.errors import BackgroundRemovalError, DownloadFailed, ModelNotFound
from models.store.register import identify, register
from models.store.registered import RegisteredModel, is_intact, resolve
from scripts.command import run_command
from scripts.download_model import (
    DEFAULT_FOLDER,
    DEFAULT_MODEL,
    add_hub_options,
    hub_of,
    obtain,
    tell_of_alias,
)


def main(arguments: list[str] | None = None) -> int:
    """Parse, register, print; 1 when it could not be done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", help=f"name in the catalogue (default: {DEFAULT_MODEL}, or what the file is)"
    )
    parser.add_argument("--output-dir", type=Path, default=DEFAULT_FOLDER, metavar="FOLDER")
    parser.add_argument("--from-file", type=Path, metavar="PATH", help="take this file instead")
    add_hub_options(parser)
    options = parser.parse_args(arguments)
    try:
        if options.from_file is not None:
            tell_of_alias(options.model)
            registered = register_file(options.from_file, options.model)
        else:
            name = options.model or DEFAULT_MODEL
            tell_of_alias(name)
            registered = ensure(name, options.output_dir, hub_of(options))
    except BackgroundRemovalError as failure:
        print(f"register_model: {failure}", file=sys.stderr)
        return 1
    print(f"{registered.tag} ({registered.spec.network_name}, {registered.spec.licence})")
    return 0


def ensure(name: str, folder: Path, hub: Hub | None = None) -> RegisteredModel:
    """The registered model; registered now if it was not, is damaged, or is to be a revision."""
    spec, hub = find(name), hub or Hub()
    if hub.revision is None:
        with suppress(ModelNotFound):
            known = resolve(name)
            if is_intact(known):
                return known
    size = f"{spec.size_bytes / 1e6:.0f} MB"
    print(f"Registering {name}: {size}, fetched first if it is not here ...", file=sys.stderr)
    return register(identify(obtain(spec, folder, hub=hub), name))


def register_file(file: Path, name: str | None = None) -> RegisteredModel:
    """Register a checkpoint file, as the model of that name or as what it turns out to be."""
    if not file.is_file():
        raise DownloadFailed(f"there is no file {file}")
    return register(identify(file, name))


if __name__ == "__main__":
    run_command(main)
