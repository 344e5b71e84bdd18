"""Install each artefact of a release in an empty environment, and see it work.

The packages of the lock come from the package index, npm's from its own; nothing else is asked.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import httpx

from scripts.command import Unusable, run_command
from scripts.measuring.processes import PREFIX, REPOSITORY, free_port, on_loopback, running
from scripts.release.artefacts import BENTO, NPM_NAME, run
from scripts.release.sums import the_one, verify

Command = Sequence[str | Path]
_PHOTO = REPOSITORY / "examples/photos/astronaut.jpg"
_IMPORTS = (
    f"import {{ createClient }} from '{NPM_NAME}/client';"
    f"import {{ BackgroundRemoval, useBackgroundRemoval }} from '{NPM_NAME}';"
    "const kinds = [createClient, BackgroundRemoval, useBackgroundRemoval].map((f) => typeof f);"
    "if (kinds.some((kind) => kind !== 'function')) throw new Error(kinds.join());"
)


def main(arguments: list[str] | None = None) -> int:
    """Check what lies in a folder; 1 and a sentence if something of it does not work."""
    parser = argparse.ArgumentParser(prog="check", description=__doc__)
    parser.add_argument("folder", type=Path, help="of `make release`, such as dist/0.1.0")
    check(parser.parse_args(arguments).folder)
    return 0


def check(folder: Path) -> None:
    """Install and try every artefact of a folder.

    Raises:
        Unusable: If one does not do what it should.
        CalledProcessError: If one cannot be installed; what installs it has said why.
    """
    folder = folder.resolve()
    verify(folder)
    with tempfile.TemporaryDirectory(prefix="release-") as made:
        work = Path(made)
        client = _environment(work / "client", the_one(folder, "birefnet_client-*.whl"))
        service = _environment(
            work / "service", "--require-hashes", "-r", folder / "requirements.lock"
        )
        _try_bento(folder, work, service, client)
        _try_wheels(folder, work, service)
        _try_npm(the_one(folder, f"{NPM_NAME}-*.tgz"), work / "npm")


def _environment(folder: Path, *packages: str | Path) -> Path:
    """An empty environment with these packages; its folder of programs."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    _pip(folder / "bin", "install", "-q", *packages)
    return folder / "bin"


def _try_bento(folder: Path, work: Path, service: Path, client: Path) -> None:
    file = the_one(folder, f"{BENTO}-*.tar")
    home = {"BENTOML_HOME": str(work / "home")}
    run(_alone([service / "bentoml", "import", file], work, home), work)
    with_client: Command = [client / "birefnet", _PHOTO, "-o", work / "over-http"]
    _serve(work, service, f"{BENTO}:latest", home, with_client)
    print(f"works: {file.name}, asked by the client's wheel", flush=True)


def _try_wheels(folder: Path, work: Path, service: Path) -> None:
    wheels = sorted(folder.glob("*.whl"))
    _pip(service, "install", "-q", "--no-deps", *wheels)
    _pip(service, "check", "-q")
    ours = {"BENTOML_HOME": str(work / "home")}
    ours |= {"BIREFNET_CACHE_DIR": str(work / "cache")}
    here: Command = [service / "birefnet", _PHOTO, "-o", work / "in-process"]
    run(_alone(here, work, ours), work)
    _is_cutout(work / "in-process")
    asked: Command = [service / "birefnet", _PHOTO, "-o", work / "over-http-again"]
    _serve(work, service, "service.public:BackgroundRemoval", ours, asked)
    print(f"work: {', '.join(wheel.name for wheel in wheels)}", flush=True)


def _serve(work: Path, service: Path, target: str, more: Mapping[str, str], asked: Command) -> None:
    """Serve, look at the page, and have a cutout made by a command that ends with its folder."""
    port = free_port()
    root = f"http://127.0.0.1:{port}"
    settings = {**on_loopback("", port), **more, "BIREFNET_CACHE_DIR": str(work / "cache")}
    settings["BIREFNET_STORAGE_URL"] = str(work / "storage")
    command = _alone([service / "bentoml", "serve", target], work, settings)
    urls = (f"{root}{PREFIX}/remove", f"{root}/readyz")
    with running(command, {}, work / "serve.log", urls):
        if "<script" not in httpx.get(f"{root}/").text:
            raise Unusable(f"{target} has no page at /")
        run(_alone([*asked, "--server", root], work, {}), work)
    _is_cutout(Path(asked[-1]))


def _try_npm(tarball: Path, folder: Path) -> None:
    folder.mkdir()
    run(["npm", "init", "-y", "--loglevel=error"], folder)
    run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", tarball], folder)
    run(["node", "--input-type=module", "--eval", _IMPORTS], folder)
    print(f"works: {tarball.name}", flush=True)


def _is_cutout(folder: Path) -> None:
    """Fail unless a folder holds one cutout of the photograph."""
    cutout = cv2.imread(str(the_one(folder, "*.png")), cv2.IMREAD_UNCHANGED)
    photo = cv2.imread(str(_PHOTO))
    if cutout is None or photo is None or cutout.shape != (*photo.shape[:2], 4):
        raise Unusable(f"what lies in {folder} is no cutout of {_PHOTO}")
    if (lowest := cutout[..., 3].min(), highest := cutout[..., 3].max()) != (0, 255):
        raise Unusable(f"the opacity of the cutout in {folder} is {lowest} to {highest}")


def _pip(programs: Path, *words: str | Path) -> None:
    run([programs / "python", "-m", "pip", "--disable-pip-version-check", *words], programs)


def _alone(command: Command, folder: Path, settings: Mapping[str, str]) -> list[str]:
    """A command in a folder, with these settings and nothing of our environment."""
    given = {"HOME": str(folder), "PATH": os.defpath, "BENTOML_DO_NOT_TRACK": "True", **settings}
    words = [f"{name}={value}" for name, value in given.items() if value]
    return ["/usr/bin/env", "--ignore-environment", f"--chdir={folder}", *words, *map(str, command)]


if __name__ == "__main__":
    run_command(main)
