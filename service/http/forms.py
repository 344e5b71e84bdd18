"""The options of a removal as callers write them: fields of a form or of JSON, or a query."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import Field, ValidationError

from service.errors import InvalidRequest
from service.http.policies import PREFIX
from service.removal.options import RemovalOptions


class FormOptions(RemovalOptions):
    """What a caller may choose: how the picture is made, and how it is answered."""

    return_base64: bool = Field(default=False, description="Answer in JSON")


IMAGE = "image"
#: Where the picture is, in place of the picture.
IMAGE_URL = "image_url"
FIELDS = (IMAGE, IMAGE_URL, *FormOptions.model_fields)

_BOOLEANS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}
_SHOWN_CHARACTERS = 64
_LOOKED_AT = 100  # of an address's parameters; 64 KB hold 20,000
# A form has no fields but ours, so any likeness is a hint. A query may be somebody else's business
# (`?source=app`), so only what can hardly be another name is taken for one of ours.
_LIKE_A_FIELD = 0.6
_NEARLY_A_FIELD = 0.8


class Fault(NamedTuple):
    """One thing that is wrong with a request, and where."""

    field: str
    message: str
    place: str = "body"

    def entry(self) -> dict[str, object]:
        """One entry of `errors`, shaped as FastAPI shapes them."""
        return {"loc": [self.place, self.field], "msg": self.message, "type": "value_error"}


def refusal(faults: Iterable[Fault]) -> InvalidRequest:
    """The error for everything that is wrong with a request."""
    faults = list(faults)
    told = "; ".join(f"{fault.field}: {fault.message}" for fault in faults)
    return InvalidRequest(told, errors=[fault.entry() for fault in faults])


def kinds_of(name: str) -> tuple[Any, ...]:
    """The types an option takes, without None."""
    annotation = FormOptions.model_fields[name].annotation
    if not isinstance(annotation, UnionType) and get_origin(annotation) is not Union:
        return (annotation,)
    return tuple(kind for kind in get_args(annotation) if kind is not NoneType)


def is_file(name: str) -> bool:
    """Whether an option is a picture."""
    return bytes in kinds_of(name)


#: Fields that are pictures.
FILES = (IMAGE, *(name for name in FormOptions.model_fields if is_file(name)))


def read_options(given: Mapping[str, object], place: str) -> tuple[FormOptions, list[Fault]]:
    """Make options of what was given for them.

    Args:
        given: By name, values or their text; names there are none of are ignored here.
        place: Where they stood: `body` or `query`.

    Returns:
        The options, the defaults if anything is wrong; and what is wrong.
    """
    values = {name: _value(name, given[name]) for name in FormOptions.model_fields if name in given}
    try:
        return FormOptions.model_validate(values), []
    except ValidationError as invalid:
        return FormOptions(), [_fault_of(error, place) for error in invalid.errors()]


def options_of(given: Mapping[str, object]) -> FormOptions:
    """Options of what was given for them, by name, as values or as text.

    Raises:
        InvalidRequest: If a name is none, or a value is not one it takes.
    """
    faults = list(unknown(((name, False) for name in given), "body"))
    chosen, wrong = read_options(given, "body")
    if faults or wrong:
        raise refusal([*faults, *wrong])
    return chosen


def _value(name: str, given: object) -> object:
    """What pydantic is given of a text, or of a value in JSON."""
    (kind, *_) = kinds_of(name)
    if isinstance(given, str):
        text = given.strip()
        if len(text) > 1 and text[0] == text[-1] == '"':
            text = text[1:-1]  # as BentoML's clients send a text
        if kind is bool:  # of pydantic's own words some are letters, which may be anything
            return _BOOLEANS.get(text.lower(), text[:0])
        return text.lower() if get_origin(kind) is Literal else text
    if kind is str and isinstance(given, int | float) and not isinstance(given, bool):
        return str(given)
    if kind in (int, float) and isinstance(given, bool):
        return None
    return given


def _fault_of(error: Any, place: str) -> Fault:
    name = str(error["loc"][0]) if error["loc"] else str(error["ctx"]["field"])
    (kind, *_) = kinds_of(name)
    if kind is bool:
        return Fault(name, "Expected true or false", place)
    if error["type"] == "conflict":
        return Fault(name, error["msg"], place)
    if error["type"] == "string_pattern_mismatch":
        about = FormOptions.model_fields[name].description
        return Fault(name, f"Not understood. {about}", place)
    told = str(error["msg"]).removeprefix("Input should be ")
    return Fault(name, f"Expected {told}", place)


def unknown(names: Iterable[tuple[str, bool]], place: str) -> Iterator[Fault]:
    """Names there are none of: to ignore one would answer with another picture than was asked.

    Args:
        names: Names, and whether a file was sent under each.
        place: Where they stood.
    """
    for name, has_file in names:
        if name not in FIELDS:
            near = _nearest(name, _LIKE_A_FIELD, FILES if has_file else FIELDS)
            if near is None and has_file:
                near = IMAGE
            hint = f"did you mean {near}?" if near else f"they are listed at {PREFIX}/docs"
            yield Fault(_shown(name), f"There is no such field; {hint}", place)


def misplaced(query: Iterable[str]) -> Iterator[Fault]:
    """Options in the address, where nobody reads them."""
    for name in islice(query, _LOOKED_AT):
        near = _nearest(name, _NEARLY_A_FIELD)
        if near is not None:
            yield Fault(_shown(name), f"Send {near} as a field of the form", place="query")


def _nearest(name: str, likeness: float, among: Iterable[str] = FIELDS) -> str | None:
    """The field that a name is, or was probably meant to be."""
    plain = {_letters(field): field for field in among}
    near = difflib.get_close_matches(_letters(name[:_SHOWN_CHARACTERS]), plain, 1, likeness)
    return plain[near[0]] if near else None


def _letters(name: str) -> str:
    """`returnBase64`, `return-base64` and `return_base64` are one name; `bg` is a background."""
    return re.sub(r"[^a-z0-9]", "", name.lower()).replace("background", "bg")


def _shown(name: str) -> str:
    """A name from outside, fit to be repeated."""
    shown = "".join(c if c.isprintable() else "?" for c in name[:_SHOWN_CHARACTERS])
    return shown or "(no name)"
