"""Messages of a preview: a caller's wishes, read from text; what it is told, as text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.errors import BackgroundRemovalError
from models.matting.strokes import Stroke
from service.http.forms import FILES, Fault, read_options, refusal
from service.http.problems import body_of
from service.preview.asked import MOST_STROKES, Asked, Shown
from service.removal.options import RemovalOptions

#: Longest text, in characters.
MOST_CHARACTERS = 256 * 1024
_MOST_POINTS = 2000
_SHOWN_CHARACTERS = 64

_Share = Annotated[float, Field(ge=-1, le=2)]  # a hand may draw beyond the picture


class _StrokeMessage(BaseModel):
    """One stroke; see `Stroke`."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)

    kind: Literal["keep", "remove"]
    points: list[Annotated[list[_Share], Field(min_length=2, max_length=2)]] = Field(
        min_length=1, max_length=_MOST_POINTS
    )
    radius: float = Field(gt=0, le=0.5)

    def stroke(self) -> Stroke:
        """The same as the matting knows it."""
        return Stroke(self.kind, tuple((x, y) for x, y in self.points), self.radius)


class _WishMessage(BaseModel):
    """All that a caller wants to see; see `Asked`."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)

    seq: int = Field(default=0, ge=0, le=2**53)
    options: dict[str, Any] = {}
    strokes: list[_StrokeMessage] = Field(default=[], max_length=MOST_STROKES)
    full: bool = True


def read_wish(text: str) -> Asked:
    """A caller's wish.

    Raises:
        InvalidRequest: If the text is none; `errors` says where.
    """
    if len(text) > MOST_CHARACTERS:
        raise refusal([Fault("message", "It is too long", "message")])
    try:
        wish = _WishMessage.model_validate_json(text)
    except ValidationError as invalid:
        raise refusal(_faults_of(invalid)) from None
    except (ValueError, RecursionError):
        raise refusal([Fault("message", "Expected a JSON object", "message")]) from None
    return Asked(
        wish.seq, _options(wish.options), tuple(one.stroke() for one in wish.strokes), wish.full
    )


def told_ready(request_id: str, max_file_bytes: int, idle_s: float) -> str:
    """The first message: what may be sent."""
    return _text(
        type="ready",
        request_id=request_id,
        max_file_bytes=max_file_bytes,
        max_strokes=MOST_STROKES,
        idle_s=idle_s,
    )


def told_picture(shown: Shown) -> str:
    """What comes in the next message, which is binary: its files, one after the other."""
    result = shown.result
    height, width = result.canvas
    subject = None if result.subject is None else result.subject._asdict()
    return _text(
        type="picture",
        seq=shown.seq,
        size=shown.size,
        width=width,
        height=height,
        subject=subject,
        parts=[{"media_type": one.media_type, "bytes": len(one.data)} for one in shown.files],
        model=result.model,
        ms=round(sum(result.stages_ms.values()), 1),
    )


def told_problem(error: BackgroundRemovalError, request_id: str, seq: int | None) -> str:
    """A problem, with the same facts as the body of any other."""
    return _text(type="problem", seq=seq, **body_of(error, request_id))


def _text(**facts: object) -> str:
    return json.dumps(facts)  # ASCII: whatever a caller sent can be sent back


def _options(given: dict[str, Any]) -> RemovalOptions:
    options, faults = read_options(given, "options")
    faults += _misplaced(given)
    if faults:
        raise refusal(faults)
    return options


def _misplaced(given: dict[str, Any]) -> Iterator[Fault]:
    for name in given:
        if name in FILES:
            yield Fault(name, "Send a background's id; files are not taken here", "options")
        elif name not in RemovalOptions.model_fields:
            shown = "".join(c if c.isprintable() else "?" for c in name[:_SHOWN_CHARACTERS])
            yield Fault(shown, "There is no such option", "options")


def _faults_of(invalid: ValidationError) -> Iterator[Fault]:
    for error in invalid.errors(include_url=False, include_input=False)[:10]:
        where = ".".join(str(part)[:_SHOWN_CHARACTERS] for part in error["loc"]) or "message"
        yield Fault(where, str(error["msg"])[:200], "message")
