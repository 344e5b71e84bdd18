"""Who reads the files of a model to hash them when the service starts: one process, each once."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import NO_LIMITS, REPOSITORY, Serve

CHECKPOINT = REPOSITORY / "data" / "models" / "u2netp.onnx"
# Python imports it before anything else. It notes which process hashes which file, and its size.
WATCH = r"""
import hashlib, json, os
digest = hashlib.file_digest

def watched(file, name, /, **options):
    entry = {"pid": os.getpid(), "file": file.name, "bytes": os.fstat(file.fileno()).st_size}
    with open(os.environ["HASHED"], "a") as log:
        log.write(json.dumps(entry) + "\n")
    return digest(file, name, **options)

hashlib.file_digest = watched
"""


def _assert_hashed_once(serve: Serve, folder: Path, files: int, **settings: str) -> None:
    """Start a service; its supervisor alone must hash so many files, each once."""
    (folder / "sitecustomize.py").write_text(WATCH)
    log = folder / "hashed"
    log.touch()
    watched = {"PYTHONPATH": f"{folder}:{REPOSITORY}", "HASHED": str(log)}
    with serve(**watched, **settings, **NO_LIMITS) as server:
        assert server.health()["model"] == "u2netp"
        supervisor = server.supervisor.pid
    hashed: list[dict[str, Any]] = [json.loads(line) for line in log.read_text().splitlines()]
    assert {one["pid"] for one in hashed} == {supervisor}, hashed
    times = Counter(one["file"] for one in hashed)
    assert (len(times), set(times.values())) == (files, {1}), hashed


def test_a_model_by_name_is_hashed_once_and_by_the_supervisor(serve: Serve, tmp_path: Path) -> None:
    _assert_hashed_once(serve, tmp_path, files=1)  # its graph


@pytest.mark.full
def test_a_model_by_file_is_hashed_once_and_by_the_supervisor(serve: Serve, tmp_path: Path) -> None:
    given = {"BIREFNET_MODEL": "auto", "BIREFNET_MODEL_PATH": str(CHECKPOINT)}
    _assert_hashed_once(serve, tmp_path, files=2, **given)  # the file, to know it; its graph
