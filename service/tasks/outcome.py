"""What became of a task, as a queue keeps it: what was made without the file, or an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from models.engine import EngineInfo
from models.errors import BackgroundRemovalError
from models.matting.canvas import Box
from models.spec import Precision
from service.removal.options import RemovalOptions, RemovalResult

_PLAIN = tuple(
    field.name
    for field in fields(RemovalResult)
    if field.name not in ("file", "canvas", "subject", "applied", "engine")
)
_SENT = b"sent"  # stands for a background picture


@dataclass(frozen=True)
class Failure:
    """Why nothing was made.

    Attributes:
        code: Of the error.
        detail: Its sentence.
        fields: Its figures.
    """

    code: str
    detail: str
    fields: Mapping[str, Any]


def write_options(options: RemovalOptions) -> dict[str, Any]:
    """What a caller chose, in the types of JSON; of a picture only that there is one."""
    names = options.model_fields_set & RemovalOptions.model_fields.keys()
    return {name: _plain(getattr(options, name)) for name in sorted(names)}


def read_options(told: Mapping[str, Any]) -> RemovalOptions:
    """The options again, but for the picture; colours have become lists on the way."""
    given = {name: tuple(v) if isinstance(v, list) else v for name, v in told.items()}
    if told.get("bg_image") is not None:
        given["bg_image"] = _SENT
    return RemovalOptions.model_validate(given)


def _plain(value: object) -> object:
    return _SENT.decode() if isinstance(value, bytes) else value


def write_result(result: RemovalResult) -> dict[str, Any]:
    """What is known of something that was made, in the types of JSON."""
    engine = result.engine
    return {
        **{name: getattr(result, name) for name in _PLAIN},
        "canvas": list(result.canvas),
        "subject": None if result.subject is None else list(result.subject),
        "applied": list(result.applied),
        "stages_ms": dict(result.stages_ms),
        "engine": {
            "name": engine.name,
            "runtime": engine.runtime,
            "device": engine.device,
            "precision": engine.precision.value,
            "max_batch": engine.max_batch,
        },
    }


def write_failure(error: BackgroundRemovalError) -> dict[str, Any]:
    """What is known of an error, in the types of JSON."""
    return {"error": {"code": error.code, "detail": error.detail, "fields": dict(error.fields)}}


def read_outcome(told: Mapping[str, Any] | None) -> RemovalResult | Failure:
    """A result without its file, or a failure; one of ours where nothing sensible was kept."""
    if told is None:
        ours = BackgroundRemovalError()
        return Failure(ours.code, ours.detail, {})
    if "error" in told:
        return Failure(**told["error"])
    engine = told["engine"]
    return RemovalResult(
        file=b"",
        **{name: told[name] for name in _PLAIN},
        canvas=tuple(told["canvas"]),
        subject=None if told["subject"] is None else Box(*told["subject"]),
        applied=tuple(told["applied"]),
        engine=EngineInfo(**{**engine, "precision": Precision(engine["precision"])}),
    )
