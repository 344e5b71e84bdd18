"""Nothing in, a Python that has rembg out: an environment of its own, made once, and its server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.spec import ModelSpec
from scripts.download_model import obtain
from scripts.measuring import environments as own_environment
from scripts.measuring.processes import Server, free_port, running

REQUIREMENT = "rembg[cpu,cli]==2.0.86"
DEFAULT_FOLDER = own_environment.CACHE / "rembg-venv"


def make_environment(folder: Path = DEFAULT_FOLDER) -> Path:
    """Make the environment, unless it is there.

    Args:
        folder: Where.

    Returns:
        Its Python.
    """
    return own_environment.make_environment(folder, REQUIREMENT, [REQUIREMENT])


def versions(python: Path) -> dict[str, str]:
    """Versions of what does the work in that environment."""
    return own_environment.versions(python, ("rembg", "onnxruntime", "pillow", "numpy"))


def give_checkpoint(spec: ModelSpec, weights: Path, home: Path) -> None:
    """Put the very checkpoint our graph was made of where rembg looks first.

    Args:
        spec: The model.
        weights: Folder with checkpoints; fetched into it if missing.
        home: The folder rembg is told to be its own.
    """
    checkpoint = obtain(spec, weights)
    target = home / "models" / spec.name / f"{spec.name}.onnx"
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copyfile(checkpoint, target)


@contextmanager
def rembg_server(python: Path, home: Path, log: Path) -> Iterator[Server]:
    """`rembg s` as it comes, its web page included.

    Args:
        python: Python of its environment.
        home: Folder with its checkpoints.
        log: File for what it says.

    Yields:
        The running server. It loads a model with the first picture that asks for it.
    """
    port = free_port()
    command = [str(python.parent / "rembg"), "s", "-h", "127.0.0.1", "-p", str(port)]
    environment = {
        "BROWSER": "/bin/true",  # it opens one
        "U2NET_HOME": str(home),
    }
    root = f"http://127.0.0.1:{port}"
    with running(command, environment, log, (f"{root}/api/remove", f"{root}/openapi.json")) as it:
        yield it
