"""A checkpoint file the service is pointed at is served, or refused in one sentence."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.export import graphs
from models.spec import ModelSpec
from models.store.register import identify, register
from models.store.registered import RegisteredModel, resolve_file
from service.errors import CannotStart
from service.settings import Settings
from service.startup import choose_models
from tests.support.checkpoints import make_state, write
from tests.support.fake_machine import model_store

ROOT = Path(__file__).parents[2]
REAL = ROOT / "data/models/u2netp.onnx"
PROGRAM = """
import sys
from pathlib import Path
from service.startup import choose_models
from service.settings import Settings

(chosen,) = choose_models(Settings(model_path=Path(sys.argv[1])))
print(chosen.spec.name, chosen.tag, chosen.files.graph.is_file(), "onnx" in sys.modules)
"""
# Python imports it before anything else.
KILLED = """
import os, sys
if "models.store.register" in sys.orig_argv:
    print("UserWarning: something about a version", file=sys.stderr, flush=True)
    os.kill(os.getpid(), 9)
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty model store, for this process and for those that register."""
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "home"))
    with model_store(tmp_path / "home"):
        yield tmp_path / "home"


@pytest.fixture
def u2netp() -> Path:
    """The checkpoint as its authors published it."""
    if not REAL.is_file():
        pytest.skip(f"{REAL.name} is not here; run: make model MODEL=u2netp")
    return REAL


def choose(file: Path | None = None, model: str = "auto") -> RegisteredModel:
    """What a service of these settings serves, decided anew."""
    choose_models.cache_clear()
    return choose_models(Settings(model_path=file, model=model))[0]


def refusal(file: Path | None = None, model: str = "auto") -> str:
    """The one sentence it refuses to start with."""
    with pytest.raises(CannotStart) as refused:
        choose(file, model)
    head, sentence = str(refused.value).splitlines()
    assert head == "The service cannot start:"
    return sentence.strip()


@pytest.mark.weights
def test_a_light_checkpoint_is_registered_by_the_way_and_what_reads_it_stays_out_of_memory(
    u2netp: Path, tmp_path: Path
) -> None:
    file = tmp_path / "renamed.bin"
    file.write_bytes(u2netp.read_bytes())
    for _ in range(2):
        said = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(file)],
            capture_output=True,
            text=True,
            env={**os.environ, "BENTOML_DO_NOT_TRACK": "True"},
            cwd=ROOT,
            check=True,
        ).stdout
        assert said.strip() == "u2netp u2netp:309c8469258d-g4 True False"


def test_a_model_nobody_knows_is_refused_with_those_there_are() -> None:
    said = refusal(model="nonsense")
    assert re.fullmatch("no model is called 'nonsense'; the catalogue has: .*u2netp", said)


def test_a_model_that_is_not_registered_is_refused_with_the_command() -> None:
    said = refusal(model="u2netp")
    assert said == "u2netp is not registered; run: make model MODEL=u2netp"


def test_what_is_no_checkpoint_is_refused_by_what_it_is(tmp_path: Path) -> None:
    file = tmp_path / "BiRefNet.pth"
    file.write_text("<!doctype html>")
    assert refusal(file).startswith("BIREFNET_MODEL_PATH: BiRefNet.pth is a web page")
    said = refusal(Path(__file__))
    name = re.escape(Path(__file__).name)
    assert re.fullmatch(
        rf"BIREFNET_MODEL_PATH: {name} is neither a .safetensors nor a .pth file", said
    )


def test_a_file_is_held_to_the_name_it_is_given(tmp_path: Path) -> None:
    file = tmp_path / "u2netp.onnx"
    file.write_bytes(b"another")
    assert "u2netp.onnx is not u2netp of the catalogue" in refusal(file, "u2netp")


def test_a_file_that_is_not_there_is_named() -> None:
    said = refusal(Path("/nowhere/gone.pth"))
    assert said == "BIREFNET_MODEL_PATH: no file /nowhere/gone.pth"


def test_a_registration_that_was_killed_is_not_explained_by_its_last_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(KILLED)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    file = tmp_path / "own.pth"
    file.write_bytes(b"anything")
    said = refusal(file)
    assert said.endswith("registering own.pth was killed by signal 9, probably for want of memory")


@pytest.mark.weights
def test_a_file_that_was_registered_as_it_is_and_damaged_in_the_store_is_registered_again(
    u2netp: Path, home: Path
) -> None:
    right = choose(u2netp)
    (graph,) = home.glob("models/u2netp/*/graph.onnx")
    graph.write_bytes(b"tampered")
    said = refusal(model="u2netp")
    assert said.endswith("in the model store is damaged; run: make model MODEL=u2netp")
    assert choose(u2netp) == right
    assert choose(model="u2netp") == right


def export_nothing(checkpoint: Path, spec: ModelSpec, folder: Path) -> None:
    """Leave an empty graph: what it would hold takes half a minute, and is not looked at."""
    (folder / "graph.onnx").write_bytes(b"")


def test_what_a_file_is_served_as_depends_on_its_name_and_not_on_what_came_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = write(make_state("pvt_v2_b0"), tmp_path, "own.pth")
    named = tmp_path / "BiRefNet-HR.pth"
    named.write_bytes(own.read_bytes())
    monkeypatch.setattr(graphs, "export", export_nothing)
    register(identify(own))
    found = resolve_file(own)
    assert found is not None
    assert found.spec.name == "BiRefNet-custom"
    assert resolve_file(named) is None
    assert identify(named).spec.name == "BiRefNet-HR"
