"""Make the templates that checkpoints are turned into graphs with. Needs PyTorch.

`python -m scripts.make_templates` makes all of them, about half an hour of work; with names of
backbones only theirs. What is there already and still right does not change by a byte. To be run
whenever what is exported changes (`GRAPH_VERSION`), or a backbone or a size is added.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from models.artifacts import replacing
from models.catalog import CATALOG
from models.templates.template import FOLDER, Form, template_file
from scripts.command import Unusable, need_torch, run_command

_SIDES = (1024, 1024)  # of files of one's own


def main(arguments: list[str] | None = None) -> int:
    """Parse, make, print the size of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backbones", nargs="*", metavar="BACKBONE", help="default: all")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="default: where they are kept")
    options = parser.parse_args(arguments)
    need_torch()
    from models.birefnet.backbones import BACKBONES
    from models.export.make_template import make_template

    if unknown := set(options.backbones) - set(BACKBONES):
        raise Unusable(f"no backbone is called {unknown.pop()}; there are: {', '.join(BACKBONES)}")
    for backbone, height, width in wanted(options.backbones or list(BACKBONES)):
        for form in Form:
            file = options.folder / template_file(backbone, height, width, form).name
            content = make_template(backbone, height, width, form).packed()
            with replacing(file) as unfinished:
                unfinished.write_bytes(content)
            print(f"{file.name}: {len(content)} bytes", flush=True)
    return 0


def wanted(backbones: list[str]) -> list[tuple[str, int, int]]:
    """Backbone, height and width of every graph that can be registered."""
    catalogued = {(s.backbone, s.input.height, s.input.width) for s in CATALOG.values()}
    own = {(backbone, *_SIDES) for backbone in backbones}
    return sorted(size for size in catalogued | own if size[0] in backbones)


if __name__ == "__main__":
    run_command(main)
