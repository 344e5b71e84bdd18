"""What `make clean-all` removes is ours, and nothing is removed unasked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_FILL = """
import bentoml
for name, labels in (("ours", {"product": "background-removal"}), ("theirs", {"product": "x"})):
    with bentoml.models.create(name, labels=labels) as model:
        open(model.path_of("weights"), "wb").write(bytes(1000))
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a store of two models, downloads and a cache."""
    (tmp_path / "data/models").mkdir(parents=True)
    (tmp_path / "data/models/u2netp.onnx").write_bytes(bytes(1000))
    for cache in ("birefnet-background-removal", "everything"):
        (tmp_path / cache / "plans").mkdir(parents=True)
    python(tmp_path, "-c", _FILL)
    return tmp_path


def python(home: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=home,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PYTHONPATH": str(ROOT),
            "BENTOML_HOME": str(home / "bentoml"),
            "BENTOML_DO_NOT_TRACK": "True",
            "BIREFNET_CACHE_DIR": str(home / "birefnet-background-removal"),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def kept(home: Path) -> set[str]:
    models = {path.parent.parent.name for path in (home / "bentoml/models").glob("*/*/model.yaml")}
    folders = ("data/models", "birefnet-background-removal", "everything")
    return models | {name for name in folders if (home / name).exists()}


def test_nothing_is_removed_unasked(home: Path) -> None:
    before = kept(home)
    ran = python(home, "-m", "scripts.clean")
    assert ran.returncode == 1
    assert "model ours:" in ran.stdout
    assert "theirs" not in ran.stdout
    assert "make clean-all CONFIRM=yes" in ran.stdout
    assert kept(home) == before


def test_what_is_ours_is_removed_and_nothing_else(home: Path) -> None:
    ran = python(home, "-m", "scripts.clean", "--confirm")
    assert ran.returncode == 0, ran.stderr
    assert kept(home) == {"theirs", "everything"}
    assert python(home, "-m", "scripts.clean").stdout == "nothing of ours is left\n"


def test_a_cache_of_another_name_may_be_anybody_s(home: Path) -> None:
    elsewhere = str(home / "everything")
    ran = python(home, "-m", "scripts.clean", "--confirm", BIREFNET_CACHE_DIR=elsewhere)
    assert ran.returncode == 0, ran.stderr
    assert (home / "everything/plans").is_dir()
