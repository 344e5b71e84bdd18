"""The model store is found and read without BentoML, as BentoML would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import bentoml
import pytest

from models.errors import ModelNotFound
from models.store.home import metadata_of
from models.store.registered import resolve
from tests.support.fake_machine import registered_tiny

ROOT = Path(__file__).parents[2]
# Says where models lie for each home, first without BentoML and then BentoML itself.
PROGRAM = """
import json, os, sys
import service.local  # all that the command takes
from models.store.home import lies_in, store_folder
from service.environment import bentoml_home

def put(home):
    os.environ.pop("BENTOML_HOME", None)
    if home is not None:
        os.environ["BENTOML_HOME"] = home

homes, alone, asked = json.loads(sys.argv[1]), [], []
for home in homes:
    put(home)
    if known := bentoml_home():
        lies_in(known)
    alone.append(str(store_folder()))
loaded = "bentoml" in sys.modules

from bentoml.container import BentoMLContainer
from simple_di import sentinel
for home in homes:
    put(home)
    for provider in (BentoMLContainer.bentoml_home, BentoMLContainer.model_store_dir):
        provider._cache = sentinel  # it is asked once
    asked.append(BentoMLContainer.model_store_dir.get())
print(json.dumps([loaded, alone, asked]))
"""


def where(homes: list[str | None], user: Path) -> tuple[bool, list[str], list[str]]:
    """Whether BentoML was loaded at first; where models lie without it, and where with it."""
    environment = {**os.environ, "HOME": str(user), "PLACE": str(user / "place")}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(homes)],
        env={**environment, "BENTOML_DO_NOT_TRACK": "True"},
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    loaded, alone, asked = json.loads(ran.stdout)
    return loaded, alone, asked


def test_models_lie_where_bentoml_keeps_them(tmp_path: Path) -> None:
    loaded, alone, asked = where([None, str(tmp_path / "a"), "~/b", "~", "~/c/"], tmp_path)
    assert not loaded
    assert [Path(folder) for folder in alone] == [Path(folder) for folder in asked]
    assert alone[0] == f"{tmp_path}/bentoml/models"


def test_what_only_bentoml_can_expand_it_is_asked_for(tmp_path: Path) -> None:
    loaded, alone, asked = where(["$PLACE/d"], tmp_path)
    assert loaded
    assert alone == asked == [f"{tmp_path}/place/d/models"]


def test_an_entry_says_what_bentoml_reads_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registered_tiny(tmp_path, monkeypatch) as tiny:
        entry = tiny.files.graph.parent
        assert metadata_of(entry) == dict(bentoml.Model.from_path(entry).info.metadata)
        whole = (entry / "model.yaml").read_bytes()
        for damaged in (
            b"",
            b"- 1",
            b"\xff\xfe",
            *(whole[:n] for n in range(1, len(whole) - 1, 9)),
        ):
            (entry / "model.yaml").write_bytes(damaged)
            with pytest.raises(ModelNotFound):
                resolve("tiny")
