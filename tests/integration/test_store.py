"""A checkpoint goes into a model store of our own and comes back as what it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.graphs import write_checkpoint

ROOT = Path(__file__).parents[2]
# In a process of its own: BentoML decides where its store is when it is imported.
PROGRAM = """
import sys
from pathlib import Path
import models.store as store
from models.catalog import CATALOG
from models.download import sha256_of
from models.errors import BackgroundRemovalError
from tests.support.graphs import make_spec

checkpoint = Path(sys.argv[1])
spec = make_spec(sha256=sha256_of(checkpoint))
CATALOG["tiny"] = spec
for step in sys.argv[2:]:
    try:
        match step:
            case "register":
                print("registered", store.register(spec, checkpoint).tag)
            case "register-wrong":
                CATALOG["tiny"] = wrong = make_spec(sha256="1" * 64)
                store.register(wrong, checkpoint)
            case name:
                found = store.resolve(name)
                print("found", found.tag, found.spec.name, found.graph.is_file())
    except BackgroundRemovalError as refused:
        print(type(refused).__name__, refused)
"""


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path)


def run(checkpoint: Path, home: Path, *steps: str) -> list[str]:
    environment = {**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(checkpoint), *steps],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def test_a_registered_model_is_found_by_name_and_by_auto(checkpoint: Path, tmp_path: Path) -> None:
    steps = ("tiny", "auto", "register", "register", "tiny", "auto")
    lines = run(checkpoint, tmp_path / "home", *steps)
    assert lines[0] == "ModelNotFound tiny is not registered; run: make model MODEL=tiny"
    assert lines[1] == "ModelNotFound no model is registered; run: make model"
    tag = lines[2].removeprefix("registered ")
    assert tag.startswith("tiny:")
    assert lines[3] == f"registered {tag}"
    assert lines[4] == lines[5] == f"found {tag} tiny True"


def test_a_file_of_another_model_is_not_registered(checkpoint: Path, tmp_path: Path) -> None:
    lines = run(checkpoint, tmp_path / "home", "register-wrong", "tiny")
    assert lines[0] == "CheckpointError tiny.onnx is not tiny of the catalogue"
    assert lines[1].startswith("ModelNotFound")


def test_processes_that_register_at_once_make_one_entry(checkpoint: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    environment = {**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(checkpoint), "register"],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=ROOT,
        )
        for _ in range(2)
    ]
    told = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert told[0] == told[1]
    assert len([path for path in (home / "models/tiny").iterdir() if path.is_dir()]) == 1
