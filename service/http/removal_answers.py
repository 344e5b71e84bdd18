"""What every answer says of a removal: the name of its file, and how it came about."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from pathlib import PurePosixPath, PureWindowsPath
from urllib.parse import quote

from service.http.schemas import ProcessingInfo, SubjectBox
from service.removal.options import RemovalOptions, RemovalResult

#: How the name of a file says what was made of the picture.
ENDINGS = {"cutout": "nobg", "mask": "mask", "composite": "composite", "parts": "parts"}

_MAX_STEM = 100


def processing_info(
    options: RemovalOptions, result: RemovalResult, took_ms: float | None = None
) -> ProcessingInfo:
    """How a result came about.

    Args:
        options: What the caller chose.
        result: What was made.
        took_ms: Milliseconds since the body was complete; None for those of the removal's stages.
    """
    parts = {"inference", "admission"}  # within the matte; waiting
    took = sum(ms for name, ms in result.stages_ms.items() if name not in parts)
    return ProcessingInfo(
        original_size=f"{result.width}x{result.height}",
        output_size=f"{result.canvas[1]}x{result.canvas[0]}",
        edge_smoothing_applied=options.smoothing,
        processing_time_ms=round(took if took_ms is None else took_ms, 1),
        model_version=result.model,
        tensorrt_enabled=result.engine.is_tensorrt,
        engine=result.engine.label,
        retried_on_cpu=result.retried_on_cpu,
        output=options.made,
        subject_found=result.subject is not None,
        subject_box=None if result.subject is None else SubjectBox(**result.subject._asdict()),
        applied=list(result.applied),
    )


def name_of(filename: str) -> str:
    """A stem made of an untrusted name: no path, no control character, never empty."""
    last = PurePosixPath(PureWindowsPath(filename).name).stem
    stem = "".join(c for c in last if unicodedata.category(c)[0] != "C").strip(" .")[:_MAX_STEM]
    return stem or "image"


def disposition(filename: str, options: RemovalOptions, result: RemovalResult) -> str:
    """A `Content-Disposition` with a name for a download."""
    stamp = datetime.now(UTC).strftime("%Y%m%d_%H%M%S")
    full = f"{name_of(filename)}_{ENDINGS[options.made]}_{stamp}.{result.suffix}"
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", full)
    if plain == full:
        return f'attachment; filename="{plain}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(full, safe='')}"


def headers_of(
    filename: str, options: RemovalOptions, result: RemovalResult, took_ms: float
) -> dict[str, str]:
    """What a file is accompanied by.

    Args:
        filename: The name its source came under; untrusted.
        options: What the caller chose.
        result: What was made.
        took_ms: Milliseconds that it took.
    """
    headers = {
        "Content-Disposition": disposition(filename, options, result),
        "Vary": "Accept",
        "X-Processing-Time-Ms": f"{took_ms:.1f}",
        "X-Original-Size": f"{result.width}x{result.height}",
        "X-Output-Size": f"{result.canvas[1]}x{result.canvas[0]}",
        "X-Subject-Found": str(result.subject is not None).lower(),
        "X-Applied": ", ".join(result.applied),
        "X-Model-Version": result.model,
        "X-Engine": result.engine.label,
    }
    if result.subject is not None:
        headers["X-Subject-Box"] = ",".join(map(str, result.subject))
    return headers
