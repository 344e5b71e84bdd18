"""The rules of the house that a machine can hold."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_FUNCTION_LINES = 40
MAX_FILE_LINES = 300
MAX_BACKBONE_LINES = 450
CATALOGUE = ROOT / "models/catalog.py"  # data
RUNTIMES = ("torch", "openvino", "onnxruntime", "onnx", "tensorrt")

SOURCES = sorted(
    path for folder in ("models", "service", "scripts") for path in (ROOT / folder).rglob("*.py")
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def lines_without_docstring(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end; decorators and docstring do not count."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def test_the_sources_have_been_found() -> None:
    assert len(SOURCES) > 40


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        f"{name_of(path)}:{function.lineno} {function.name}": lines
        for path in SOURCES
        for function in functions(ast.parse(path.read_text()))
        if (lines := lines_without_docstring(function)) > MAX_FUNCTION_LINES
    }
    assert not long


def test_no_file_is_longer_than_it_may_be() -> None:
    lines = {path: len(path.read_text().splitlines()) for path in SOURCES if path != CATALOGUE}
    long = {
        name_of(path): n
        for path, n in lines.items()
        if n > (MAX_BACKBONE_LINES if "backbones" in path.parts else MAX_FILE_LINES)
    }
    assert not long


def test_every_file_says_in_a_sentence_what_it_is() -> None:
    silent = [
        name_of(path) for path in SOURCES if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent


@pytest.mark.parametrize(
    "module", ["service.removal.remover", "service.http.app", "service.http.middleware"]
)
def test_the_public_side_starts_without_an_inference_runtime(module: str) -> None:
    program = f"import sys, {module}; print(*(m for m in {RUNTIMES} if m in sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == []


def test_every_import_goes_the_way_it_should() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    found = str(command) if command.exists() else shutil.which("lint-imports")
    assert found, "import-linter is not installed; run: pip install --group dev"
    ran = subprocess.run(
        [found, "--no-cache"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        name_of(path)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in ("environ", "getenv")
        and path.parts[len(ROOT.parts)] != "scripts"
    }
    assert readers <= {"service/environment.py", "service/settings_reader.py"}
