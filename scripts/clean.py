"""Say what this project keeps outside its repository, and with --confirm remove it.

`python -m scripts.clean` lists; `make clean-all CONFIRM=yes` removes that, and the environment.
Models and Bentos of others in the same store are left alone, and so is a cache folder of another
name than ours: who knows what else lies there. What callers have uploaded is theirs
(`BIREFNET_STORAGE_URL`) and stays, too.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import bentoml

from scripts.command import run_command
from scripts.download_model import DEFAULT_FOLDER
from service.settings import Settings
from service.settings_reader import read_settings

_MODEL_LABEL = ("product", "background-removal")  # of models.store.register
_BENTO_LABEL = ("project", "birefnet-background-removal")  # of bentofile.yaml
_CACHE = Settings.model_fields["cache_dir"].default.name


@dataclass(frozen=True)
class Kept:
    """Something of ours.

    Attributes:
        what: In words, with where it is.
        folder: Its files.
        remove: Removes it.
    """

    what: str
    folder: Path
    remove: Callable[[], object]


def main(arguments: list[str] | None = None) -> int:
    """List what is kept, remove it if confirmed; 1 if something is left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--confirm", action="store_true", help="remove what is listed")
    options = parser.parse_args(arguments)
    found = list(find(read_settings().cache_dir))
    for one in found:
        print(f"{_size_mb(one.folder):7.0f} MB  {one.what}")
        if options.confirm:
            one.remove()
    if not found:
        print("nothing of ours is left")
    elif options.confirm:
        print("removed")
    else:
        print("Nothing was removed; to remove it and the environment: make clean-all CONFIRM=yes")
    return int(bool(found) and not options.confirm)


def find(cache: Path, downloads: Path = DEFAULT_FOLDER) -> Iterator[Kept]:
    """What is ours in the BentoML store, the cache folder and the folder of downloads.

    Args:
        cache: The cache folder that is set.
        downloads: Where checkpoints are fetched to.
    """
    for model in bentoml.models.list():
        if _has(model.info.labels, _MODEL_LABEL):
            folder = Path(model.path)
            remove = partial(bentoml.models.delete, model.tag)
            yield Kept(f"model {model.tag} in {folder}", folder, remove)
    for bento in bentoml.bentos.list():
        if _has(bento.info.labels, _BENTO_LABEL):
            folder = Path(bento.path)
            remove = partial(bentoml.bentos.delete, bento.tag)
            yield Kept(f"Bento {bento.tag} in {folder}", folder, remove)
    folders = [("downloads", downloads)]
    if cache.name == _CACHE:
        folders.append(("cache", cache))
    for what, folder in folders:
        if folder.is_dir():
            yield Kept(f"{what} in {folder}", folder, partial(shutil.rmtree, folder))


def _has(labels: dict[str, str], label: tuple[str, str]) -> bool:
    return labels.get(label[0]) == label[1]


def _size_mb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


if __name__ == "__main__":
    run_command(main)
