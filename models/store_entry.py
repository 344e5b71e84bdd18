"""A name, a version and files in, an entry of the BentoML model store out: whole, or none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import bentoml
from bentoml.container import BentoMLContainer  # type: ignore[attr-defined]

# Written last: BentoML copies an entry into its place file by file.
COMPLETE = "complete"


def store_folder() -> Path:
    """The model store of the BentoML home: where models are registered."""
    return Path(BentoMLContainer.model_store_dir.get())


@contextmanager
def new_entry(name: str, version: str, labels: Mapping[str, str]) -> Iterator[bentoml.Model]:
    """An entry to be filled within, in place of what may be there; it counts once that went well.

    Args:
        name: Its name.
        version: Its version.
        labels: What BentoML shows of it.
    """
    folder = store_folder() / name / version
    shutil.rmtree(folder, ignore_errors=True)  # damaged, or left by an interrupted one
    # BentoML would look up what was registered last, and fail where that is damaged.
    (folder.parent / "latest").unlink(missing_ok=True)
    with bentoml.models.create(f"{name}:{version}", labels=dict(labels)) as stored:
        yield stored
    (folder / COMPLETE).touch()
