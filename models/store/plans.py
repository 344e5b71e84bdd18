"""TensorRT plans in the BentoML model store, each with its manifest as metadata.

Named under `models:` in `bentofile.yaml`, a plan travels in a Bento; it is found again only where
everything its manifest names is the same.
"""

from __future__ import annotations

from pathlib import Path

from models.artifacts import StoredPlan
from models.engines.trt.plan import PlanManifest
from models.store.entries import COMPLETE, model_folders, new_entry
from models.store.home import metadata_of

PLAN_FILE = "engine.plan"
_MODE = 0o644  # whatever the umask: what others may write is refused
_SUFFIX = "-tensorrt"
_LABELS = {"product": "background-removal", "kind": "tensorrt-plan"}
_DIGEST_CHARACTERS = 12


def register_plan(model: str, plan: bytes, manifest: PlanManifest) -> str:
    """Put a plan into the store, in place of one of the same key.

    Args:
        model: Name of its model in the catalogue.
        plan: The plan.
        manifest: What it is.

    Returns:
        Its tag.
    """
    name, version = _entry_name(model), manifest.key.digest[:_DIGEST_CHARACTERS]
    with new_entry(name, version, _LABELS) as stored:
        file = Path(stored.path_of(PLAN_FILE))
        file.write_bytes(plan)
        file.chmod(_MODE)
        stored.info.metadata.update(manifest.as_metadata())
    return f"{name}:{version}"


def plans_of(model: str) -> tuple[StoredPlan, ...]:
    """Every complete plan of a model; whether one fits is for who opens it to say."""
    pattern = f"{_entry_name(model)}/*/{COMPLETE}"
    marks = (mark for folder in model_folders() for mark in folder.glob(pattern))
    return tuple(plan for mark in marks if (plan := _open_entry(mark.parent)) is not None)


def _open_entry(folder: Path) -> StoredPlan | None:
    try:
        return StoredPlan(folder / PLAN_FILE, metadata_of(folder))
    except Exception:  # a damaged entry raises whatever its bytes lead to; it is none
        return None


def is_plan(tag: str) -> bool:
    """Whether a tag of the store is a plan's."""
    return tag.partition(":")[0].endswith(_SUFFIX)


def _entry_name(model: str) -> str:
    return f"{model.lower()}{_SUFFIX}"
