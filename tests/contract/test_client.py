"""The client package: in step with the service's schema, and whole in both of its forms."""

from __future__ import annotations

import inspect
import json
import statistics
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest

from birefnet_client import AsyncClient, Client, models
from birefnet_client.calls import Calls
from birefnet_client.reading import read
from scripts.write_client_models import MODELS, SCHEMA, write_models
from service.http import schemas
from service.removal.options import RemovalOptions
from tests.contract.test_architecture import MAX_FILE_LINES, MAX_FUNCTION_LINES
from tests.contract.test_architecture import functions as functions_of
from tests.contract.test_architecture import lines_without_docstring as lines_of

REGENERATE = "python -m scripts.write_client_models"


def test_the_models_are_those_of_the_reviewed_schema(root: Path) -> None:
    written = write_models(json.loads((root / SCHEMA).read_text()))
    assert (root / MODELS).read_text() == written, f"run: {REGENERATE}"


def test_every_option_of_the_service_is_one_of_the_client() -> None:
    assert set(models.Options.__annotations__) == set(RemovalOptions.model_fields)


@pytest.mark.parametrize("name", ["Health", "Info", "TaskStatus", "ModelInfo", "ProcessingInfo"])
def test_the_client_knows_every_member_of_an_answer(name: str) -> None:
    known = {member.name for member in fields(getattr(models, name))}
    assert known == set(getattr(schemas, name).model_fields)


def test_what_a_newer_service_tells_beside_is_left_out() -> None:
    box = read(models.SubjectBox, {"left": 1, "top": 2, "width": 3, "height": 4, "depth": 5})
    assert box == models.SubjectBox(left=1, top=2, width=3, height=4)


@pytest.mark.parametrize(
    "told", [[], None, {}, {"left": 1}, {"left": "1", "top": 2, "width": 3, "height": 4}]
)
def test_what_is_no_answer_of_ours_is_not_taken_for_one(told: object) -> None:
    with pytest.raises(ValueError, match="SubjectBox"):
        read(models.SubjectBox, told)


def test_a_problem_keeps_what_else_is_told() -> None:
    told = {"detail": "d", "error_code": "C", "request_id": "r", "max_size_mb": 10}
    assert read(models.Problem, told).fields == {"max_size_mb": 10}


def test_both_clients_take_the_same_calls() -> None:
    for name, call in inspect.getmembers(Client, inspect.isfunction):
        if name.startswith("_") or name in ("run", "run_many", "send"):
            continue
        twin = getattr(AsyncClient, name)
        given, others = inspect.signature(call), inspect.signature(twin)
        assert given.parameters == others.parameters, name
        assert call.__doc__ == twin.__doc__, name
    assert {name for name in vars(Calls) if not name.startswith("_")} <= set(dir(Client))


def test_the_package_is_loaded_without_http(root: Path) -> None:
    program = "import sys, birefnet_client; print('httpx' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(root / "client")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == "False"


@pytest.mark.bench
def test_help_is_there_at_once(root: Path) -> None:
    took = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "birefnet_client", "--help"],
            env={"PYTHONPATH": str(root / "client")},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        took.append(time.perf_counter() - began)
    assert statistics.median(took) < 0.3


def test_the_client_imports_nothing_of_the_service(root: Path) -> None:
    command = Path(sys.executable).with_name("lint-imports")
    ran = subprocess.run(
        [command, "--no-cache"], cwd=root / "client", capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout


def test_the_client_keeps_the_rules_of_the_house(root: Path) -> None:
    import ast

    for file in (root / "client").rglob("*.py"):
        text = file.read_text()
        tree = ast.parse(text, feature_version=(3, 10))
        assert ast.get_docstring(tree), file
        assert len(text.splitlines()) <= MAX_FILE_LINES or file.name == "models.py", file
        long = [one.name for one in functions_of(tree) if lines_of(one) > MAX_FUNCTION_LINES]
        assert not long, (file, long)
