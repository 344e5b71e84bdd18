"""remove.bg's API in ours: its fields as our options, our answer in its shape.

Names, meanings and headers are those of its public documentation (version 1.0). What it can do and
we cannot is refused by name: a client would otherwise get another picture than it asked for.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

from starlette.responses import JSONResponse, Response

from service.http.foreign_form import ForeignForm, NotHonoured, Reader, read_switch, translate
from service.http.forms import Fault, read_options, refusal
from service.http.raw_body import from_base64
from service.http.removal_request import RemovalRequest
from service.removal.options import RemovalResult

_FILE, _BASE64, _URL = "image_file", "image_file_b64", "image_url"
_SOURCES = (_FILE, _BASE64, _URL)
_SIZES = {
    **dict.fromkeys(("auto", "full", "4k", "50mp"), "full"),
    **dict.fromkeys(("preview", "small", "regular"), "preview"),
}

Options = Mapping[str, object]


def _only(honoured: str, since: str) -> Reader:
    """A field of which only the value is honoured that changes nothing."""

    def read(value: str) -> Options:
        if value.lower() != honoured:
            raise NotHonoured(f"Only {honoured} does anything here: {since}")
        return {}

    return read


def _size(value: str) -> Options:
    if value.lower() not in _SIZES:
        raise NotHonoured(f"Expected one of {', '.join(_SIZES)}")
    return {"size": _SIZES[value.lower()]}


def _channels(value: str) -> Options:
    if value.lower() not in ("rgba", "alpha"):
        raise NotHonoured("Expected rgba or alpha")
    return {"output": "mask"} if value.lower() == "alpha" else {}


def _scale(value: str) -> Options:
    return {} if value.lower() == "original" else {"scale": value.removesuffix("%")}


def _position(value: str) -> Options:
    places = value.split()
    return {"position": ",".join(places * 2 if places[1:] == [] and "%" in value else places)}


def _shadow(value: str) -> Options:
    return {"shadow": "contact"} if read_switch(value) else {}


def _soft_edges(value: str) -> Options:
    if not read_switch(value):
        raise NotHonoured("Soft edges are always kept here")
    return {}


def _background_url(value: str) -> Options:
    raise NotHonoured("Send the background as bg_image_file")


_READERS: Mapping[str, Reader] = {
    **dict.fromkeys((_FILE, _BASE64, _URL, "format"), lambda _: {}),  # read by themselves
    "size": _size,
    "type": _only("auto", since="the model tells kinds of subjects apart by itself"),
    "type_level": _only("none", since="kinds of subjects are not named in the answer"),
    "roi": _only("0% 0% 100% 100%", since="the whole picture is looked at"),
    "crop": lambda value: {"crop": value},
    "crop_margin": lambda value: {"crop_margin": value},
    "scale": _scale,
    "position": _position,
    "channels": _channels,
    "bg_color": lambda value: {"bg_color": value},
    "bg_image_url": _background_url,
    "add_shadow": _shadow,
    "semitransparency": _soft_edges,
}


def read_removebg(form: ForeignForm) -> RemovalRequest:
    """A removal of ours for a form of theirs.

    Raises:
        InvalidRequest: If something cannot be honoured, or is nothing they have; by name.
    """
    given, faults = translate(form, _READERS, (_FILE, "bg_image_file"))
    data, media_type, wrong = _source(form)
    faults += wrong
    if "bg_image_file" in form.files:
        given["bg_image"] = form.files["bg_image_file"].data
    given |= _format(form.values.get("format", "auto").strip().lower(), given, faults)
    options, wrong = read_options(given, "body")
    if faults or wrong:
        raise refusal([*faults, *wrong])
    return RemovalRequest(data, _filename(form), media_type, options, form.values.get(_URL))


def _source(form: ForeignForm) -> tuple[bytes, str | None, list[Fault]]:
    """The picture, where it was sent; and what is wrong with how it was named."""
    sent = [name for name in _SOURCES if name in (form.files if name == _FILE else form.values)]
    if len(sent) != 1:
        return b"", None, [Fault(_FILE, f"Send exactly one of {', '.join(_SOURCES)}")]
    if sent == [_BASE64]:
        return from_base64(_BASE64, form.values[_BASE64])
    if sent == [_URL]:
        return b"", None, []
    return form.files[_FILE].data, form.files[_FILE].media_type, []


def _filename(form: ForeignForm) -> str:
    return (form.files[_FILE].filename or "") if _FILE in form.files else ""


def _format(value: str, given: Mapping[str, object], faults: list[Fault]) -> dict[str, object]:
    """Options for a format: JPEG where nothing is transparent, as they have it."""
    is_opaque = "bg_color" in given or "bg_image" in given
    match value:
        case "auto":
            return {"format": "jpeg"} if is_opaque else {}
        case "png" | "webp":
            return {"format": value}
        case "jpg" | "jpeg":
            white = {} if is_opaque or "output" in given else {"bg_color": "white"}
            return {"format": "jpeg", **white}
        case "zip" if "output" in given:
            faults.append(Fault("format", "A mask is one file; choose png, jpg or webp"))
            return {}
        case "zip":
            return {"output": "parts"}
    faults.append(Fault("format", "Expected auto, png, jpg, zip or webp"))
    return {}


def answer_removebg(result: RemovalResult, as_json: bool) -> Response:
    """The file with their headers, or their JSON with the file in it."""
    box = result.subject
    place = (0, 0, 0, 0) if box is None else (box.top, box.left, box.width, box.height)
    foreground = dict(zip(("top", "left", "width", "height"), place, strict=True))
    if as_json:
        told = {f"foreground_{name}": pixels for name, pixels in foreground.items()}
        encoded = base64.b64encode(result.file).decode("ascii")
        return JSONResponse({"data": {"result_b64": encoded, **told}})
    headers = {
        "X-Width": str(result.canvas[1]),
        "X-Height": str(result.canvas[0]),
        "X-Credits-Charged": "0",
        **{f"X-Foreground-{name.title()}": str(pixels) for name, pixels in foreground.items()},
    }
    return Response(result.file, media_type=result.media_type, headers=headers)
