"""Nothing in; out: which models were frozen into the Bento this code lies in, and where they are.

Outside of a Bento every answer is that of the BentoML model store alone.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from bentoml import Bento

from models.store_entry import store_folder


def model_folders() -> tuple[Path, ...]:
    """Where models may lie, first come first: an image brings its own, which nobody writes to."""
    brought = _FOLDER / "models"
    return (brought, store_folder()) if _bento() and brought.is_dir() else (store_folder(),)


def frozen_tags() -> tuple[str, ...]:
    """Exact tags of the models the Bento was built with; none outside of one."""
    bento = _bento()
    return tuple(str(model.tag) for model in bento.info.all_models) if bento else ()


_FOLDER = Path(__file__).parents[2]  # of a Bento: its code lies in `src`


@cache
def _bento() -> Bento | None:
    return Bento.from_path(_FOLDER) if (_FOLDER / "bento.yaml").is_file() else None
