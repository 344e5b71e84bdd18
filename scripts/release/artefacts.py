"""Builds wheels, the npm package and the Bento out of the files of a commit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.measuring.environments import Environment
from scripts.measuring.processes import within
from scripts.release.sources import Sources

#: What builds wheels and lists packages, at one version for everybody.
TOOLS = Environment(
    "what builds a release",
    "release",
    ("--require-hashes", "-r", "requirements-release.lock"),
    ("cyclonedx-bom", "setuptools"),
)
#: Environment in which Node is found: beside our Python, where `make web` put it.
WITH_NODE = {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath])}
NPM_NAME = "birefnet-background-removal"
BENTO = "background_removal"
_UMASK = 0o022  # else the files that are written on the way have the modes of whoever builds


def build_wheels(sources: Sources, python: Path, target: Path) -> None:
    """Build the wheels of the service and of the client: the same bytes for the same commit.

    Args:
        sources: Are built in a folder of their own, so that no earlier build lies there.
        python: Of the tools.
        target: Folder for the wheels.
    """
    wheel = ("-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation")
    for project in (sources.folder, sources.folder / "client"):
        run([python, *wheel, "-w", target, project], project, _times(sources))
        shutil.rmtree(project / "build")


def pack_npm(sources: Sources, target: Path) -> None:
    """Build and pack the React package, with the Node and the packages of the locks."""
    web = sources.folder / "web"
    run(["npm", "ci", "--loglevel=error"], web)
    run(["npm", "run", "--silent", "package"], web)
    shutil.copy(sources.folder / "build" / f"{NPM_NAME}-{sources.version}.tgz", target)


def build_bento(sources: Sources, model: str, home: Path, target: Path) -> None:
    """Build the Bento with its model, and write it as one file.

    Args:
        sources: What it is built of.
        model: Is registered in the models of this machine, if it is not yet.
        home: A BentoML home whose `models` are those.
        target: Folder for the file.
    """
    ours = {"BENTOML_DO_NOT_TRACK": "True", "BIREFNET_MODEL": model}
    run([sys.executable, "-m", "scripts.register_model", "--model", model], sources.folder, ours)
    bentoml, tag = [sys.executable, "-m", "bentoml"], f"{BENTO}:{sources.version}"
    ours["BENTOML_HOME"] = str(home)
    run([*bentoml, "build", "--version", sources.version], sources.folder, ours)
    file = target.resolve() / f"{BENTO}-{sources.version}.tar"
    run([*bentoml, "export", tag, file], sources.folder, ours)


def run(command: Sequence[str | Path], folder: Path, more: Mapping[str, str] | None = None) -> None:
    """Run a command in a folder; what it prints goes to standard error.

    Args:
        command: Program and words.
        folder: Where.
        more: Environment beside ours.

    Raises:
        CalledProcessError: If it fails.
    """
    words = within({**WITH_NODE, **(more or {})}, [*map(str, command)])
    subprocess.run(words, cwd=folder, check=True, stdout=sys.stderr, umask=_UMASK)


def _times(sources: Sources) -> dict[str, str]:
    return {"SOURCE_DATE_EPOCH": str(sources.committed_s)}
