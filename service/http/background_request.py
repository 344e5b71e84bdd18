"""Reads the form by which a background is uploaded; nothing touches the disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request

from service.errors import InvalidRequest
from service.http.forms import IMAGE, Fault, refusal
from service.http.multipart import MultipartFault, Part, boundary_of, read_parts

_NAME = "name"
_MOST_CHARACTERS = 64
_SHOWN_CHARACTERS = 64


@dataclass(frozen=True)
class BackgroundUpload:
    """What a caller sent; untrusted but for its name's length and characters.

    Attributes:
        data: The file.
        media_type: The type it was declared to be.
        name: What its owner calls it; may be empty.
    """

    data: bytes
    media_type: str | None
    name: str


async def read_background(request: Request) -> BackgroundUpload:
    """Read a form with a picture and, if its owner likes, a name.

    Raises:
        InvalidRequest: If it is no form, or not this one; `errors` says where.
    """
    body = request.stream()
    try:
        parts = await read_parts(boundary_of(request.headers.get("content-type", "")), body)
        faults = list(_faults_of(parts))
    except MultipartFault as malformed:
        faults = [Fault("body", str(malformed))]
    except ClientDisconnect as left:
        raise InvalidRequest("The upload was cut off") from left
    if faults:
        async for _ in body:  # most callers look for an answer only once they have sent everything
            pass
        raise refusal(faults)
    (image,) = (part for part in parts if part.name == IMAGE)
    name = next((part.text.strip() for part in parts if part.name == _NAME), "")
    return BackgroundUpload(image.data, image.media_type if image.filename else None, name)


def _faults_of(parts: Sequence[Part]) -> Iterator[Fault]:
    """Everything that is wrong with a form."""
    images = sum(part.name == IMAGE for part in parts)
    if images != 1:
        yield Fault(IMAGE, "Exactly one image is accepted" if images else "Field required")
    for part in parts:
        if part.name not in (IMAGE, _NAME):
            shown = "".join(c if c.isprintable() else "?" for c in part.name[:_SHOWN_CHARACTERS])
            yield Fault(shown or "(no name)", f"There is no such field; send {IMAGE} and {_NAME}")
        elif part.name == _NAME and (
            len(part.text) > _MOST_CHARACTERS or not part.text.isprintable()
        ):
            yield Fault(_NAME, f"Expected at most {_MOST_CHARACTERS} printable characters")


def background_body() -> dict[str, object]:
    """The form, for OpenAPI."""
    schema = {
        "type": "object",
        "required": [IMAGE],
        "additionalProperties": False,
        "properties": {
            IMAGE: {
                "type": "string",
                "format": "binary",
                "description": "A picture, in any format that is read",
            },
            _NAME: {
                "type": "string",
                "maxLength": _MOST_CHARACTERS,
                "description": "What you call it",
            },
        },
    }
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
