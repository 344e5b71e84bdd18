"""rembg in an environment of its own, and its server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.spec import ModelSpec
from scripts.download_model import obtain
from scripts.measuring.environments import Environment
from scripts.measuring.processes import Server, free_port, running

ENVIRONMENT = Environment(
    what="rembg",
    folder="rembg-venv",
    install=("rembg[cpu,cli]==2.0.86",),
    names=("rembg", "onnxruntime", "pillow", "numpy"),
)


def give_checkpoint(spec: ModelSpec, weights: Path, home: Path) -> None:
    """Put the very checkpoint our graph was made of where rembg, told its home, looks first."""
    target = home / "models" / spec.name / f"{spec.name}.onnx"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(obtain(spec, weights), target)


@contextmanager
def rembg_server(python: Path, home: Path, log: Path) -> Iterator[Server]:
    """`rembg s` as it comes, its web page included, with a folder of checkpoints.

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
