"""Options of a removal: the same bytes however they are sent, and only what was asked for."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from models.arrays import U8Array
from service.http.forms import FormOptions
from service.removal.options import PRESETS, RemovalOptions
from tests.support.api import REMOVE, Api
from tests.support.pictures import make_image, make_solid
from tests.support.problems import assert_problem

pytestmark = pytest.mark.anyio

BACKDROP = make_image("JPEG", 300, 200)
# One way to use every option that changes a picture.
USES: Mapping[str, Mapping[str, Any]] = {
    "preset": {"preset": "studio"},
    "output": {"output": "mask"},
    "format": {"format": "webp"},
    "quality": {"format": "jpeg", "quality": 40, "bg_color": "white"},
    "smoothing": {"smoothing": False},
    "shift_edge": {"shift_edge": -1.5},
    "feather": {"feather": 3},
    "decontaminate": {"decontaminate": False},
    "bg_color": {"bg_color": "#2040FF"},
    "bg_image": {"bg_image": BACKDROP},
    "background_id": {"background_id": "bokeh-warm"},
    "bg_fit": {"bg_image": BACKDROP, "bg_fit": "contain", "bg_color": "red"},
    "bg_blur": {"bg_blur": 2.5},
    "color_match": {"bg_color": "navy", "color_match": 0.8},
    "shadow": {"shadow": "drop"},
    "shadow_opacity": {"shadow": "contact", "shadow_opacity": 0.9},
    "outline": {"outline": 3},
    "outline_color": {"outline": 3, "outline_color": "gold"},
    "crop": {"crop": True},
    "crop_margin": {"crop": True, "crop_margin": "7px"},
    "aspect": {"aspect": "3:1"},
    "scale": {"scale": 40},
    "position": {"position": "10%,90"},
    "size": {"size": "123x321"},
}
NOT_OF_THE_PICTURE = {"model", "return_base64"}


def _picture() -> bytes:
    """A soft disc, which the fake engine takes for the subject, on another colour."""
    y, x = np.mgrid[0:240, 0:320].astype(np.float32)
    inside = np.clip((70 - np.hypot(y - 130, x - 140)) / 6 + 0.5, 0, 1)[..., None]
    pixels = inside * (200, 255, 120) + (1 - inside) * (90, 0, 60)
    file = io.BytesIO()
    Image.fromarray(np.rint(pixels).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


PICTURE = _picture()


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


async def by_form(api: Api, **options: Any) -> httpx.Response:
    files = {"image": ("a.png", PICTURE)} | {
        name: (name, value) for name, value in options.items() if isinstance(value, bytes)
    }
    data = {name: _text(v) for name, v in options.items() if not isinstance(v, bytes)}
    return await api.client.post(REMOVE, files=files, data=data)


async def by_json(api: Api, **options: Any) -> httpx.Response:
    body = {"image": PICTURE, **options}
    encoded = {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for name, value in body.items()
    }
    return await api.client.post(REMOVE, json=encoded)


async def by_query(api: Api, **options: Any) -> httpx.Response:
    query = {name: _text(value) for name, value in options.items()}
    headers = {"Content-Type": "image/png"}
    return await api.client.post(REMOVE, content=PICTURE, params=query, headers=headers)


def pixels_of(answer: httpx.Response) -> U8Array:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def box_of(answer: httpx.Response) -> tuple[int, ...]:
    """Left, top, width and height of the subject in an answer."""
    return tuple(map(int, answer.headers["x-subject-box"].split(",")))


def test_every_option_has_a_use_here() -> None:
    assert set(USES) == set(FormOptions.model_fields) - NOT_OF_THE_PICTURE


@pytest.mark.parametrize("name", USES)
async def test_an_option_does_something_and_the_same_however_it_is_sent(
    api: Api, name: str
) -> None:
    plain = await by_form(api, **{k: v for k, v in USES[name].items() if k != name})
    form = await by_form(api, **USES[name])
    assert form.status_code == 200, form.text
    assert form.content != plain.content
    assert (await by_json(api, **USES[name])).content == form.content
    if not any(isinstance(value, bytes) for value in USES[name].values()):
        assert (await by_query(api, **USES[name])).content == form.content


async def test_a_data_uri_and_broken_lines_are_base64_too(api: Api) -> None:
    encoded = base64.encodebytes(PICTURE).decode()
    answer = await api.client.post(REMOVE, json={"image": f"data:image/png;base64,{encoded}"})
    assert answer.content == (await by_form(api)).content


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        (b"", "not valid JSON"),
        (b"[1]", "Expected a JSON object"),
        (b'{"image": NaN}', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"\xff\xfe{", "not valid JSON"),
        (b'{"smoothing": true}', "image: Field required"),
        (b'{"image": 5}', "image: Expected base64"),
        (b'{"image": "a*b"}', "image: The base64 is malformed"),
        (b'{"image": "\xc3\xa9"}', "image: The base64 is malformed"),
        (b'{"image": "AAAA", "smoothing": "maybe"}', "smoothing: Expected true or false"),
        (b'{"image": "AAAA", "quality": true}', "quality: Expected"),
        (b'{"image": "AAAA", "feather": "inf"}', "feather: Expected a finite number"),
        (b'{"image": "AAAA", "bg_color": [1, 2, 900]}', "bg_color: Expected a colour"),
        (b'{"image": "AAAA", "crop": {"a": 1}}', "crop: Expected true or false"),
        (b'{"image": "AAAA", "smothing": 1}', "did you mean smoothing?"),
    ],
)
async def test_what_is_wrong_with_json_is_named(api: Api, body: bytes, hint: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await api.client.post(REMOVE, content=body, headers=headers)
    assert hint in assert_problem(answer, "INVALID_REQUEST")["detail"]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"output": "composite"}, "output"),
        ({"output": "cutout", "bg_color": "red"}, "output"),
        ({"output": "mask", "bg_color": "red"}, "bg_color"),
        ({"output": "mask", "shadow": "drop"}, "shadow"),
        ({"output": "parts", "outline": 2}, "outline"),
        ({"output": "parts", "format": "webp"}, "format"),
        ({"format": "jpeg"}, "format"),
        ({"color_match": 0.5}, "color_match"),
        ({"bg_color": "red", "bg_blur": 3}, "bg_blur"),
        ({"bg_color": "no such colour"}, "bg_color"),
        ({"bg_color": "#12345678"}, "bg_color"),
        ({"aspect": "0:1"}, "aspect"),
        ({"aspect": "1:0"}, "aspect"),
        ({"size": "0x10"}, "size"),
        ({"size": "large"}, "size"),
        ({"size": "9999x9999"}, "canvas"),
        ({"aspect": "1:9999"}, "canvas"),
        ({"crop": True, "crop_margin": "9999px"}, "canvas"),
        ({"crop_margin": "-5"}, "crop_margin"),
        ({"position": "left"}, "position"),
        ({"scale": 5}, "scale"),
        ({"preset": "passport"}, "preset"),
        ({"quality": 0}, "quality"),
        ({"feather": "nan"}, "feather"),
        ({"shift_edge": 51}, "shift_edge"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(
    api: Api, options: dict[str, Any], field: str
) -> None:
    for send in (by_form, by_query):
        detail = assert_problem(await send(api, **options), "INVALID_REQUEST")["detail"]
        assert field in detail


async def test_a_query_of_a_raw_body_may_hold_options_only(api: Api) -> None:
    for query in ({"source": "app"}, {"smothing": "true"}, {"bg_image": "x"}, {"image": "x"}):
        problem = assert_problem(await by_query(api, **query), "INVALID_REQUEST")
        assert problem["errors"][0]["loc"] == ["query", *query]


async def test_a_bad_background_is_refused_as_such(api: Api) -> None:
    problem = assert_problem(await by_form(api, bg_image=b"no picture"), "INVALID_FORMAT")
    assert problem["field"] == "bg_image"
    cut = assert_problem(await by_form(api, bg_image=BACKDROP[:2000]), "CORRUPT_IMAGE")
    assert cut["field"] == "bg_image"


async def test_the_outputs_are_what_they_are_called(api: Api) -> None:
    cutout = pixels_of(await by_form(api))
    mask = pixels_of(await by_form(api, output="mask"))
    red = pixels_of(await by_form(api, bg_color="red"))
    assert np.array_equal(cutout[..., 3], mask)
    assert red.shape[2] == 3
    assert tuple(red[0, 0]) == (255, 0, 0)
    assert np.array_equal(red[mask == 255], cutout[..., :3][mask == 255])
    parts = await by_form(api, output="parts")
    assert parts.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(parts.content)) as archive:
        assert archive.namelist() == ["color.jpg", "alpha.png"]
        alpha = np.asarray(Image.open(io.BytesIO(archive.read("alpha.png"))))
        colour = np.asarray(Image.open(io.BytesIO(archive.read("color.jpg"))))
    assert np.array_equal(alpha, mask)
    assert np.abs(colour[mask == 255].astype(int) - cutout[..., :3][mask == 255]).mean() < 4


@pytest.mark.parametrize(
    ("kind", "media_type", "ending"),
    [("png", "image/png", "png"), ("webp", "image/webp", "webp"),
     ("jpeg", "image/jpeg", "jpg"), ("avif", "image/avif", "avif")],
)  # fmt: skip
async def test_every_format_shows_the_same_picture_and_nothing_else(
    api: Api, kind: str, media_type: str, ending: str
) -> None:
    options = {"bg_color": "white"} if kind == "jpeg" else {}
    answer = await by_form(api, format=kind, **options)
    assert answer.headers["content-type"] == media_type
    assert answer.headers["content-disposition"].rstrip('"').endswith(f".{ending}")
    file = Image.open(io.BytesIO(answer.content))
    assert file.getexif() == {}
    assert not {"exif", "icc_profile", "xmp", "comment"} & file.info.keys()
    wanted = pixels_of(await by_form(api, **options)).astype(int)
    shown = np.asarray(file).astype(int)
    if shown.shape[2] == 4:
        assert np.abs(shown[..., 3] - wanted[..., 3]).max() <= (0 if kind == "webp" else 12)
        hidden = shown[..., 3] == 0
        assert np.abs(shown[..., :3][hidden] - (90, 0, 60)).sum(axis=-1).mean() > 60
    opaque = wanted[..., -1] == 255
    assert np.abs(shown[..., :3][opaque] - wanted[..., :3][opaque]).mean() < 6


# Each canvas and place from the subject's own place, left, top and side, in the plain cutout.
LAYOUTS: Mapping[str, tuple[dict[str, Any], Callable[[int, int, int], tuple[int, ...]]]] = {
    "crop": ({"crop": True}, lambda x, y, n: (n, n, 0, 0, n)),
    "pixels": (
        {"crop": True, "crop_margin": "10px"},
        lambda x, y, n: (n + 20, n + 20, 10, 10, n),
    ),
    "percent": (
        {"crop": True, "crop_margin": "20%"},
        lambda x, y, n: (n + 2 * round(n / 5), n + 2 * round(n / 5), round(n / 5), round(n / 5), n),
    ),
    "aspect": ({"aspect": "1:1"}, lambda x, y, n: (320, 320, x, y + 40, n)),
    "center": ({"position": "center"}, lambda x, y, n: (320, 240, 160 - n / 2, 120 - n / 2, n)),
    "corner": ({"position": "0,100"}, lambda x, y, n: (320, 240, 0, 240 - n, n)),
    "filling": ({"scale": 100}, lambda x, y, n: (320, 240, 40, 0, 240)),
    "small": (
        {"scale": 25, "position": "0,0"},
        lambda x, y, n: (320, 240, 0, 0, 60),
    ),
    "size": ({"size": "640x640"}, lambda x, y, n: (640, 640, 2 * x, 2 * (y + 40), 2 * n)),
    "preview": ({"size": "preview"}, lambda x, y, n: (320, 240, x, y, n)),
    "both": ({"crop": True, "size": "70x70"}, lambda x, y, n: (70, 70, 0, 0, 70)),
}


@pytest.mark.parametrize("name", LAYOUTS)
async def test_the_canvas_and_the_subjects_place_are_those_asked_for(api: Api, name: str) -> None:
    options, expected = LAYOUTS[name]
    left, top, width, height = box_of(await by_form(api))
    assert abs(width - height) <= 1
    answer = await by_form(api, **options)
    columns, rows, *place = expected(left, top, width)
    shape = pixels_of(answer).shape
    assert np.abs(np.subtract(shape[1::-1], (columns, rows))).max() <= ("crop" in options)
    assert answer.headers["x-output-size"] == f"{shape[1]}x{shape[0]}"
    found = box_of(answer)
    resampled = {"size", "scale"} & options.keys()
    assert np.abs(np.subtract(found, [*place, place[-1]])).max() <= (5 if resampled else 2), found


async def test_a_crop_holds_the_pixels_of_the_whole(api: Api) -> None:
    whole, answer = await by_form(api), await by_form(api, crop=True)
    left, top, width, height = box_of(whole)
    part = pixels_of(whole)[top : top + height, left : left + width]
    assert np.array_equal(pixels_of(answer), part)


async def test_an_empty_scene_says_so(api: Api) -> None:
    empty = make_solid("PNG", 80, 80, (90, 0, 60))
    for options in ({}, {"crop": "true", "outline": "3", "shadow": "drop", "aspect": "2:1"}):
        answer = await api.remove(empty, **options)
        assert answer.headers["x-subject-found"] == "false"
        assert "x-subject-box" not in answer.headers
        assert pixels_of(answer)[..., 3].max() == 0
    told = (await api.remove(empty, return_base64="true")).json()["processing_info"]
    assert (told["subject_found"], told["subject_box"]) == (False, None)


async def test_what_was_done_is_told(api: Api) -> None:
    options = {"preset": "studio", "feather": 2, "smoothing": False}
    answer = await by_form(api, **options)
    applied = ["feather", "decontaminate", "bg_color", "shadow", "crop", "aspect"]
    assert answer.headers["x-applied"].split(", ") == applied
    told = (await by_form(api, return_base64=True, **options)).json()
    assert told["processing_info"]["applied"] == applied
    assert told["processing_info"]["output"] == "composite"
    data = base64.b64decode(told["processed_image"].partition(",")[2])
    assert data == answer.content


@pytest.mark.parametrize("preset", PRESETS)
async def test_a_preset_is_what_it_stands_for(api: Api, preset: str) -> None:
    by_name = await by_form(api, preset=preset)
    assert by_name.content == (await by_form(api, **PRESETS[preset])).content


def test_a_preset_s_options_can_be_changed() -> None:
    assert RemovalOptions(preset="studio", shadow="none").shadow == "none"
    assert RemovalOptions(preset="studio", bg_blur=3.0).bg_color is None


@pytest.mark.parametrize(
    ("accept", "options", "kind"),
    [
        ("", {}, "image/png"),
        ("*/*", {}, "image/png"),
        ("image/*", {}, "image/png"),
        ("application/json, text/plain, */*", {}, "image/png"),
        ("image/webp,image/png;q=0.5", {}, "image/png"),
        ("application/json", {}, "application/json"),
        ("image/webp", {}, "image/webp"),
        ("image/avif, image/jpeg;q=0.2", {}, "image/avif"),
        ("image/jpeg", {"bg_color": "white"}, "image/jpeg"),
        ("text/html, */*;q=0.1", {}, "image/png"),
        ("text/html", {"return_base64": True}, "application/json"),
        ("image/png;q=0, */*", {}, "application/json"),
    ],
)
async def test_accept_decides_where_it_excludes_what_would_be_sent(
    api: Api, accept: str, options: dict[str, Any], kind: str
) -> None:
    api.client.headers["Accept"] = accept
    answer = await by_form(api, **options)
    assert answer.headers["content-type"] == kind
    assert answer.headers["vary"] == "Accept"


@pytest.mark.parametrize(
    ("accept", "options"),
    [
        ("text/html", {}),
        ("image/jpeg", {}),
        ("image/png", {"format": "webp"}),
        ("image/webp", {"output": "parts"}),
        ("*/*;q=0", {}),
    ],
)
async def test_what_nobody_would_accept_is_not_made(
    api: Api, accept: str, options: dict[str, Any]
) -> None:
    api.client.headers["Accept"] = accept
    assert_problem(await by_form(api, **options), "NOT_ACCEPTABLE")
