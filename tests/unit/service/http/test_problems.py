"""One renderer for every error."""

from __future__ import annotations

import json

import pytest

from models.errors import BackgroundRemovalError, ChecksumMismatch, InferenceFailed
from service.errors import (
    FileTooLarge,
    MethodNotAllowed,
    NotFound,
    ProcessingTimeout,
    RateLimited,
    RequestError,
    ServiceBusy,
    ServiceError,
)
from service.http.problems import body_of, from_status, render


def test_fields_stand_beside_detail_and_code() -> None:
    error = FileTooLarge("File size exceeds 10MB limit", file_size_mb=12.4, max_size_mb=10)
    assert body_of(error, "id-1") == {
        "detail": "File size exceeds 10MB limit",
        "error_code": "FILE_TOO_LARGE",
        "file_size_mb": 12.4,
        "max_size_mb": 10,
        "request_id": "id-1",
    }


@pytest.mark.parametrize(
    "error",
    [
        BackgroundRemovalError("secret"),
        ChecksumMismatch("/home/secret/model.onnx"),
        InferenceFailed("CUDA secret"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_our_own_faults_say_is_for_the_log_only(error: BackgroundRemovalError) -> None:
    assert "secret" not in json.dumps(body_of(error, "id"))


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (ServiceBusy(), "5"),
        (ServiceBusy(retry_after=1), "1"),
        (RateLimited("x", retry_after_seconds=45, retry_after=45), "45"),
        (ProcessingTimeout(), None),
        (RequestError(), None),
    ],
)
def test_retry_after_is_sent_where_trying_again_makes_sense(
    error: BackgroundRemovalError, seconds: str | None
) -> None:
    assert render(error, "id").headers.get("retry-after") == seconds


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (404, NotFound),
        (405, MethodNotAllowed),
        (418, RequestError),
        (500, BackgroundRemovalError),
        (502, BackgroundRemovalError),
        (503, ServiceError),
        (504, ProcessingTimeout),
    ],
)
def test_an_answer_of_somebody_else_becomes_the_nearest_error(
    status: int, expected: type[BackgroundRemovalError]
) -> None:
    assert type(from_status(status)) is expected
    assert render(from_status(status), "id", status).status_code == status
