"""What must hold before anything starts: model, address, folders, files; else one sentence."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile

from models.errors import BackgroundRemovalError, CheckpointError
from models.store.registered import (
    RegisteredModel,
    bundled,
    is_intact,
    resolve,
    resolve_file,
    resolve_tag,
)
from models.worker import WorkerFailed, run_worker
from service.access.key_file import BrokenKeyFile, read_key_file
from service.blobs.blobs import BadStorage, folder_of, make_folder, open_store
from service.environment import told_models
from service.errors import CannotStart
from service.logs import open_log_file
from service.settings import Settings

log = logging.getLogger(__name__)

_PROCESS_BYTES = 150_000_000
_BYTES_PER_INPUT_PIXEL = 700


@cache
def choose_models(settings: Settings, verified: bool = True) -> tuple[RegisteredModel, ...]:
    """Find the models to serve; in a worker those that its supervisor has found and verified.

    Args:
        settings: The settings.
        verified: Whether their files are read; who does without it must call `check_intact`.

    Returns:
        The models, the best first.

    Raises:
        CannotStart: With one sentence, if one cannot be served.
    """
    told = [resolve_tag(tag) for tag in told_models()]
    if told and None not in told:
        return tuple(model for model in told if model is not None)
    try:
        found = [find_model(settings, name, verified) for name in _names(settings)]
    except BackgroundRemovalError as missing:
        raise CannotStart(missing) from missing
    return tuple(sorted(found, key=lambda model: model.spec.rank))


def _names(settings: Settings) -> Sequence[str | None]:
    """What is asked for: several names, all that our Bento was built with, or what there is."""
    nothing_said = settings.model == "auto" and settings.model_path is None
    if settings.models or not nothing_said:
        return settings.models or (None,)
    several = [model.spec.name for model in bundled()]
    return several if len(several) > 1 else (None,)


def check_memory(models: Sequence[RegisteredModel], allowed: int) -> None:
    """Say what several models take, and refuse what cannot fit.

    Args:
        models: The models.
        allowed: Bytes this service may have.

    Raises:
        CannotStart: With one sentence, if they need more.
    """
    needed = {model.spec.name: estimate_bytes(model) for model in models}
    told = ", ".join(f"{name} {n_bytes / 1e9:.1f} GB" for name, n_bytes in needed.items())
    total = sum(needed.values())
    if total > allowed:
        raise CannotStart(
            f"BIREFNET_MODELS: the models need about {total / 1e9:.1f} GB ({told}), and there are "
            f"{allowed / 1e9:.1f} GB; serve fewer of them"
        )
    log.info("the models take about %.1f GB of memory: %s", total / 1e9, told)


def estimate_bytes(model: RegisteredModel) -> int:
    """About what an inference process takes that runs a model on a CPU (docs/engines.md)."""
    wanted = model.spec.input
    graph = model.files.graph.stat().st_size
    return _PROCESS_BYTES + 2 * graph + wanted.height * wanted.width * _BYTES_PER_INPUT_PIXEL


def find_model(
    settings: Settings, name: str | None = None, verified: bool = True
) -> RegisteredModel:
    """Find the model the settings name, reading all of it once; never a silent substitute.

    A checkpoint file that was not registered yet is registered now, in a process of its own: what
    turns a BiRefNet into a graph would stay in the memory of this one.

    Args:
        settings: The settings.
        name: A model of the catalogue, or `auto`, in place of what the settings name.
        verified: Whether the files of a registered model are read.

    Raises:
        CheckpointError: If it is not there, cannot be registered, or was damaged since it was.
    """
    if name is None and settings.model_path is not None:
        return _of_file(settings.model_path.absolute(), settings.model)
    known = resolve(name or settings.model)
    if verified:
        _verify(known)
    return known


def _verify(known: RegisteredModel) -> None:
    if not is_intact(known):
        raise CheckpointError(
            f"{known.tag} in the model store is damaged; run: make model MODEL={known.spec.name}"
        )


def check_intact(models: Sequence[RegisteredModel]) -> None:
    """Read all files of models, and find out whether they are what was registered.

    Raises:
        CannotStart: With one sentence, if not.
    """
    try:
        for model in models:
            _verify(model)
    except CheckpointError as damaged:
        raise CannotStart(damaged) from damaged


def _of_file(file: Path, model: str) -> RegisteredModel:
    """What is registered of a checkpoint file, registering it if need be."""
    name = None if model == "auto" else model
    if not file.is_file():
        raise CheckpointError(f"BIREFNET_MODEL_PATH: no file {file}")
    known = resolve_file(file, name)
    if known is not None and is_intact(known):
        return known
    try:
        arguments = [str(file), *([name] if name else [])]
        run_worker(f"registering {file.name}", "models.store.register", arguments)
    except WorkerFailed as failed:
        raise CheckpointError(f"BIREFNET_MODEL_PATH: {failed}") from failed
    registered = resolve_file(file, name)
    if registered is None:
        raise CheckpointError(f"BIREFNET_MODEL_PATH: the model store did not keep {file.name}")
    return registered


def check_address(host: str, port: int) -> None:
    """Find out before anything starts whether we can listen there.

    Raises:
        CannotStart: With one sentence, if not.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as refused:
        raise CannotStart(
            f"it cannot listen on {host}:{port} ({refused.strerror}); "
            "set BIREFNET_HOST and BIREFNET_PORT"
        ) from refused


def check_folder(folder: Path, variable: str) -> None:
    """Find out before anything starts whether files can be made in a folder; make it if need be.

    Raises:
        CannotStart: With one sentence, if not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as refused:
        raise CannotStart(
            f"{variable}: {folder} is not a writable folder ({refused.strerror})"
        ) from refused


def check_keys_file(file: Path | None) -> None:
    """Find out before anything starts whether the API keys can be read.

    Raises:
        CannotStart: With one sentence, if not.
    """
    try:
        if file is not None:
            read_key_file(file)
    except BrokenKeyFile as broken:
        raise CannotStart(
            f"BIREFNET_KEYS_FILE: {broken}; python -m scripts.keys add makes it"
        ) from broken


def check_storage(address: str, keys_file: Path | None) -> None:
    """Find out whether uploads can be kept, where somebody may upload; make the folder if need be.

    A bucket is not asked: it may come later.

    Raises:
        CannotStart: With one sentence, if not.
    """
    if keys_file is None:
        return
    folder = folder_of(address)
    try:
        if folder is not None:
            make_folder(folder)
            check_folder(folder, "BIREFNET_STORAGE_URL")
        open_store(address)
    except (BadStorage, OSError) as refused:
        raise CannotStart(f"BIREFNET_STORAGE_URL: {refused}") from refused


def check_tasks(tasks: str, address: str, key: str) -> None:
    """Find out whether tasks could be kept, without making anything before there is one.

    Raises:
        CannotStart: With one sentence, if not.
    """
    if tasks == "off":
        return
    if key and find_spec("cryptography") is None:
        raise _lacks("BIREFNET_TASKS_KEY", "cryptography", "cryptography>=45")
    folder = folder_of(address)
    if folder is None:
        _check_bucket(address)
        return
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise CannotStart(
            f"BIREFNET_STORAGE_URL: {folder} is not a writable folder; tasks lie there, unless "
            "BIREFNET_TASKS=off"
        )


def _check_bucket(address: str) -> None:
    try:
        open_store(address)
    except BadStorage as refused:
        raise CannotStart(f"BIREFNET_STORAGE_URL: {refused}") from refused


def check_extras(settings: Settings) -> None:
    """Find out whether what speaks to Redis and to a collector of traces is installed.

    Redis and the collector themselves may come later.

    Raises:
        CannotStart: With one sentence, if not.
    """
    if settings.redis_url and find_spec("redis") is None:
        raise _lacks("BIREFNET_REDIS_URL", "redis", "redis>=5.2")
    # A name below opentelemetry.exporter could not be looked up where there is no exporter at all.
    if settings.otlp_endpoint and find_spec("opentelemetry.proto") is None:
        package = "opentelemetry-exporter-otlp-proto-http"
        raise _lacks(
            "BIREFNET_OTLP_ENDPOINT", package, f"{package}=={version('opentelemetry-sdk')}"
        )


def _lacks(variable: str, package: str, wanted: str) -> CannotStart:
    """A setting that needs a package."""
    return CannotStart(
        f"{variable}: the package {package} is not installed; run: "
        f"{sys.executable} -m pip install '{wanted}'"
    )


def check_log_file(file: Path) -> None:
    """Find out before anything starts whether a log file can be written.

    Raises:
        CannotStart: With one sentence, if not.
    """
    try:
        open_log_file(file).close()
    except OSError as refused:
        raise CannotStart(f"LOG_FILE: {file} cannot be written ({refused.strerror})") from refused
