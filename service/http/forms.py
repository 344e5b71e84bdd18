"""A multipart request in, the file and the caller's options out. Nothing touches the disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from service.errors import InvalidRequest
from service.removal.options import RemovalOptions

_MAX_FIELDS = 16
_MAX_FIELD_BYTES = 16 * 1024
_BOOLEANS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


class _InMemoryParser(MultiPartParser):
    """Starlette's parser, but no part over 1 MB is rolled to disk; the body is capped."""

    spool_max_size = 1 << 31

    def close(self) -> None:
        """Give the parts' memory back, those of a form that was cut off too."""
        for file in self._files_to_close_on_error:
            file.close()


@dataclass(frozen=True)
class RemovalForm:
    """What a caller sent.

    Attributes:
        data: The uploaded file.
        filename: The name it came under; untrusted.
        media_type: The type it was declared to be; untrusted.
        options: What the caller chose.
        return_base64: Whether JSON is wanted instead of a file.
    """

    data: bytes
    filename: str
    media_type: str | None
    options: RemovalOptions
    return_base64: bool


async def read_removal_form(request: Request) -> RemovalForm:
    """Read the form of a removal.

    Raises:
        InvalidRequest: If it is no form, or not this one; `errors` says where.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        _refuse("body", "Expected multipart/form-data")
    parser = _InMemoryParser(
        request.headers,
        request.stream(),
        max_files=2,
        max_fields=_MAX_FIELDS,
        max_part_size=_MAX_FIELD_BYTES,
    )
    try:
        return await _read(await _parse(parser))
    finally:
        parser.close()


async def _read(form: FormData) -> RemovalForm:
    images = form.getlist("image")
    if not images:
        _refuse("image", "Field required")
    if len(images) > 1:
        _refuse("image", "Exactly one image is accepted")
    image = images[0]
    if not isinstance(image, UploadFile):
        _refuse("image", "Expected a file")
    return RemovalForm(
        data=await image.read(),
        filename=image.filename or "",
        media_type=image.content_type,
        options=RemovalOptions(smoothing=_boolean(form, "smoothing", default=True)),
        return_base64=_boolean(form, "return_base64", default=False),
    )


async def _parse(parser: _InMemoryParser) -> FormData:
    try:
        return await parser.parse()
    except (MultiPartException, KeyError) as malformed:
        raise InvalidRequest(
            "The form is malformed or has too many parts", errors=[_fault("body", "Malformed form")]
        ) from malformed
    except ClientDisconnect as left:
        raise InvalidRequest("The upload was cut off") from left


def _boolean(form: FormData, name: str, *, default: bool) -> bool:
    values = form.getlist(name)
    if not values:
        return default
    value = values[-1]
    if not isinstance(value, str) or value.strip().lower() not in _BOOLEANS:
        _refuse(name, "Expected true or false")
    return _BOOLEANS[value.strip().lower()]


def _fault(field: str, message: str) -> dict[str, object]:
    """One entry of `errors`, shaped as FastAPI shapes them."""
    return {"loc": ["body", field], "msg": message, "type": "value_error"}


def _refuse(field: str, message: str) -> NoReturn:
    raise InvalidRequest(f"{field}: {message}", errors=[_fault(field, message)])
