"""Where entries of the BentoML model store lie, and how one gets there: whole or not at all.

Models may also lie in the Bento this code was built into.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from models.store.home import store_folder

if TYPE_CHECKING:  # imported where it is needed; see `models.store.home`
    import bentoml

# Written last: BentoML copies an entry into its place file by file.
COMPLETE = "complete"


@contextmanager
def new_entry(name: str, version: str, labels: Mapping[str, str]) -> Iterator[bentoml.Model]:
    """An entry to be filled within, in place of what may be there; it counts once that went well.

    Args:
        name: Its name.
        version: Its version.
        labels: What BentoML shows of it.
    """
    import bentoml

    folder = store_folder() / name / version
    shutil.rmtree(folder, ignore_errors=True)  # damaged, or left by an interrupted one
    # BentoML would look up what was registered last, and fail where that is damaged.
    (folder.parent / "latest").unlink(missing_ok=True)
    with bentoml.models.create(f"{name}:{version}", labels=dict(labels)) as stored:
        yield stored
    (folder / COMPLETE).touch()


def model_folders() -> tuple[Path, ...]:
    """Where models may lie, first come first: an image brings its own, which nobody writes to."""
    brought = _FOLDER / "models"
    return (brought, store_folder()) if _bento() and brought.is_dir() else (store_folder(),)


def bundled_tags() -> tuple[str, ...]:
    """Exact tags of the models the Bento was built with; none outside of one."""
    bento = _bento()
    return tuple(str(model.tag) for model in bento.info.all_models) if bento else ()


def bundled_services() -> frozenset[str]:
    """Names of the services the Bento was built with; none outside of one."""
    bento = _bento()
    return frozenset(service.name for service in bento.info.services) if bento else frozenset()


_FOLDER = Path(__file__).parents[3]  # of a Bento: its code lies in `src`


@cache
def _bento() -> bentoml.Bento | None:
    if not (_FOLDER / "bento.yaml").is_file():
        return None
    import bentoml

    return bentoml.Bento.from_path(_FOLDER)
