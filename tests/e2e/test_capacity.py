"""What a picture takes of one pair is measured, and a load that comes by chance is run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import REPOSITORY

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]


@pytest.mark.skipif(os.getuid() != 0, reason="network namespaces are made by root alone")
def test_a_prediction_is_measured_made_and_compared(model_store: Path, tmp_path: Path) -> None:
    """With the engine that tests use, so only that everything is measured, not how close it is."""

    def run(module: str, *words: str) -> dict[str, Any]:
        environment = {**os.environ, "BENTOML_HOME": str(model_store.parent)}
        ran = subprocess.run(
            [sys.executable, "-m", module, *words, "--output", "found"],
            cwd=tmp_path,
            env={**environment, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "written: found.md" in ran.stderr, ran.stderr[-6000:]
        found = json.loads((tmp_path / "found.json").read_text())
        (tmp_path / f"{module}.json").write_text(json.dumps(found))
        return found  # type: ignore[no-any-return]

    fake = ("--engine", "fake", "--pictures", "40")
    one = run("scripts.capacity.measure", *fake)
    assert min(one["stages_ms"][name] for name in ("decode", "matte", "encode")) > 0
    assert min(one["cpu_ms"].values()) > 0
    loads = ("--machines", "one", "--per-second", "4", "8")
    run("scripts.capacity", "--costs", "scripts.capacity.measure.json", *loads)
    found = run("scripts.capacity.compare", "--predicted", "scripts.capacity.json", *fake)
    assert found["failed"] == []
    assert [load["per_second"] for load in found["measured"]] == [4, 8]
    for load in found["measured"]:
        assert load["p95_ms"] >= load["p50_ms"] > one["stages_ms"]["encode"] / 10
        assert load["cores"] > 0
