"""A checkpoint goes into a model store of our own and comes back as what it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from filelock import FileLock

import models.store.register as registration
from models.artifacts import sha256_of
from models.catalog import CATALOG
from models.errors import CheckpointError, ModelNotFound
from models.store.register import identify, register
from models.store.registered import RegisteredModel, is_intact, resolve, resolve_file
from tests.support.fake_machine import model_store
from tests.support.graphs import make_spec, write_checkpoint

ROOT = Path(__file__).parents[2]
# A process that registers, and is killed or held up on the way.
PROGRAM = """
import os, shutil, signal, sys, time
from pathlib import Path
import models.export.graphs as graphs
from models.artifacts import sha256_of
from models.catalog import CATALOG
from models.store.register import identify, register
from tests.support.graphs import make_spec

checkpoint, happens = Path(sys.argv[1]), sys.argv[2]
exported, copied = graphs.export, shutil.copyfile
CATALOG["tiny"] = make_spec(sha256=sha256_of(checkpoint))

def export(*arguments):
    exported(*arguments)
    if happens == "die-after-export":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(3)  # until the other process has come to the same place
    print("exported")

def die_in_copy(source, target, **options):
    os.makedirs(target, exist_ok=True)
    copied(os.path.join(source, "model.yaml"), os.path.join(target, "model.yaml"))
    Path(target, "graph.onnx").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)

if happens == "die-in-copy":
    shutil.copytree = die_in_copy
else:
    graphs.export = export
print("registered", register(identify(checkpoint, "tiny")).tag)
"""


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path)


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[Path]:
    """A BentoML home with an empty store."""
    with model_store(tmp_path / "home"):
        yield tmp_path / "home"


@pytest.fixture
def tiny(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalogue knows the checkpoint."""
    monkeypatch.setitem(CATALOG, "tiny", make_spec(sha256=sha256_of(checkpoint)))


@pytest.fixture
def unpublished(monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalogue knows the model, and nothing of its hash."""
    monkeypatch.setitem(CATALOG, "tiny", make_spec(sha256=None))


def register_tiny(checkpoint: Path) -> RegisteredModel:
    return register(identify(checkpoint, "tiny"))


def assert_unknown(checkpoint: Path) -> None:
    """Neither by its name, nor by itself, nor by its file."""
    with pytest.raises(ModelNotFound, match=r"^tiny is not registered; run: make model MODEL="):
        resolve("tiny")
    with pytest.raises(ModelNotFound, match=r"^no model is registered; run: make model$"):
        resolve("auto")
    assert resolve_file(checkpoint) is None


def assert_known(tag: str) -> None:
    found = resolve("tiny")
    assert (found.tag, found.spec.name, found.files.graph.is_file()) == (tag, "tiny", True)


def change(checkpoint: Path) -> None:
    """Another file for the same model."""
    model = onnx.load(str(checkpoint))
    model.producer_name += "x"
    onnx.save(model, str(checkpoint))


def entry_of(home: Path) -> Path:
    (entry,) = (path for path in (home / "models/tiny").iterdir() if path.is_dir())
    return entry


@pytest.mark.usefixtures("tiny")
def test_a_registered_model_is_found_by_name_and_by_auto(checkpoint: Path) -> None:
    assert_unknown(checkpoint)
    tag = register_tiny(checkpoint).tag
    assert tag.startswith("tiny:")
    assert register_tiny(checkpoint).tag == tag
    assert_known(tag)
    assert resolve("auto").tag == tag


def test_a_file_of_another_model_is_not_registered(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CATALOG, "tiny", make_spec(sha256="1" * 64))
    with pytest.raises(CheckpointError, match=r"^tiny\.onnx is not tiny of the catalogue, its SHA"):
        register_tiny(checkpoint)
    assert_unknown(checkpoint)


@pytest.mark.usefixtures("tiny")
def test_a_file_is_found_by_what_it_holds(checkpoint: Path) -> None:
    assert resolve_file(checkpoint) is None
    registered = register_tiny(checkpoint)
    assert resolve_file(checkpoint) == registered
    assert resolve_file(checkpoint, "u2netp") is None
    change(checkpoint)
    assert resolve_file(checkpoint) is None


@pytest.mark.usefixtures("unpublished")
def test_of_a_model_of_unpublished_hash_the_newest_version_serves(checkpoint: Path) -> None:
    content = checkpoint.read_bytes()
    assert_unknown(checkpoint)
    first = register_tiny(checkpoint).tag
    assert_known(first)
    change(checkpoint)
    second = register_tiny(checkpoint).tag
    assert first != second
    assert_known(second)
    checkpoint.write_bytes(content)
    assert register_tiny(checkpoint).tag == first
    assert_known(first)


@pytest.mark.parametrize(
    "content",
    [None, b"", b"[]", b"name: tiny", b"\xff\xfe{", b"{"],
    ids=["missing", "empty", "list", "half", "binary", "not-yaml"],
)
@pytest.mark.usefixtures("tiny")
def test_an_entry_whose_description_is_damaged_blocks_nothing_and_is_repaired(
    content: bytes | None, checkpoint: Path, home: Path
) -> None:
    tag = register_tiny(checkpoint).tag
    described = entry_of(home) / "model.yaml"
    described.unlink() if content is None else described.write_bytes(content)
    assert_unknown(checkpoint)
    register_tiny(checkpoint)
    assert_known(tag)


@pytest.mark.usefixtures("unpublished")
def test_a_damaged_version_does_not_keep_the_next_one_out(checkpoint: Path, home: Path) -> None:
    register_tiny(checkpoint)
    (entry_of(home) / "model.yaml").write_bytes(b"\xff\xfe{")
    change(checkpoint)
    assert_known(register_tiny(checkpoint).tag)


@pytest.mark.usefixtures("tiny")
def test_an_entry_that_lacks_a_part_of_its_manifest_is_not_known(
    checkpoint: Path, home: Path
) -> None:
    tag = register_tiny(checkpoint).tag
    described = entry_of(home) / "model.yaml"
    described.write_text(described.read_text().replace("backbone:", "backbones:"))
    assert_unknown(checkpoint)
    register_tiny(checkpoint)
    assert_known(tag)


@pytest.mark.parametrize("damage", [b"tampered", None], ids=["tampered", "gone"])
@pytest.mark.usefixtures("tiny")
def test_a_graph_that_was_changed_is_noticed_and_repaired(
    damage: bytes | None, checkpoint: Path, home: Path
) -> None:
    registered = register_tiny(checkpoint)
    graph = entry_of(home) / "graph.onnx"
    right = graph.read_bytes()
    graph.unlink() if damage is None else graph.write_bytes(damage)
    assert not is_intact(registered)
    assert is_intact(register_tiny(checkpoint))
    assert graph.read_bytes() == right


@pytest.mark.usefixtures("tiny")
def test_a_registration_that_must_wait_too_long_says_for_what(
    checkpoint: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "LOCK_TIMEOUT_S", 0.1)
    with (
        FileLock(home / "register.lock"),
        pytest.raises(CheckpointError, match=r"^another process has been registering a model"),
    ):
        register_tiny(checkpoint)


def start(checkpoint: Path, home: Path, happens: str) -> subprocess.Popen[str]:
    """A process that registers the checkpoint."""
    environment = {**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    environment["TMPDIR"] = str(checkpoint.parent)  # a killed process leaves files there
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(checkpoint), happens],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=ROOT,
    )


@pytest.mark.parametrize("death", ["die-after-export", "die-in-copy"])
@pytest.mark.usefixtures("tiny")
def test_a_registration_that_is_killed_leaves_nothing_registered(
    death: str, checkpoint: Path, home: Path
) -> None:
    process = start(checkpoint, home, death)
    assert process.communicate(timeout=60)[0] == ""
    assert process.returncode == -signal.SIGKILL
    if death == "die-in-copy":
        assert list(home.glob("models/tiny/*/graph.onnx"))
    assert_unknown(checkpoint)
    assert_known(register_tiny(checkpoint).tag)


def test_processes_that_register_at_once_make_one_entry(checkpoint: Path, home: Path) -> None:
    processes = [start(checkpoint, home, "sleep-after-export") for _ in range(2)]
    told = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    tags = {line for said in told for line in said.splitlines() if line != "exported"}
    assert len(tags) == 1
    assert "".join(told).count("exported\n") == 1
