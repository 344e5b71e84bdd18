"""A checkpoint file the service is pointed at is served, or refused in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkpoints import make_state, write

ROOT = Path(__file__).parents[2]
REAL = ROOT / "data/models/u2netp.onnx"
PROGRAM = """
import sys
from pathlib import Path
from service.startup import choose_model
from service.settings import Settings

model = sys.argv[2] if sys.argv[2:] else "auto"
chosen = choose_model(Settings(model_path=Path(sys.argv[1]), model=model))
print(chosen.spec.name, chosen.tag, chosen.files.graph.is_file(), "onnx" in sys.modules)
"""


# Python imports it before anything else.
KILLED = """
import os, sys
if "models.store.register" in sys.orig_argv:
    print("UserWarning: something about a version", file=sys.stderr, flush=True)
    os.kill(os.getpid(), 9)
"""


def choose(file: Path, home: Path, *model: str, **more: str) -> tuple[int, str]:
    """Exit status, and what was said, of a process that chooses."""
    environment = {**os.environ, **more, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file), *model],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        check=False,
    )
    return ran.returncode, (ran.stdout or ran.stderr).strip()


@pytest.mark.weights
def test_a_light_checkpoint_is_registered_by_the_way(tmp_path: Path) -> None:
    if not REAL.is_file():
        pytest.skip(f"{REAL.name} is not here; run: make model MODEL=u2netp")
    file = tmp_path / "renamed.bin"
    file.write_bytes(REAL.read_bytes())
    for _ in range(2):
        assert choose(file, tmp_path / "home") == (0, "u2netp u2netp:309c8469258d-g4 True False")


def test_what_is_no_checkpoint_is_refused_by_what_it_is(tmp_path: Path) -> None:
    file = tmp_path / "BiRefNet.pth"
    file.write_text("<!doctype html>")
    status, said = choose(file, tmp_path / "home")
    assert status == 1
    head, sentence = said.splitlines()
    assert head == "The service cannot start:"
    assert sentence.startswith("  BIREFNET_MODEL_PATH: BiRefNet.pth is a web page")


def test_a_file_is_held_to_the_name_it_is_given(tmp_path: Path) -> None:
    file = tmp_path / "u2netp.onnx"
    file.write_bytes(b"another")
    status, said = choose(file, tmp_path / "home", "u2netp")
    assert status == 1
    assert "u2netp.onnx is not u2netp of the catalogue" in said


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    status, said = choose(tmp_path / "gone.pth", tmp_path / "home")
    assert status == 1
    assert "BIREFNET_MODEL_PATH: no file " in said


def test_a_registration_that_was_killed_is_not_explained_by_its_last_warning(
    tmp_path: Path,
) -> None:
    (tmp_path / "sitecustomize.py").write_text(KILLED)
    file = tmp_path / "own.pth"
    file.write_bytes(b"anything")
    status, said = choose(file, tmp_path / "home", PYTHONPATH=str(tmp_path))
    assert status == 1
    assert said.endswith("registering own.pth was killed by signal 9, probably for want of memory")


@pytest.mark.weights
def test_a_file_that_was_registered_as_it_is_and_damaged_in_the_store_is_registered_again(
    tmp_path: Path,
) -> None:
    if not REAL.is_file():
        pytest.skip(f"{REAL.name} is not here; run: make model MODEL=u2netp")
    home = tmp_path / "home"
    right = choose(REAL, home)
    (graph,) = home.glob("models/u2netp/*/graph.onnx")
    graph.write_bytes(b"tampered")
    status, said = choose_by_name("u2netp", home)
    assert status == 1
    assert said.endswith("in the model store is damaged; run: make model MODEL=u2netp")
    assert choose(REAL, home) == right
    assert choose_by_name("u2netp", home)[0] == 0


def choose_by_name(name: str, home: Path) -> tuple[int, str]:
    program = (
        "from service.startup import choose_model; from service.settings import Settings;"
        f"choose_model(Settings(model={name!r}))"
    )
    environment = {**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        check=False,
    )
    return ran.returncode, ran.stderr.strip()


REGISTER = """
import sys
from pathlib import Path
import models.export.graphs as graphs
from models.store.register import identify, register
from models.store.registered import resolve_file

def export(checkpoint, spec, folder, file_format):
    (folder / "graph.onnx").write_bytes(b"")

graphs.export = export
own, named = map(Path, sys.argv[1:])
register(identify(own))
found = resolve_file(own), resolve_file(named)
print(found[0] and found[0].spec.name, found[1] and found[1].spec.name, identify(named).spec.name)
"""


def test_what_a_file_is_served_as_depends_on_its_name_and_not_on_what_came_before(
    tmp_path: Path,
) -> None:
    own = write(make_state("pvt_v2_b0"), tmp_path, "own.pth")
    named = tmp_path / "BiRefNet-HR.pth"
    named.write_bytes(own.read_bytes())
    environment = {**os.environ, "BENTOML_HOME": str(tmp_path), "BENTOML_DO_NOT_TRACK": "True"}
    said = subprocess.run(
        [sys.executable, "-c", REGISTER, str(own), str(named)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        check=True,
    ).stdout
    assert said.split() == ["BiRefNet-custom", "None", "BiRefNet-HR"]
