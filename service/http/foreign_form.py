"""What clients of other services send: fields by name, however the body is encoded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from service.errors import InvalidRequest
from service.http.forms import Fault, refusal
from service.http.multipart import MultipartFault, Part, boundary_of, read_parts
from service.http.raw_body import read_whole, refuse_compressed

_JSON, _URL_ENCODED = "application/json", "application/x-www-form-urlencoded"
_MOST_FIELDS = 100
_SHOWN = 64  # characters of a name
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")

#: Reads a value of theirs as options of ours; raises `NotHonoured`.
Reader = Callable[[str], Mapping[str, object]]


@dataclass(frozen=True)
class ForeignForm:
    """The fields of a request; everything in it is untrusted.

    Attributes:
        values: Texts by name, without those that are empty.
        files: Files by name, without those that are empty.
    """

    values: Mapping[str, str]
    files: Mapping[str, Part]


class NotHonoured(Exception):
    """A value that would have to be ignored; the message says why, for the caller."""


def translate(
    form: ForeignForm, readers: Mapping[str, Reader], files: Collection[str]
) -> tuple[dict[str, object], list[Fault]]:
    """Options of ours for fields of theirs; and what is wrong, by their names.

    Args:
        form: What was sent.
        readers: How each field is read.
        files: Names under which files may be sent.
    """
    given: dict[str, object] = {}
    faults = []
    for name, value in form.values.items():
        if name not in readers:
            faults.append(Fault(name[:_SHOWN], "There is no such field, or it does nothing here"))
            continue
        try:
            given |= readers[name](value.strip())
        except NotHonoured as refused:
            faults.append(Fault(name, str(refused)))
    for name in form.files.keys() - files:
        faults.append(Fault(name[:_SHOWN], f"There is no such file; expected {' or '.join(files)}"))
    return given, faults


def read_switch(value: str) -> bool:
    """Whether a text means yes.

    Raises:
        NotHonoured: If it means neither yes nor no.
    """
    if value.lower() not in (*_TRUE, *_FALSE):
        raise NotHonoured("Expected true or false")
    return value.lower() in _TRUE


async def read_foreign_form(request: Request) -> ForeignForm:
    """Read a form, multipart or in the encoding of an address, or an object of JSON.

    Raises:
        InvalidRequest: If it is none of them.
    """
    body = request.stream()
    try:
        refuse_compressed(request)
        return await _read(request.headers.get("content-type", ""), body)
    except InvalidRequest:
        async for _ in body:  # most callers look for an answer only once they have sent everything
            pass
        raise
    except ClientDisconnect as left:
        raise InvalidRequest("The upload was cut off") from left


async def _read(content_type: str, body: AsyncIterator[bytes]) -> ForeignForm:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == _JSON:
        return await asyncio.to_thread(_of_json, await read_whole(body))
    if media_type == _URL_ENCODED:
        return await asyncio.to_thread(_of_pairs, await read_whole(body))
    if media_type != "multipart/form-data":
        raise refusal([Fault("body", f"Expected multipart/form-data, {_URL_ENCODED} or {_JSON}")])
    try:
        parts = await read_parts(boundary_of(content_type), body)
    except MultipartFault as malformed:
        raise refusal([Fault("body", str(malformed))]) from malformed
    files: dict[str, Part] = {}
    for part in parts:
        if part.filename is not None and part.data:
            if part.name in files:
                raise refusal([Fault(part.name[:_SHOWN], "Exactly one file is accepted")])
            files[part.name] = part
    values = {part.name: part.text for part in parts if part.filename is None and part.data}
    return ForeignForm(values, files)


def _of_pairs(body: bytes) -> ForeignForm:
    try:
        pairs = parse_qsl(body.decode("ascii"), max_num_fields=_MOST_FIELDS)
    except ValueError as malformed:
        raise refusal([Fault("body", "The form is malformed")]) from malformed
    return ForeignForm(dict(pairs), {})


def _of_json(body: bytes) -> ForeignForm:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as malformed:
        raise refusal([Fault("body", "The body is not valid JSON")]) from malformed
    if not isinstance(given, dict):
        raise refusal([Fault("body", "Expected a JSON object")])
    plain = {name: value for name, value in given.items() if isinstance(value, str | int | float)}
    if wrong := [name for name in given.keys() - plain.keys() if given[name] is not None]:
        raise refusal(
            [Fault(name[:_SHOWN], "Expected a text, a number or a boolean") for name in wrong]
        )
    texts = {name: str(value).strip() for name, value in plain.items()}
    return ForeignForm({name: text for name, text in texts.items() if text}, {})
