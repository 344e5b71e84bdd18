"""Every error has a code, a status, a body, and a heading in the documentation."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from models.errors import BackgroundRemovalError
from service.http.problems import STATUS, render, status_of
from service.http.schemas import UNHEALTHY
from tests.support.problems import all_errors

ERRORS = all_errors()


def headings(root: Path) -> list[str]:
    return re.findall(r"^### (\w+)$", (root / "docs/errors.md").read_text(), re.MULTILINE)


def section(root: Path, code: str) -> str:
    text = (root / "docs/errors.md").read_text()
    return re.split(r"^##", text.split(f"### {code}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def test_the_tree_has_been_found() -> None:
    names = {error.__name__ for error in ERRORS}
    assert {"InferenceFailed", "ImageBomb", "RateLimited", "ProcessingTimeout"} <= names
    assert not any(name.startswith("_") for name in names)


def test_every_code_belongs_to_one_error() -> None:
    codes = [error.code for error in ERRORS]
    assert sorted(codes) == sorted(set(codes))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_a_code_is_upper_snake_and_the_errors_own(error: type[BackgroundRemovalError]) -> None:
    assert re.fullmatch(r"[A-Z]+(_[A-Z0-9]+)*", error.code)
    assert "code" in vars(error)
    assert "public_message" in vars(error)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_an_error_renders_as_a_flat_problem(error: type[BackgroundRemovalError]) -> None:
    response = render(error(), "id-1")
    assert response.status_code == status_of(error) >= 400
    body = json.loads(bytes(response.body))
    assert body["detail"]
    assert body["error_code"] == error.code
    assert list(body)[-1] == "request_id"
    assert all(not isinstance(value, dict) for value in body.values())


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_an_error_has_a_heading_with_its_status(
    error: type[BackgroundRemovalError], root: Path
) -> None:
    assert headings(root).count(error.code) == 1
    assert re.search(rf"\b{status_of(error)}\b", section(root, error.code).strip()[:10])


def test_no_heading_is_of_an_error_that_is_gone(root: Path) -> None:
    assert set(headings(root)) == {error.code for error in ERRORS} | {UNHEALTHY}


def test_the_table_of_statuses_names_only_errors_that_exist() -> None:
    assert set(STATUS) <= set(ERRORS)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("INVALID_FORMAT", 400),
        ("IMAGE_BOMB", 400),
        ("FILE_TOO_LARGE", 413),
        ("RATE_LIMIT_EXCEEDED", 429),
        ("GPU_MEMORY_EXHAUSTED", 503),
        ("PROCESSING_TIMEOUT", 504),
        ("INFERENCE_ERROR", 500),
        ("RESOLUTION_TOO_LARGE", 400),
        ("RESOLUTION_TOO_SMALL", 400),
        ("ANIMATED_IMAGE", 400),
        ("INVALID_REQUEST", 422),
        ("EMPTY_FILE", 400),
        ("CORRUPT_IMAGE", 400),
        ("UPLOAD_TIMEOUT", 408),
    ],
)
def test_the_specifications_codes_have_the_specifications_statuses(code: str, status: int) -> None:
    (error,) = [error for error in ERRORS if error.code == code]
    assert status_of(error) == status
