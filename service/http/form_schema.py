"""The options of a removal for OpenAPI: as a form, as JSON, and as a query."""

from __future__ import annotations

from typing import Any

from service.http.forms import IMAGE, IMAGE_URL, FormOptions, is_file

URL_MEANING = "Address of the picture, in its place, where the operator has switched it on"
# Not what this installation reads: the schema is one for all.
_FORMATS = "JPEG, PNG, WebP, BMP, TIFF, GIF or AVIF; HEIC where its reader is installed"


def request_body() -> dict[str, Any]:
    """The three bodies that a removal takes."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _schema({"format": "binary"})},
            "application/json": {"schema": _schema({"contentEncoding": "base64"})},
            "image/*": binary,
            "application/octet-stream": binary,
        },
    }


def batch_body() -> dict[str, Any]:
    """The form of a batch: the picture's field as often as there are pictures."""
    schema = _schema({"format": "binary"})
    for name in ("return_base64", IMAGE_URL):
        del schema["properties"][name]
    del schema["oneOf"]
    schema["required"] = [IMAGE]
    picture = schema["properties"][IMAGE]
    schema["properties"][IMAGE] = {"type": "array", "minItems": 1, "items": picture}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


def query_parameters() -> list[dict[str, Any]]:
    """The options beside a body that is a picture alone."""
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": f"Beside a body that is the picture alone. {option.pop('description')}",
            "schema": option,
        }
        for name, option in _options().items()
        if not is_file(name)
    ]


def _schema(file: dict[str, str]) -> dict[str, Any]:
    """An object of a picture and options; `file` says how pictures are written in it."""
    picture = {"type": "string", **file}
    options = {
        name: {**picture, "description": option["description"]} if is_file(name) else option
        for name, option in _options().items()
    }
    return {
        "type": "object",
        "oneOf": [{"required": [IMAGE]}, {"required": [IMAGE_URL]}],
        "additionalProperties": False,
        "properties": {
            IMAGE: {**picture, "description": _FORMATS},
            IMAGE_URL: {"type": "string", "format": "uri", "description": URL_MEANING},
            **options,
        },
    }


def _options() -> dict[str, dict[str, Any]]:
    """Each option's schema; what may be left out needs no null."""
    options: dict[str, dict[str, Any]] = FormOptions.model_json_schema()["properties"]
    for name, option in options.items():
        del option["title"]
        if "anyOf" in option:
            (kind,) = (one for one in option.pop("anyOf") if one != {"type": "null"})
            options[name] = option = {**kind, **option}
        if option.get("default", "") is None:
            del option["default"]
        if isinstance(option.get("default"), list | tuple):  # a colour
            option["default"] = "#" + bytes(option["default"]).hex()
    return options
