"""The packed package, built into apps with React 18 and 19 as a user would, and their service."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from scripts.release.version import version_of
from tests.e2e.react.tab import Tab, open_tab
from tests.support.front import Front
from tests.support.keys import issue_key
from tests.support.server import NO_LIMITS, REPOSITORY, BentoServer, Serve, free_port

TARBALL = REPOSITORY / f"build/birefnet-background-removal-{version_of(REPOSITORY)}.tgz"
TYPES_18 = ("@types/react@18.3.32", "@types/react-dom@18.3.7")
VERSIONS = {"18.3.1": ("react@18.3.1", "react-dom@18.3.1", *TYPES_18), "19.3.1": ()}


def run(*words: str | Path, cwd: Path) -> str:
    """Run a command with the Node of `make web`; what it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        [*map(str, words)],
        cwd=cwd,
        env={**os.environ, "PATH": path, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, f"{words}:\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@pytest.fixture(scope="session")
def tarball() -> Path:
    """The package as it is packed from the sources that are here."""
    if not (REPOSITORY / "web/node_modules").is_dir():
        if os.environ.get("CI_SERVICES") == "1":
            pytest.fail("CI_SERVICES=1, and `make web` has not run here")
        pytest.skip("needs `make web` first")
    run("npm", "run", "package", cwd=REPOSITORY / "web")
    return TARBALL


@dataclass
class App:
    """A copy of `examples/react`, installed from the tarball and built.

    Attributes:
        react: The version of React.
        folder: The app itself.
        built: `index.html` of the example, and `faults/index.html` of the app under tests.
    """

    react: str
    folder: Path
    built: Path


@pytest.fixture(scope="session", params=VERSIONS)
def app(
    request: pytest.FixtureRequest, tarball: Path, tmp_path_factory: pytest.TempPathFactory
) -> App:
    """The example with each version of React, type-checked and built."""
    root = tmp_path_factory.mktemp("react")
    folder = root / "examples/react"
    ours = shutil.ignore_patterns("node_modules", "dist")
    shutil.copytree(REPOSITORY / "examples/react", folder, ignore=ours)
    shutil.copytree(REPOSITORY / "tests/e2e/react/app", folder / "src/faults")
    (root / "build").mkdir()
    shutil.copy(tarball, root / "build")
    quiet = ("--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error")
    run("npm", "install", *quiet, *VERSIONS[request.param], cwd=folder)
    run(REPOSITORY / "web/node_modules/.bin/tsc", "-p", ".", cwd=folder)
    run("npm", "run", "build", cwd=folder)
    faults = ("--base", "/faults/", "--outDir", "../../dist/faults")
    run("node_modules/.bin/vite", "build", "src/faults", *faults, cwd=folder)
    return App(request.param, folder, folder / "dist")


@pytest.fixture(scope="session")
def front_port() -> int:
    """Where the apps are served, known before the service is told of it."""
    return free_port()


@pytest.fixture(scope="session")
def service(serve: Serve, front_port: int) -> Iterator[BentoServer]:
    """A service that allows the apps' origin, without limits."""
    with serve(BIREFNET_CORS_ORIGINS=f"http://127.0.0.1:{front_port}", **NO_LIMITS) as server:
        yield server


@pytest.fixture(scope="session")
def strict_service(
    serve: Serve, front_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BentoServer]:
    """The same with small limits, and with keys."""
    keys = tmp_path_factory.mktemp("keys") / "keys.json"
    issue_key(keys)
    small = {
        **NO_LIMITS,
        "BIREFNET_CORS_ORIGINS": f"http://127.0.0.1:{front_port}",
        "BIREFNET_KEYS_FILE": str(keys),
        "BIREFNET_MAX_IMAGE_SIZE_MB": "1",
        "BIREFNET_MAX_IN_FLIGHT_PER_CLIENT": "1",
    }
    with serve(**small) as server:
        yield server


@pytest.fixture
def front(app: App, service: BentoServer, front_port: int) -> Iterator[Front]:
    """The built apps, on an origin of their own."""
    with Front(app.built, service.url(""), front_port) as serving:
        yield serving


@dataclass
class Opener:
    """Opens the test's app in a browser; fails if its policy or anything else complained."""

    browser: Browser
    front: Front
    service: BentoServer
    tabs: list[Tab] = field(default_factory=list)

    @contextmanager
    def __call__(self, show: str = "hook", *, flags: str = "", **settings: Any) -> Iterator[Tab]:
        """Open; the service is asked at its own origin unless `baseUrl` says otherwise."""
        settings = {"baseUrl": self.service.url("/api/background-removal"), **settings}
        with open_tab(self.browser, self.front.url, show, flags, settings) as tab:
            yield tab


Open = Callable[..., AbstractContextManager[Tab]]


@pytest.fixture
def open_app(browser: Browser, front: Front, service: BentoServer) -> Open:
    """Open the tests' app."""
    return Opener(browser, front, service)
