"""Build everything of a release but its image from the commit that is checked out, and try it.

Wheels, npm package and bill of materials are the same bytes for the same commit. The Bento, which
has times in it, is not. `make release` builds the image too, from this Bento.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from models.store.home import store_folder
from scripts.command import Unusable, run_command
from scripts.measuring.processes import REPOSITORY
from scripts.release.artefacts import TOOLS, build_bento, build_wheels, pack_npm
from scripts.release.bill import write_bill
from scripts.release.check import check
from scripts.release.sources import unpack
from scripts.release.sums import write_sums


def main(arguments: list[str] | None = None) -> int:
    """Build into a new folder, and check what lies there."""
    parser = argparse.ArgumentParser(prog="release", description=__doc__)
    parser.add_argument("--model", default="u2net", help="that the Bento brings; default: u2net")
    parser.add_argument("--output", type=Path, default=Path("dist"), help="default: dist")
    parser.add_argument(
        "--home", type=Path, default=Path("build/release"), help="BentoML's, for this Bento alone"
    )
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="release-") as work:
        sources = unpack(REPOSITORY, Path(work))
        target = (options.output / sources.version).resolve()
        if target.exists():
            raise Unusable(f"{target} is there already; remove it, or set another version")
        home = _new_home(options.home.resolve())
        unfinished = target.with_name(f"{target.name}.part")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        tools = TOOLS.make()
        build_wheels(sources, tools, unfinished)
        write_bill(sources, tools, unfinished)
        pack_npm(sources, unfinished)
        build_bento(sources, options.model, home, unfinished)
        shutil.copy(sources.folder / "requirements.lock", unfinished)
    write_sums(unfinished)
    check(unfinished)
    unfinished.rename(target)
    print(f"{target} is version {sources.version}, of commit {sources.commit}")
    return 0


def _new_home(home: Path) -> Path:
    """An empty BentoML home that sees the models of this machine."""
    models = store_folder()
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    models.mkdir(parents=True, exist_ok=True)
    (home / "models").symlink_to(models)
    return home


if __name__ == "__main__":
    run_command(main)
