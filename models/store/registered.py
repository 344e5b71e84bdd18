"""Finds the model that is registered in the BentoML model store for a name or a file.

An entry is named after the hash of its checkpoint, so that two versions of one model lie side by
side, and counts only once it is complete: whatever dies half-way leaves nothing that is served.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from models.artifacts import GRAPH_VERSION, ModelFiles, sha256_of
from models.catalog import CATALOG, CUSTOM_NAME, PUBLISHED_AS, custom_birefnet, find, find_by_hash
from models.errors import ModelNotFound
from models.spec import ModelSpec
from models.store.entries import COMPLETE, bundled_tags, model_folders
from models.store.home import metadata_of, store_folder
from models.store.manifest import Manifest
from models.store.plans import is_plan, plans_of

_HASH_CHARACTERS = 12


@dataclass(frozen=True)
class RegisteredModel:
    """A model that is in the store.

    Attributes:
        tag: Its exact tag in the store.
        files: What engines open.
        spec: Its entry in the catalogue; of a user's own file one made for it.
    """

    tag: str
    files: ModelFiles
    spec: ModelSpec


def resolve(name: str) -> RegisteredModel:
    """Find a registered model.

    Args:
        name: Name in the catalogue, or `auto`: in a Bento for the model it was built with, else
            for the registered model of the lowest rank.

    Returns:
        The registered model; of several versions the Bento's own, else the one registered last.

    Raises:
        ModelNotFound: If it is not registered; says how to register it.
    """
    if name != "auto":
        spec = find(name)
        registered = _newest(spec)
        if registered is None:
            raise ModelNotFound(_how_to_get(name))
        return registered
    if bundled := _bundled_models():
        return _bundled(bundled)
    found = [model for spec in CATALOG.values() if (model := _newest(spec)) is not None]
    if not found:
        raise ModelNotFound("no model is registered; run: make model")
    return min(found, key=lambda model: model.spec.rank)


def bundled() -> list[RegisteredModel]:
    """The models of our Bento that are here; none outside of one."""
    return [model for tag in _bundled_models() if (model := resolve_tag(tag))]


def resolve_file(checkpoint: Path, name: str | None = None) -> RegisteredModel | None:
    """Find what was registered from a file, by its content.

    Args:
        checkpoint: The file.
        name: The model it must be registered as, or None for what `catalogued` says it is.

    Returns:
        The registered model, or None.
    """
    sha256 = sha256_of(checkpoint)
    spec = find(name) if name is not None else catalogued(checkpoint, sha256)
    entry = Path((spec.name if spec else CUSTOM_NAME).lower(), version_of(sha256))
    opened = (open_entry(folder / entry, spec) for folder in model_folders())
    return next((model for model in opened if model), None)


def resolve_tag(tag: str) -> RegisteredModel | None:
    """Find the registered model of an exact tag; None if it is not there."""
    name, _, version = tag.partition(":")
    spec = next((spec for spec in CATALOG.values() if spec.name.lower() == name), None)
    opened = (open_entry(folder / name / version, spec) for folder in model_folders())
    return next((model for model in opened if model), None)


def catalogued(checkpoint: Path, sha256: str) -> ModelSpec | None:
    """Which model of the catalogue a file is, by its hash, else by its name; None for none."""
    name = PUBLISHED_AS.get(checkpoint.stem, checkpoint.stem)
    return find_by_hash(sha256) or CATALOG.get(name)


def is_intact(registered: RegisteredModel) -> bool:
    """Whether the files of a registered model are what was registered; reads all of them."""
    folder = registered.files.graph.parent
    return all(
        (folder / name).is_file() and sha256_of(folder / name) == sha256
        for name, sha256 in registered.files.digests.items()
    )


def folder_of(name: str) -> Path:
    """Where the store keeps the versions of a model."""
    return store_folder() / name.lower()


def version_of(sha256: str) -> str:
    """Version of what today's code makes of a checkpoint."""
    return f"{sha256[:_HASH_CHARACTERS]}-g{GRAPH_VERSION}"


def _newest(spec: ModelSpec) -> RegisteredModel | None:
    """Of all that fits a catalogue entry what is bundled, else what was registered last."""
    pattern, bundled = f"{spec.name.lower()}/*-g{GRAPH_VERSION}/{COMPLETE}", _bundled_models()
    complete = (mark for folder in model_folders() for mark in folder.glob(pattern))
    best_first = sorted(
        complete,
        key=lambda mark: (_tag_of(mark.parent) in bundled, mark.stat().st_mtime_ns),
        reverse=True,
    )
    return next((model for mark in best_first if (model := open_entry(mark.parent, spec))), None)


def _how_to_get(name: str) -> str:
    """What to do about a model that is not there."""
    if not (bundled := _bundled_models()):
        return f"{name} is not registered; run: make model MODEL={name}"
    built_with = bundled[0].partition(":")[0]
    return (
        f"this Bento was built with {built_with}, not with {name}; build another with "
        f"make bento MODEL={name} (or make image), or set BIREFNET_MODEL_PATH"
    )


def _bundled_models() -> tuple[str, ...]:
    """Exact tags of the models of our Bento; it may hold TensorRT plans beside them."""
    return tuple(tag for tag in bundled_tags() if not is_plan(tag))


def _bundled(tags: tuple[str, ...]) -> RegisteredModel:
    """The model of a Bento."""
    found = next((model for tag in tags if (model := resolve_tag(tag))), None)
    if found is None:
        why = f"this Bento was built with {tags[0]}, which is not here; import it anew"
        raise ModelNotFound(why)
    return found


def open_entry(folder: Path, spec: ModelSpec | None) -> RegisteredModel | None:
    """An entry of the store, if it is complete and is what its manifest says.

    Args:
        folder: Where it lies.
        spec: The catalogue entry it must fit; None for a user's own file.
    """
    if not (folder / COMPLETE).is_file():
        return None
    try:
        manifest = Manifest.from_metadata(metadata_of(folder))
    except Exception:  # a damaged entry raises whatever its bytes lead to; it is none of ours
        return None
    if spec is None:
        spec = custom_birefnet(manifest.backbone)
    files = ModelFiles.within(folder)
    if not manifest.fits(spec) or not files.graph.is_file():
        return None
    files = replace(files, plans=plans_of(spec.name), digests=manifest.files)
    return RegisteredModel(tag=_tag_of(folder), files=files, spec=spec)


def _tag_of(folder: Path) -> str:
    return f"{folder.parent.name}:{folder.name}"
