"""The HTTP interface of rembg's server in ours: its fields as our options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from service.http.foreign_form import (
    ForeignForm,
    NotHonoured,
    Reader,
    read_switch,
    translate,
)
from service.http.forms import Fault, read_options, refusal
from service.http.removal_request import RemovalRequest

_FILE = "file"
_MOST = 255  # of a level of a colour

Options = Mapping[str, object]


def read_rembg(form: ForeignForm, models: Iterable[str], url: str | None = None) -> RemovalRequest:
    """A removal of ours for a request of theirs.

    Args:
        form: What was sent.
        models: Names of the models that are served.
        url: Where the picture is, if it was named and not sent.

    Raises:
        InvalidRequest: If something cannot be honoured, or is nothing they have; by name.
    """

    def model(name: str) -> Options:  # by their name of it, such as birefnet-general
        return {"model": next((ours for ours in models if ours.lower() == name.lower()), name)}

    given, faults = translate(form, {**_READERS, "model": model}, (_FILE,))
    if not url and _FILE not in form.files:
        faults.append(Fault(_FILE if url is None else "url", "Field required"))
    options, wrong = read_options(given, "body")
    if faults or wrong:
        raise refusal([*faults, *wrong])
    if url is not None:
        return RemovalRequest(b"", "", None, options, url)
    part = form.files[_FILE]
    return RemovalRequest(part.data, part.filename or "", part.media_type, options)


def _done_anyway(value: str) -> Options:
    """Alpha matting and post-processing: edges are always refined here."""
    read_switch(value)
    return {}


def _threshold(value: str) -> Options:
    """A number of their alpha matting, which is none of ours."""
    if not value.isdecimal():
        raise NotHonoured("Expected a number")
    return {}


def _only_mask(value: str) -> Options:
    return {"output": "mask"} if read_switch(value) else {}


def _extras(value: str) -> Options:
    if value != "{}":
        raise NotHonoured("Prompts are for rembg's model sam, which is not here")
    return {}


def _background(value: str) -> Options:
    """Red, green, blue, and how opaque the colour is."""
    levels = [int(text) if text.strip().isdecimal() else -1 for text in value.split(",")]
    if len(levels) != 4 or min(levels) < 0 or max(levels) > _MOST:
        raise NotHonoured("Expected four numbers from 0 to 255, such as 255,255,255,255")
    if levels[3] not in (0, _MOST):
        raise NotHonoured("A background is opaque here (255), or there is none (0)")
    red, green, blue, opacity = levels
    return {"bg_color": f"rgb({red},{green},{blue})"} if opacity else {}


_READERS: Mapping[str, Reader] = {
    "a": _done_anyway,
    "af": _threshold,
    "ab": _threshold,
    "ae": _threshold,
    "om": _only_mask,
    "ppm": _done_anyway,
    "bgc": _background,
    "extras": _extras,
}
