"""Renders errors as the flat JSON every caller gets. Only this file knows their statuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from starlette.responses import JSONResponse

from models import errors as model_errors
from models.errors import BackgroundRemovalError
from service import errors
from service.blobs.errors import StorageFull
from service.http.origin_check import OriginNotAllowed
from service.outbound.errors import ImageUrlDisabled
from service.preview.errors import PreviewsDisabled
from service.tasks import errors as task_errors

# The nearest listed ancestor decides.
STATUS: Mapping[type[BackgroundRemovalError], int] = {
    BackgroundRemovalError: 500,
    model_errors.ModelError: 500,
    model_errors.InferenceFailed: 500,
    model_errors.OutOfDeviceMemory: 503,
    errors.RequestError: 400,
    errors.InvalidRequest: 422,
    errors.HostNotAllowed: 403,
    OriginNotAllowed: 403,
    errors.NotFound: 404,
    errors.BackgroundNotFound: 404,
    errors.BackgroundQuotaExceeded: 409,
    errors.MethodNotAllowed: 405,
    errors.AccessDenied: 403,
    errors.ApiKeyRequired: 401,
    errors.InvalidApiKey: 401,
    errors.NotAcceptable: 406,
    errors.BodyTooLarge: 413,
    errors.UploadTimeout: 408,
    errors.RateLimited: 429,
    ImageUrlDisabled: 403,
    PreviewsDisabled: 403,
    errors.ImageError: 400,
    errors.FileTooLarge: 413,
    errors.ServiceError: 503,
    errors.ProcessingTimeout: 504,
    StorageFull: 507,
    task_errors.TaskNotFinished: 409,
    task_errors.TaskNotFound: 404,
    task_errors.WebhooksDisabled: 403,
}

_RETRY_AFTER_S = 5
_CHALLENGE = 'Bearer realm="background-removal"'


def status_of(error: type[BackgroundRemovalError]) -> int:
    """HTTP status of an error class."""
    return next(STATUS[ancestor] for ancestor in error.__mro__ if ancestor in STATUS)


def body_of(error: BackgroundRemovalError, request_id: str) -> dict[str, Any]:
    """The problem body: `detail`, `error_code`, the error's own fields, `request_id`."""
    body: dict[str, Any] = {"detail": error.detail, "error_code": error.code}
    if isinstance(error, model_errors.InferenceFailed):
        body["message"] = "The model could not process this image; the fault is logged"
    return {**body, **error.fields, "request_id": request_id}


def render(
    error: BackgroundRemovalError, request_id: str, status: int | None = None
) -> JSONResponse:
    """The whole response; `Retry-After` says when to try again, `WWW-Authenticate` what is missing.

    Args:
        error: What happened.
        request_id: Identifier of the request.
        status: HTTP status, if somebody else has decided it; else the error's own.
    """
    status = status or status_of(type(error))
    body = body_of(error, request_id)
    return JSONResponse(body, status_code=status, headers=_headers_of(error, status))


def render_removebg(
    error: BackgroundRemovalError, request_id: str, status: int | None = None
) -> JSONResponse:
    """The same in the shape of remove.bg's errors; see `render`."""
    status = status or status_of(type(error))
    told = {"title": error.detail, "code": error.code.lower(), "detail": body_of(error, request_id)}
    headers = _headers_of(error, status)
    return JSONResponse({"errors": [told]}, status_code=status, headers=headers)


def _headers_of(error: BackgroundRemovalError, status: int) -> dict[str, str]:
    headers = {}
    if error.retryable and status in (409, 429, 503):
        fields = error.fields
        seconds = fields.get("retry_after_seconds", fields.get("retry_after", _RETRY_AFTER_S))
        headers["Retry-After"] = str(seconds)
    if status == 401:
        headers["WWW-Authenticate"] = _CHALLENGE
    return headers


def from_status(status: int) -> BackgroundRemovalError:
    """The error for a response that somebody else made: the router, the framework, BentoML."""
    if status == 404:
        return errors.NotFound()
    if status == 405:
        return errors.MethodNotAllowed()
    if status == 422:
        return errors.InvalidRequest()
    if status < 500:
        return errors.RequestError()
    if status == 503:
        return errors.ServiceError()
    if status == 504:
        return errors.ProcessingTimeout()
    return BackgroundRemovalError()


def from_code(code: str, detail: str, **fields: Any) -> BackgroundRemovalError:
    """The error that was kept by its code, such as that of a task that failed."""
    for kind in _all_kinds(BackgroundRemovalError):
        if kind.code == code:
            return kind(detail, **fields)
    return BackgroundRemovalError()


def _all_kinds(kind: type[BackgroundRemovalError]) -> Iterator[type[BackgroundRemovalError]]:
    yield kind
    for special in kind.__subclasses__():
        yield from _all_kinds(special)
