"""A checkpoint goes into a model store of our own and comes back as what it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.graphs import write_checkpoint

ROOT = Path(__file__).parents[2]
# In a process of its own: BentoML decides where its store is when it is imported.
PROGRAM = """
import os, signal, sys, time
from pathlib import Path
import models.export.graphs as graphs
import models.store.register as registration
import models.store.registered as store
from models.catalog import CATALOG
from models.errors import BackgroundRemovalError
from models.artifacts import sha256_of
from tests.support.graphs import make_spec

checkpoint = Path(sys.argv[1])
CATALOG["tiny"] = make_spec(sha256=sha256_of(checkpoint))

def die_after_export(*arguments):
    exported(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

def export_slowly(*arguments):
    exported(*arguments)
    time.sleep(3)  # until the other process has come to the same place
    print("exported")

def die_in_copy(source, target, **options):
    os.makedirs(target, exist_ok=True)
    copied(os.path.join(source, "model.yaml"), os.path.join(target, "model.yaml"))
    Path(target, "graph.onnx").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)

for step in sys.argv[2:]:
    try:
        match step:
            case "register":
                known = registration.identify(checkpoint, "tiny")
                print("registered", registration.register(known).tag)
            case "register-wrong":
                CATALOG["tiny"] = make_spec(sha256="1" * 64)
                registration.register(registration.identify(checkpoint, "tiny"))
            case "hash-unpublished":
                CATALOG["tiny"] = make_spec(sha256=None)
            case "change":
                content = checkpoint.read_bytes()
                import onnx
                model = onnx.load_from_string(content)
                model.producer_name += "x"
                onnx.save(model, str(checkpoint))
            case "die-after-export":
                exported, graphs.export = graphs.export, die_after_export
            case "export-slowly":
                exported, graphs.export = graphs.export, export_slowly
            case "die-in-copy":
                import shutil
                copied, shutil.copytree = shutil.copyfile, die_in_copy
            case "change-back":
                checkpoint.write_bytes(content)
            case "hold-lock":
                registration.LOCK_TIMEOUT_S = 0.1
                from filelock import FileLock
                held = FileLock(Path(os.environ["BENTOML_HOME"]) / "register.lock")
                held.acquire()
            case "intact":
                print("intact", store.is_intact(store.resolve("tiny")))
            case "file":
                found = store.resolve_file(checkpoint)
                print("of file", found and found.tag)
            case "file-as-other":
                found = store.resolve_file(checkpoint, "u2netp")
                print("as other", found and found.tag)
            case name:
                found = store.resolve(name)
                print("found", found.tag, found.spec.name, found.files.graph.is_file())
    except BackgroundRemovalError as refused:
        print(type(refused).__name__, refused)
"""


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path)


def run(checkpoint: Path, home: Path, *steps: str, status: int = 0) -> list[str]:
    environment = {**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    environment["TMPDIR"] = str(checkpoint.parent)  # a killed process leaves files there
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(checkpoint), *steps],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        check=False,
    )
    assert ran.returncode == status, ran.stderr
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
    assert lines[0].startswith("CheckpointError tiny.onnx is not tiny of the catalogue, its SHA")
    assert lines[1].startswith("ModelNotFound")


def test_a_file_is_found_by_what_it_holds(checkpoint: Path, tmp_path: Path) -> None:
    steps = ("file", "register", "file", "file-as-other", "change", "file")
    before, registered, found, other, changed = run(checkpoint, tmp_path / "home", *steps)
    assert before == other.replace("as other", "of file") == changed == "of file None"
    assert found == registered.replace("registered", "of file")


def test_of_a_model_of_unpublished_hash_the_newest_version_serves(
    checkpoint: Path, tmp_path: Path
) -> None:
    steps = ("hash-unpublished", "tiny", "register", "tiny", "change", "register", "tiny")
    back = ("change-back", "register", "tiny")
    lines = run(checkpoint, tmp_path / "home", *steps, *back)
    missing, first, found, second, newest, again, rolled_back = lines
    assert missing.startswith("ModelNotFound")
    assert first != second
    assert found.split()[1] == first.split()[1]
    assert newest.split()[1] == second.split()[1]
    assert again == first
    assert rolled_back == found


def _entry(home: Path) -> Path:
    (entry,) = (path for path in (home / "models/tiny").iterdir() if path.is_dir())
    return entry


@pytest.mark.parametrize(
    "content",
    [None, b"", b"[]", b"name: tiny", b"\xff\xfe{", b"{"],
    ids=["missing", "empty", "list", "half", "binary", "not-yaml"],
)
def test_an_entry_whose_description_is_damaged_blocks_nothing_and_is_repaired(
    content: bytes | None, checkpoint: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    run(checkpoint, home, "register")
    described = _entry(home) / "model.yaml"
    described.unlink() if content is None else described.write_bytes(content)
    none, no_auto, no_file, _, found = run(
        checkpoint, home, "tiny", "auto", "file", "register", "tiny"
    )
    assert none.startswith("ModelNotFound tiny is not registered")
    assert no_auto.startswith("ModelNotFound no model is registered")
    assert no_file == "of file None"
    assert found.endswith(" tiny True")


def test_a_damaged_version_does_not_keep_the_next_one_out(checkpoint: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    run(checkpoint, home, "hash-unpublished", "register")
    (_entry(home) / "model.yaml").write_bytes(b"\xff\xfe{")
    registered, found = run(checkpoint, home, "hash-unpublished", "change", "register", "tiny")[-2:]
    assert found.split()[1] == registered.split()[1]


def test_an_entry_that_lacks_a_part_of_its_manifest_is_not_known(
    checkpoint: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    run(checkpoint, home, "register")
    described = _entry(home) / "model.yaml"
    described.write_text(described.read_text().replace("backbone:", "backbones:"))
    none, _, found = run(checkpoint, home, "tiny", "register", "tiny")
    assert none.startswith("ModelNotFound tiny is not registered")
    assert found.endswith(" tiny True")


@pytest.mark.parametrize("damage", [b"tampered", None], ids=["tampered", "gone"])
def test_a_graph_that_was_changed_is_noticed_and_repaired(
    damage: bytes | None, checkpoint: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    run(checkpoint, home, "register")
    graph = _entry(home) / "graph.onnx"
    right = graph.read_bytes()
    graph.unlink() if damage is None else graph.write_bytes(damage)
    if damage is not None:
        assert run(checkpoint, home, "intact") == ["intact False"]
    run(checkpoint, home, "register")
    assert run(checkpoint, home, "intact") == ["intact True"]
    assert graph.read_bytes() == right


def test_a_registration_that_must_wait_too_long_says_for_what(
    checkpoint: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (said,) = run(checkpoint, home, "hold-lock", "register")
    assert said.startswith("CheckpointError another process has been registering a model")


@pytest.mark.parametrize("death", ["die-after-export", "die-in-copy"])
def test_a_registration_that_is_killed_leaves_nothing_registered(
    death: str, checkpoint: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    assert run(checkpoint, home, death, "register", status=-signal.SIGKILL) == []
    if death == "die-in-copy":
        assert list(home.glob("models/tiny/*/graph.onnx"))
    steps = ("tiny", "auto", "file", "register", "tiny")
    none, no_auto, no_file, registered, found = run(checkpoint, home, *steps)
    assert none.startswith("ModelNotFound tiny is not registered")
    assert no_auto.startswith("ModelNotFound no model is registered")
    assert no_file == "of file None"
    tag = registered.removeprefix("registered ")
    assert found == f"found {tag} tiny True"


def test_processes_that_register_at_once_make_one_entry(checkpoint: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    environment = {**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(checkpoint), "export-slowly", "register"],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=ROOT,
        )
        for _ in range(2)
    ]
    told = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    tags = {line for said in told for line in said.splitlines() if line != "exported"}
    assert len(tags) == 1
    assert "".join(told).count("exported\n") == 1
