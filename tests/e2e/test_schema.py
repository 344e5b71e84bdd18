"""A running service answers as its schema says, and other people's generators can read it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import PREFIX, REPOSITORY, BentoServer

SCHEMA = REPOSITORY / "tests/data/openapi.json"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)


def _run(*words: str | Path) -> str:
    """A command's output; fails with it."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.full
@pytest.mark.timeout(600)
def test_no_request_that_the_schema_allows_gets_an_answer_it_does_not(
    fake_server: BentoServer,
) -> None:
    told = _run(
        Path(sys.executable).with_name("schemathesis"),
        *("run", fake_server.url(f"{PREFIX}/openapi.json"), "--url", fake_server.url(PREFIX)),
        *("--checks", ",".join(CHECKS), "--max-examples", "200", "--continue-on-failure"),
        *("--generation-database", "none", "--seed", "1"),
        # Its stateful phase fails by itself where a route that gives an id takes a file: it has no
        # rule for bytes in a form. Tasks and backgrounds have tests of their own.
        *("--phases", "examples,coverage,fuzzing"),
    )
    paths = json.loads(SCHEMA.read_text())["paths"].values()
    assert f"Tested: {sum(map(len, paths))}" in told


def test_a_python_generator_accepts_the_schema(tmp_path: Path) -> None:
    models = tmp_path / "models.py"
    _run(
        *(sys.executable, "-m", "datamodel_code_generator", "--input", SCHEMA),
        *("--input-file-type", "openapi", "--formatters", "builtin", "--output", models),
        *("--output-model-type", "pydantic_v2.BaseModel"),
    )
    _run(sys.executable, models)
    assert "class ProcessingInfo(BaseModel)" in models.read_text()


@pytest.mark.services
def test_a_typescript_generator_accepts_the_schema(tmp_path: Path) -> None:
    npx = shutil.which("npx")
    if npx is None:
        pytest.skip("there is no npx here")
    _run(npx, "--yes", "openapi-typescript@7", SCHEMA, "-o", tmp_path / "schema.ts")
    assert "removeBackground" in (tmp_path / "schema.ts").read_text()
