"""Reads the form of a removal: the file and the caller's options. Nothing touches the disk."""

from __future__ import annotations

import difflib
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from pydantic import Field, ValidationError
from starlette.requests import ClientDisconnect, Request

from service.errors import InvalidRequest
from service.http.multipart import MultipartFault, Part, boundary_of, read_parts
from service.removal.options import RemovalOptions


class FormOptions(RemovalOptions):
    """What a caller may choose in a form: how the picture is made, and how it is answered."""

    return_base64: bool = Field(default=False, description="Answer in JSON")


IMAGE = "image"
FIELDS = (IMAGE, *FormOptions.model_fields)


def form_schema() -> dict[str, Any]:
    """The form's schema for OpenAPI."""
    options = FormOptions.model_json_schema()["properties"]
    for option in options.values():
        del option["title"]
    image = {"type": "string", "format": "binary", "description": "JPEG, PNG, WebP or BMP"}
    return {
        "type": "object",
        "required": [IMAGE],
        "additionalProperties": False,
        "properties": {IMAGE: image, **options},
    }


_BOOLEANS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}
_SHOWN_CHARACTERS = 64
_SNIFFED_BYTES = 1024
_LOOKED_AT = 100  # of an address's parameters; 64 KB hold 20,000
# A form has no fields but ours, so any likeness is a hint. A query may be somebody else's business
# (`?source=app`), so only what can hardly be another name is taken for one of ours.
_LIKE_A_FIELD = 0.6
_NEARLY_A_FIELD = 0.8


@dataclass(frozen=True)
class RemovalForm:
    """What a caller sent.

    Attributes:
        data: The uploaded file.
        filename: The name it came under; untrusted.
        media_type: The type it was declared to be; untrusted.
        options: What the caller chose.
    """

    data: bytes
    filename: str
    media_type: str | None
    options: FormOptions


class _Fault(NamedTuple):
    """One thing that is wrong with a request, and where."""

    field: str
    message: str
    place: str = "body"

    def entry(self) -> dict[str, object]:
        """One entry of `errors`, shaped as FastAPI shapes them."""
        return {"loc": [self.place, self.field], "msg": self.message, "type": "value_error"}


async def read_removal_form(request: Request) -> RemovalForm:
    """Read the form of a removal.

    Raises:
        InvalidRequest: If it is no form, or not this one; `errors` says where.
    """
    body = request.stream()
    try:
        parts = await _parts(request, body)
        return _form(parts, request.query_params)
    except InvalidRequest:
        async for _ in body:  # most callers look for an answer only once they have sent everything
            pass
        raise


async def _parts(request: Request, body: AsyncIterator[bytes]) -> list[Part]:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", ""):
        raise _refusal([_Fault("body", "Send the form without a Content-Encoding")])
    try:
        return await read_parts(boundary_of(request.headers.get("content-type", "")), body)
    except MultipartFault as malformed:
        raise _refusal([_Fault("body", str(malformed))]) from malformed
    except ClientDisconnect as left:
        raise InvalidRequest("The upload was cut off") from left


def _form(parts: list[Part], query: Iterable[str]) -> RemovalForm:
    """Make sense of the parts; of everything that is wrong, not of the first thing only."""
    image, faults = _image([part for part in parts if part.name == IMAGE])
    options, wrong = _options(parts)
    faults += [*wrong, *_unknown(parts), *_misplaced(query)]
    if image is None or faults:
        raise _refusal(faults)
    return RemovalForm(
        data=image.data,
        filename=image.filename or "",
        # Of a plain value, it is what a client says of every value: text, which it has not been.
        media_type=image.media_type if image.filename is not None else None,
        options=options,
    )


def _image(images: list[Part]) -> tuple[Part | None, list[_Fault]]:
    """The part that is the picture, or what is wrong with it."""
    if not images:
        return None, [_Fault(IMAGE, "Field required")]
    if len(images) > 1:
        return None, [_Fault(IMAGE, "Exactly one image is accepted")]
    (image,) = images
    if image.filename is None and _is_text(image.data):
        hint = "Expected a file, not text; curl sends one with -F image=@photo.jpg"
        return None, [_Fault(IMAGE, hint)]
    return image, []


def _is_text(data: bytes) -> bool:
    """Whether a plain value is an address, base64 or nothing, rather than a file sent nameless."""
    head = data[:_SNIFFED_BYTES]
    if b"\0" in head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as broken:
        return len(data) > len(head) and broken.start > len(head) - 4  # cut within a character
    return True


def _options(parts: list[Part]) -> tuple[FormOptions, list[_Fault]]:
    """What was chosen, the last of what was sent twice; and what is wrong with it."""
    given = {part.name: part for part in parts if part.name in FormOptions.model_fields}
    faults = [
        _fault_of(p.name, "a value, not a file") for p in given.values() if p.filename is not None
    ]
    texts = {name: part.text.strip() for name, part in given.items() if part.filename is None}
    values = {
        # Of pydantic's own words for booleans some are letters, which may be anything.
        name: _BOOLEANS.get(text.lower()) if _is_boolean(name) else text
        for name, text in texts.items()
    }
    try:
        return FormOptions.model_validate(values), faults
    except ValidationError as invalid:
        faults += [_fault_of(str(e["loc"][0]), e["msg"]) for e in invalid.errors()]
        return FormOptions(), faults


def _fault_of(name: str, expected: str) -> _Fault:
    return _Fault(name, f"Expected {'true or false' if _is_boolean(name) else expected}")


def _is_boolean(name: str) -> bool:
    return FormOptions.model_fields[name].annotation is bool


def _unknown(parts: list[Part]) -> Iterator[_Fault]:
    """Fields there are none of: to ignore one would answer with another picture than was asked."""
    for part in parts:
        if part.name not in FIELDS:
            near = _nearest(part.name, _LIKE_A_FIELD)
            if near is None and part.filename is not None:
                near = IMAGE
            hint = f"did you mean {near}?" if near else f"the fields are {', '.join(FIELDS)}"
            yield _Fault(_shown(part.name), f"There is no such field; {hint}")


def _misplaced(query: Iterable[str]) -> Iterator[_Fault]:
    """Options in the address, where nobody reads them."""
    for name in islice(query, _LOOKED_AT):
        near = _nearest(name, _NEARLY_A_FIELD)
        if near is not None:
            yield _Fault(_shown(name), f"Send {near} as a field of the form", place="query")


def _nearest(name: str, likeness: float) -> str | None:
    """The field that a name is, or was probably meant to be."""
    plain = {_letters(field): field for field in FIELDS}
    near = difflib.get_close_matches(_letters(name[:_SHOWN_CHARACTERS]), plain, 1, likeness)
    return plain[near[0]] if near else None


def _letters(name: str) -> str:
    """`returnBase64`, `return-base64` and `return_base64` are one name."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _shown(name: str) -> str:
    """A name from outside, fit to be repeated."""
    shown = "".join(c if c.isprintable() else "?" for c in name[:_SHOWN_CHARACTERS])
    return shown or "(no name)"


def _refusal(faults: list[_Fault]) -> InvalidRequest:
    told = "; ".join(f"{fault.field}: {fault.message}" for fault in faults)
    return InvalidRequest(told, errors=[fault.entry() for fault in faults])
