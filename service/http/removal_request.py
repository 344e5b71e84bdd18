"""Reads what a caller sends for a removal: a form, JSON, or the picture alone.

Nothing touches the disk.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request

from service.errors import InvalidRequest
from service.http.forms import (
    FIELDS,
    FILES,
    IMAGE,
    IMAGE_URL,
    Fault,
    FormOptions,
    misplaced,
    read_options,
    refusal,
    unknown,
)
from service.http.multipart import MAX_PARTS, MultipartFault, Part, boundary_of, read_parts
from service.http.raw_body import from_base64, read_whole, refuse_compressed

_SNIFFED_BYTES = 1024
_MOST_NAMES = 100
_IMAGES = (IMAGE, "images", "images[]")


@dataclass(frozen=True)
class RemovalRequest:
    """What a caller sent.

    Attributes:
        data: The uploaded file.
        filename: The name it came under; untrusted.
        media_type: The type it was declared to be; untrusted.
        options: What the caller chose.
        image_url: Where the file is, in place of the file; nobody has looked at it.
    """

    data: bytes
    filename: str
    media_type: str | None
    options: FormOptions
    image_url: str | None = None


async def read_removal_request(request: Request) -> RemovalRequest:
    """Read the body of a removal, whichever of the three kinds it is.

    Raises:
        InvalidRequest: If it is none, or not this one; `errors` says where.
    """
    body = request.stream()
    try:
        return await _read(request, body)
    except InvalidRequest:
        async for _ in body:  # most callers look for an answer only once they have sent everything
            pass
        raise
    except ClientDisconnect as left:
        raise InvalidRequest("The upload was cut off") from left


@dataclass(frozen=True)
class BatchRequest:
    """What a caller sent to have many pictures done alike.

    Attributes:
        images: The pictures; untrusted.
        options: What the caller chose for all of them.
    """

    images: list[Part]
    options: FormOptions


async def read_batch_request(request: Request, most: int) -> BatchRequest:
    """Read a form with many pictures, whole: a caller may not read before everything is sent.

    Args:
        request: The request.
        most: How many pictures it may hold.

    Raises:
        InvalidRequest: If it is no form, or not this one; `errors` says where.
    """
    body = request.stream()
    try:
        refuse_compressed(request)
        boundary = boundary_of(request.headers.get("content-type", ""))
        parts = await read_parts(boundary, body, most + MAX_PARTS)
        return _of_batch(parts, request.query_params, most)
    except MultipartFault as malformed:
        fault = Fault("body", str(malformed))
    except InvalidRequest:
        async for _ in body:
            pass
        raise
    except ClientDisconnect as left:
        raise InvalidRequest("The upload was cut off") from left
    async for _ in body:
        pass
    raise refusal([fault])


def _of_batch(parts: list[Part], query: Iterable[str], most: int) -> BatchRequest:
    images = [part for part in parts if part.name in _IMAGES]
    others = [part for part in parts if part.name not in _IMAGES]
    given, faults = _values(others)
    options, wrong = read_options(given, "body")
    names = ((part.name, part.filename is not None) for part in others)
    faults += [*wrong, *unknown(names, "body"), *misplaced(query)]
    if not images:
        faults.append(Fault(IMAGE, "Field required"))
    if len(images) > most:
        faults.append(Fault(IMAGE, f"At most {most} pictures are taken at once"))
    if options.return_base64:
        faults.append(Fault("return_base64", "A batch is answered in lines of JSON, or as a ZIP"))
    if IMAGE_URL in given:
        faults.append(Fault(IMAGE_URL, "A batch takes files only; /remove takes an address"))
    if faults:
        raise refusal(faults)
    return BatchRequest(images, options)


async def _read(request: Request, body: AsyncIterator[bytes]) -> RemovalRequest:
    refuse_compressed(request)
    content_type = request.headers.get("content-type", "")
    media_type = content_type.split(";")[0].strip().lower()
    query = request.query_params
    if media_type == "application/json":
        return await asyncio.to_thread(_of_json, await read_whole(body), list(query))
    if media_type.startswith("image/") or media_type == "application/octet-stream":
        return _of_picture(await read_whole(body), media_type, query.multi_items())
    try:
        parts = await read_parts(boundary_of(content_type), body)
    except MultipartFault as malformed:
        raise refusal([Fault("body", str(malformed))]) from malformed
    return _of_form(parts, query)


def _of_picture(data: bytes, media_type: str, query: list[tuple[str, str]]) -> RemovalRequest:
    """A picture alone; its options are in the address."""
    given = dict(query[:_MOST_NAMES])
    options, faults = read_options(given, "query")
    faults += unknown(((name, False) for name in given), "query")
    for name in given:
        if name in FILES:
            faults.append(Fault(name, "Send a form or JSON to send more than one file", "query"))
    if IMAGE_URL in given:
        faults.append(Fault(IMAGE_URL, "Send it in a form or JSON, without a picture", "query"))
    if faults:
        raise refusal(faults)
    return RemovalRequest(data, "", media_type, options)


def _of_json(body: bytes, query: Iterable[str]) -> RemovalRequest:
    """An object with the names of the form; pictures are in base64."""
    try:
        given = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as malformed:
        raise refusal([Fault("body", "The body is not valid JSON")]) from malformed
    if not isinstance(given, dict):
        raise refusal([Fault("body", "Expected a JSON object")])
    given = {name: value for name, value in given.items() if value is not None}
    faults: list[Fault] = []
    media_type = None
    for name in FILES:
        if name not in given:
            continue
        given[name], declared, fault = from_base64(name, given[name])
        faults += fault
        media_type = declared if name == IMAGE else media_type
    url, wrong = _address(given, IMAGE in given)
    faults += wrong
    if IMAGE not in given and url is None and not wrong:
        faults.append(Fault(IMAGE, "Field required"))
    options, wrong = read_options(given, "body")
    faults += [*wrong, *unknown(((name, False) for name in given), "body"), *misplaced(query)]
    if faults:
        raise refusal(faults)
    return RemovalRequest(given.get(IMAGE, b""), "", media_type, options, url)


def _address(given: Mapping[str, object], has_image: bool) -> tuple[str | None, list[Fault]]:
    """Where the picture is, if that was sent in place of the picture; and what is wrong with it."""
    url = given.get(IMAGE_URL, "")
    if not isinstance(url, str):
        return None, [Fault(IMAGE_URL, "Expected an address")]
    url = url.strip() or None
    if url and has_image:
        return None, [Fault(IMAGE_URL, "Send either image or image_url")]
    return url, []


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _of_form(parts: list[Part], query: Iterable[str]) -> RemovalRequest:
    """Make sense of the parts; of everything that is wrong, not of the first thing only."""
    images = [part for part in parts if part.name == IMAGE]
    given, wrong_values = _values(parts)
    # Browsers send an empty file where none was chosen.
    url, faults = _address(given, any(part.data for part in images))
    image = None
    if url is None and not faults:
        image, faults = _image(images)
    faults += wrong_values
    options, wrong = read_options(given, "body")
    names = ((part.name, part.filename is not None) for part in parts)
    faults += [*wrong, *unknown(names, "body"), *misplaced(query)]
    if faults:
        raise refusal(faults)
    if image is None:
        return RemovalRequest(b"", "", None, options, url)
    return RemovalRequest(
        data=image.data,
        filename=image.filename or "",
        # Of a plain value, it is what a client says of every value: text, which it has not been.
        media_type=image.media_type if image.filename is not None else None,
        options=options,
    )


def _values(parts: list[Part]) -> tuple[Mapping[str, object], list[Fault]]:
    """Options by name, the last of what was sent twice; and files where text should be."""
    given: dict[str, object] = {}
    faults = []
    for part in parts:
        if part.name == IMAGE or part.name not in FIELDS:
            continue
        if part.name in FILES:
            if part.data:  # browsers send an empty file where none was chosen
                given[part.name] = part.data
        elif part.filename is not None:
            faults.append(Fault(part.name, "Expected a value, not a file"))
        else:
            given[part.name] = part.text
    return given, faults


def _image(images: list[Part]) -> tuple[Part | None, list[Fault]]:
    """The part that is the picture, or what is wrong with it."""
    if not images:
        return None, [Fault(IMAGE, "Field required")]
    if len(images) > 1:
        return None, [Fault(IMAGE, "Exactly one image is accepted")]
    (image,) = images
    if image.filename is None and _is_text(image.data):
        hint = "Expected a file, not text; curl sends one with -F image=@photo.jpg"
        return None, [Fault(IMAGE, hint)]
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
