"""Two public and two inference services on hosts of a network: one joins, two are killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import REPOSITORY

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]


@pytest.mark.skipif(os.getuid() != 0, reason="network namespaces are made by root alone")
def test_callers_get_their_pictures_while_a_host_joins_and_two_are_killed(
    model_store: Path, tmp_path: Path
) -> None:
    """What is checked, and how each check can fail: tests/unit/scripts/replicas."""
    environment = {
        **os.environ,
        "BENTOML_HOME": str(model_store.parent),
        "PYTHONPATH": str(REPOSITORY),
    }
    words = ["--engine", "fake", "--requests", "150", "--tasks", "0", "--output", "found"]
    ran = subprocess.run(
        [sys.executable, "-m", "scripts.replicas", *words],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-6000:]
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["made"], found["faults"]) == (150, [])
    assert [event["what"] for event in found["events"]] == [
        "a pair is started",
        "SIGKILL to inference1",
        "SIGKILL to public1",
    ]
