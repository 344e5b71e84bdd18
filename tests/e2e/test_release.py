"""A release of the files that are here: the same bytes twice, and each artefact at work."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.release.artefacts import TOOLS, build_wheels, pack_npm
from scripts.release.bill import write_bill
from scripts.release.sources import unpack
from tests.support.server import REPOSITORY

pytestmark = [pytest.mark.full, pytest.mark.index, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def commit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of its own, with the files that are here as its one commit."""
    folder = tmp_path_factory.mktemp("repository")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    for name in names.stdout.splitlines():
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, folder / name)
    author = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    for words in (["init", "-q"], ["add", "-A"], [*author, "commit", "-qm", "all"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def released(commit: Path, model_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make release IMAGES=no` leaves, which it has tried."""
    home = tmp_path_factory.mktemp("home")
    (home / "models").symlink_to(model_store)
    ran = subprocess.run(
        [sys.executable, "-m", "scripts.release", "--model", "u2netp"],
        cwd=commit,
        env={**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    assert ran.stdout.count("work: ") + ran.stdout.count("works: ") == 3
    (folder,) = (commit / "dist").iterdir()
    return folder


def test_another_build_elsewhere_by_somebody_else_has_the_same_bytes(
    released: Path, commit: Path, tmp_path: Path
) -> None:
    usual = os.umask(0o077)
    try:
        sources, python = unpack(commit, tmp_path / "sources"), TOOLS.make()
        (again := tmp_path / "again").mkdir()
        build_wheels(sources, python, again)
        write_bill(sources, python, again)
        pack_npm(sources, again)
    finally:
        os.umask(usual)
    assert len(list(again.iterdir())) == 4
    for file in again.iterdir():
        assert file.read_bytes() == (released / file.name).read_bytes(), file.name


def test_the_bill_names_what_is_installed_and_what_the_page_contains(released: Path) -> None:
    (file,) = released.glob("*.cdx.json")
    bill = json.loads(file.read_text())
    listed = {component["purl"] for component in bill["components"]}
    names = {one.partition("@")[0] for one in listed}
    assert {"pkg:pypi/bentoml", "pkg:pypi/openvino", "pkg:npm/react", "pkg:npm/scheduler"} <= names
    assert not {"pkg:npm/vite", "pkg:pypi/pytest"} & names
    locked = (released / "requirements.lock").read_text().splitlines()
    pinned = [line for line in locked if line[:1].isalnum()]
    assert sum(one.startswith("pkg:pypi/") for one in listed) == len(pinned)  # some at two versions
