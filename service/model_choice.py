"""Settings in, the registered model to serve out, or one sentence why not."""

from __future__ import annotations

import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import models
from models.errors import BackgroundRemovalError
from models.store import RegisteredModel, is_intact, resolve, resolve_file
from service.settings import Settings


@cache
def choose_model(settings: Settings) -> RegisteredModel:
    """Find the model the settings name; never a silent substitute.

    A checkpoint file that was not registered yet is registered now, in a process of its own: what
    turns a BiRefNet into a graph would stay in the memory of this one.

    Raises:
        SystemExit: With one sentence, if it is not there.
    """
    try:
        if settings.model_path is None:
            return _of_name(settings.model)
        name = None if settings.model == "auto" else settings.model
        return _of_file(settings.model_path.absolute(), name)
    except BackgroundRemovalError as missing:
        raise SystemExit(f"The service cannot start:\n  {missing}") from missing


def _of_name(name: str) -> RegisteredModel:
    """What is registered under a name, unless it was damaged since."""
    known = resolve(name)
    if not is_intact(known):
        raise SystemExit(
            f"The service cannot start:\n  {known.tag} in the model store is damaged; "
            f"run: make model MODEL={known.spec.name}"
        )
    return known


def _of_file(file: Path, name: str | None) -> RegisteredModel:
    """What is registered of a checkpoint file, registering it if need be."""
    if not file.is_file():
        raise SystemExit(f"The service cannot start:\n  BIREFNET_MODEL_PATH: no file {file}")
    known = resolve_file(file, name)
    if known is None or not is_intact(known):
        fault = _register(file, name)
        known = resolve_file(file, name)
        if known is None or fault is not None:
            raise SystemExit(f"The service cannot start:\n  BIREFNET_MODEL_PATH: {fault}")
    return known


def _register(file: Path, name: str | None) -> str | None:
    """Register a file elsewhere; what went wrong there, or None."""
    root = Path(models.__file__).parents[1]  # where `-m models` is found, in a Bento as well
    command = [sys.executable, "-m", "models.registration", str(file), *([name] if name else [])]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode == 0:
        return None
    if done.returncode < 0:  # it had no last word: what it wrote before are warnings
        why = ", probably for want of memory" if -done.returncode == signal.SIGKILL else ""
        return f"registering {file.name} was killed by signal {-done.returncode}{why}"
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"{file.name} could not be registered"
