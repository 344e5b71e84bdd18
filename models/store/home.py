"""Where BentoML keeps models and what it has noted of them, without importing BentoML.

The command `birefnet` takes nothing else of it, and the import would be a fifth of its time.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from models.errors import CheckpointError

_told: Path | None = None


def lies_in(home: Path) -> None:
    """Be told BentoML's home by who has read where it is."""
    global _told
    _told = home


def store_folder() -> Path:
    """The model store of the BentoML home: where models are registered."""
    if _told is None or "bentoml" in sys.modules:  # which may have been told otherwise
        from bentoml.container import BentoMLContainer  # type: ignore[attr-defined]

        return Path(BentoMLContainer.model_store_dir.get())
    return _told / "models"


def metadata_of(folder: Path) -> Mapping[str, Any]:
    """What was noted of an entry when it was made.

    Raises:
        Exception: Whatever the bytes of a damaged entry lead to.
    """
    entry = yaml.safe_load((folder / "model.yaml").read_bytes())
    if "creation_time" not in entry:  # the last that is written
        raise CheckpointError(f"{folder}: model.yaml is not whole")
    return dict(entry["metadata"])
