"""The model store and the servers that end-to-end tests share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, sync_playwright

from models.catalog import find
from models.store.registered import version_of
from tests.support.browser import LAN_NAME, find_chromium
from tests.support.server import BOTH, NO_LIMITS, REPOSITORY, BentoServer, Serve

_MODEL_FOLDER = REPOSITORY / "data" / "models"
_PHOTOS = REPOSITORY / "examples" / "photos"


@pytest.fixture(scope="session")
def model_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `models` folder of a BentoML home with u2netp registered; fetched if it is not here."""
    home = tmp_path_factory.mktemp("bentoml-home")
    subprocess.run(
        [
            *(sys.executable, "-m", "scripts.register_model"),
            *("--model", "u2netp", "--output-dir", str(_MODEL_FOLDER)),
        ],
        cwd=REPOSITORY,
        env={**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"},
        check=True,
    )
    return home / "models"


@pytest.fixture(scope="session")
def serve(model_store: Path) -> Serve:
    """Start a server of one's own, ready to use: `with serve(BIREFNET_...="..."): ...`."""

    @contextmanager
    def start(limits: str = "", **environment: str) -> Iterator[BentoServer]:
        settings = {"BIREFNET_ENGINE": "fake", **environment}
        with BentoServer(model_store, settings, limits=limits) as server:
            yield server

    return start


@pytest.fixture
def serve_cold(model_store: Path) -> Iterator[BentoServer]:
    """A server that has just been launched and is not ready yet."""
    server = BentoServer(model_store, {"BIREFNET_ENGINE": "fake", **NO_LIMITS})
    server.launch()
    yield server
    server.close()


@pytest.fixture(scope="session")
def fake_server(serve: Serve) -> Iterator[BentoServer]:
    """The fake engine, no limits: for everything around a network."""
    with serve(**NO_LIMITS) as server:
        yield server


@pytest.fixture(scope="session")
def real_server(serve: Serve) -> Iterator[BentoServer]:
    """u2netp as an operator would serve it, no limits."""
    with serve(BIREFNET_ENGINE="auto", **NO_LIMITS) as server:
        yield server


@pytest.fixture(scope="session")
def limited_server(serve: Serve) -> Iterator[BentoServer]:
    """Thirty a minute, unshaped; callers from 127.0.0.9 are a trusted proxy."""
    settings = {
        "BIREFNET_RATE_LIMIT_PER_SECOND": "0",
        "BIREFNET_TRUSTED_PROXIES": "127.0.0.9",
    }
    with serve(**settings) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless.

    It is closed with its file: its driver keeps a loop running, which no asynchronous test after it
    may meet in the same process.
    """
    with sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=find_chromium(),
            args=["--no-sandbox", f"--host-resolver-rules=MAP {LAN_NAME} 127.0.0.1"],
        )
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def astronaut() -> bytes:
    """A photograph of a person before a busy background, 512 x 512."""
    photo = _PHOTOS / "astronaut.jpg"
    if not photo.is_file():
        pytest.skip(f"{photo} is not there")
    return photo.read_bytes()


@pytest.fixture(scope="session")
def store(model_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with u2netp and, by its name, u2net.

    The second entry is a copy of the first under another name: the fake engine opens no graph, and
    170 MB need not be fetched.
    """
    folder = tmp_path_factory.mktemp("two") / "models"
    shutil.copytree(model_store, folder, symlinks=True)
    (given,) = (file.parent for file in folder.glob("u2netp/*/model.yaml"))
    spec = find("u2net")
    assert spec.sha256 is not None
    entry = folder / spec.name / version_of(spec.sha256)
    shutil.copytree(given, entry)
    manifest = yaml.safe_load((entry / "model.yaml").read_text())
    manifest |= {"name": spec.name, "version": entry.name}
    manifest["metadata"] |= {"model": spec.name, "checkpoint_sha256": spec.sha256}
    (entry / "model.yaml").write_text(yaml.safe_dump(manifest))
    return folder


@pytest.fixture(scope="session")
def both(store: Path) -> Iterator[BentoServer]:
    """Both models of that store at once, without limits."""
    with BentoServer(store, {**BOTH, **NO_LIMITS}) as server:
        yield server
