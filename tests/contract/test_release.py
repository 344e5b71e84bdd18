"""A release: one version everywhere, and wheels that hold every file their code opens."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from scripts.command import Unusable
from scripts.release.version import set_version, version_of, versions_in


def tracked(root: Path) -> list[str]:
    words = ["git", "ls-files"]
    return subprocess.run(
        words, cwd=root, check=True, capture_output=True, text=True
    ).stdout.splitlines()


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """A repository with what of this one says its version."""
    for file in {file for file, _ in versions_in(root)}:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / file, tmp_path / file)
    for words in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def test_every_place_says_the_same_version(root: Path) -> None:
    said = {(file, version) for file, version in versions_in(root)}
    assert {version for _, version in said} == {version_of(root)}, said
    assert {"deploy/compose.yaml", "web/package/package.json"} <= {file for file, _ in said}


def test_one_command_sets_it_everywhere(copy: Path) -> None:
    files = {file for file, _ in versions_in(copy)}
    assert set(set_version(copy, "12.3.45")) == files
    assert {version for _, version in versions_in(copy)} == {"12.3.45"}
    assert set_version(copy, "12.3.45") == []


def test_a_place_that_lost_its_version_is_named(copy: Path) -> None:
    (copy / "client/pyproject.toml").write_text("[project]\n")
    with pytest.raises(Unusable, match=r"client/pyproject\.toml does not declare"):
        set_version(copy, "1.0.0")


def test_the_service_s_wheel_holds_every_file_that_is_no_module(root: Path) -> None:
    given = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]
    held = {
        file
        for package, globs in given["package-data"].items()
        for one in globs
        for file in (root / package.replace(".", "/")).glob(one + "/*" * one.endswith("**"))
    }
    files = {root / file for file in tracked(root) if file.startswith(("service/", "models/"))}
    assert {file for file in files if file.suffix != ".py" and file.exists()} <= held
