"""The library: templates for everybody, uploads for holders of a key, and what callers may try."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from models.matting.scenes import SCENES, draw_scene
from service.http.policies import PREFIX
from service.library.library import Quota
from service.removal import background as background_module
from service.removal.background import Background
from tests.support.api import REMOVE, Api, ApiParts, open_api
from tests.support.keys import WRONG_KEY, issue_key
from tests.support.pictures import make_image, make_noise, make_solid, save
from tests.support.problems import assert_problem

pytestmark = pytest.mark.anyio

BACKGROUNDS = f"{PREFIX}/backgrounds"
PICTURE = make_image("PNG", 120, 160)
BEHIND = make_solid("PNG", 80, 100, (20, 200, 40))
UNKNOWN = f"bg_{'0' * 32}"
HOSTILE = (
    "../x",
    "..",
    "%2e%2e",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%5cx",
    "bg_",
    f"bg_{'0' * 31}",
    f"bg_{'0' * 33}",
    f"bg_{'A' * 32}",
    f"bg_{'0' * 32}%0a",
    f"bg_{'0' * 32}%00",
    "bg_" + "%EF%BC%90" * 32,  # full-width digits
    "a" * 5000,
    "b%C3%A4ckground",
    "STUDIO-WHITE",
    "studio-white%20",
)


@dataclass
class Library:
    """An API with two keys and a folder."""

    api: Api
    folder: Path
    ada: dict[str, str]
    bob: dict[str, str]
    ada_id: str

    async def upload(
        self, data: bytes = BEHIND, headers: dict[str, str] | None = None, **form: str
    ) -> httpx.Response:
        files = {"image": ("p.png", data)}
        headers = self.ada if headers is None else headers
        return await self.api.client.post(BACKGROUNDS, files=files, data=form, headers=headers)

    async def uploaded(self, data: bytes = BEHIND) -> str:
        answer = await self.upload(data)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def listed(self, headers: dict[str, str] | None = None) -> dict[str, Any]:
        headers = self.ada if headers is None else headers
        answer = await self.api.client.get(BACKGROUNDS, headers=headers)
        assert answer.status_code == 200
        told: dict[str, Any] = answer.json()
        return told

    async def uploads(self, headers: dict[str, str] | None = None) -> list[str]:
        told = await self.listed(headers)
        return [one["id"] for one in told["backgrounds"] if one["kind"] == "upload"]

    async def remove(self, headers: dict[str, str] | None = None, **options: str) -> httpx.Response:
        headers = self.ada if headers is None else headers
        files = {"image": ("p.png", PICTURE)}
        return await self.api.client.post(REMOVE, files=files, data=options, headers=headers)

    def files(self) -> list[Path]:
        return [file for file in self.folder.rglob("*") if file.is_file()]


@pytest.fixture
def quota() -> Quota:
    return Quota()


@pytest.fixture
async def library(tmp_path: Path, quota: Quota) -> AsyncIterator[Library]:
    keys, folder = tmp_path / "keys.json", tmp_path / "storage"
    folder.mkdir(mode=0o700)
    (ada, ada_id), (bob, _) = issue_key(keys), issue_key(keys)
    parts = ApiParts(keys_file=keys, storage=str(folder), backgrounds=quota)
    async with open_api(parts) as api:
        yield Library(api, folder, {"X-API-Key": ada}, {"X-API-Key": bob}, ada_id)


def _pixels(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))


class TestHostileInput:
    @pytest.mark.parametrize("background_id", HOSTILE)
    async def test_no_id_becomes_a_path(self, library: Library, background_id: str) -> None:
        (library.folder.parent / "x").write_bytes(b"secret")
        before = await library.uploaded()
        for method, end in (
            ("GET", ""),
            ("DELETE", ""),
            ("GET", "/thumbnail"),
            ("GET", "/picture"),
        ):
            url = f"http://service{BACKGROUNDS}/{background_id}{end}"
            answer = await library.api.client.request(method, url, headers=library.ada)
            assert answer.status_code in (404, 405), (method, background_id, answer.text)
            assert answer.json()["error_code"] in (
                *("BACKGROUND_NOT_FOUND", "NOT_FOUND", "METHOD_NOT_ALLOWED"),
            )
            assert b"secret" not in answer.content
        assert await library.uploads() == [before]

    @pytest.mark.parametrize(
        "background_id",
        ["../x", "..", "bg_", f"bg_{'0' * 33}", f"{UNKNOWN}\n0", "a" * 5000, "bäckground", "a/b"],
    )
    async def test_no_option_becomes_a_path(self, library: Library, background_id: str) -> None:
        problem = assert_problem(
            await library.remove(background_id=background_id), "INVALID_REQUEST"
        )
        assert "background_id" in problem["detail"]

    async def test_wrong_types_are_refused(self, library: Library) -> None:
        encoded = base64.b64encode(PICTURE).decode()
        for wrong in (1, 1.5, True, ["white"], {"id": "white"}, ""):
            answer = await library.api.client.post(
                REMOVE, json={"image": encoded, "background_id": wrong}, headers=library.ada
            )
            assert "background_id" in assert_problem(answer, "INVALID_REQUEST")["detail"]

    @pytest.mark.parametrize("who", ["bob", "nobody"])
    async def test_another_s_id_is_answered_as_one_that_there_is_not(
        self, library: Library, who: str
    ) -> None:
        hers = await library.uploaded()
        headers = library.bob if who == "bob" else {}
        for path in ("", "/thumbnail", "/picture"):
            real, made_up = [
                await library.api.client.get(f"{BACKGROUNDS}/{one}{path}", headers=headers)
                for one in (hers, UNKNOWN)
            ]
            assert _told(real, hers) == _told(made_up, UNKNOWN)
            assert_problem(real, "BACKGROUND_NOT_FOUND")
        real, made_up = [await library.remove(headers, background_id=x) for x in (hers, UNKNOWN)]
        assert _told(real, hers) == _told(made_up, UNKNOWN)
        assert_problem(real, "BACKGROUND_NOT_FOUND")
        real, made_up = [
            await library.api.client.delete(f"{BACKGROUNDS}/{one}", headers=headers)
            for one in (hers, UNKNOWN)
        ]
        assert _told(real, hers) == _told(made_up, UNKNOWN)
        assert_problem(real, "BACKGROUND_NOT_FOUND" if who == "bob" else "API_KEY_REQUIRED")
        assert await library.uploads(headers) == []
        assert await library.uploads() == [hers]

    async def test_nobody_uploads_without_a_key(self, library: Library) -> None:
        assert_problem(await library.upload(headers={}), "API_KEY_REQUIRED")
        assert_problem(await library.upload(headers={"X-API-Key": WRONG_KEY}), "INVALID_API_KEY")
        assert library.files() == []

    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (b"", "EMPTY_FILE"),
            (b"no picture", "INVALID_FORMAT"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "INVALID_FORMAT"),
            (make_image("PNG")[:200], "CORRUPT_IMAGE"),
            (make_image("PNG", 10, 10), "RESOLUTION_TOO_SMALL"),
            (bytes(11 * 1024**2), "FILE_TOO_LARGE"),
            (make_solid("PNG", 7000, 7200, (0, 0, 0)), "IMAGE_BOMB"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    async def test_uploads_pass_the_guard_of_every_picture(
        self, library: Library, data: bytes, code: str
    ) -> None:
        assert_problem(await library.upload(data), code)
        assert library.files() == []

    async def test_a_form_that_is_another_is_refused_by_name(self, library: Library) -> None:
        client, headers = library.api.client, library.ada
        for files, data, told in (
            ({}, {"name": "x"}, "Content-Type"),
            ([("image", BEHIND), ("image", BEHIND)], {}, "Exactly one image"),
            ({"image": BEHIND}, {"name": "x" * 65}, "at most 64"),
            ({"image": BEHIND}, {"name": "a\nb"}, "printable"),
            ({"image": BEHIND}, {"owner": "another"}, "no such field"),
            ({"name": b"x"}, {}, "image: Field required"),
        ):
            answer = await client.post(BACKGROUNDS, files=files, data=data, headers=headers)
            detail = assert_problem(answer, "INVALID_REQUEST")["detail"]
            assert told in detail or told == "Content-Type"
        json_body = await client.post(BACKGROUNDS, json={"image": "x"}, headers=headers)
        assert_problem(json_body, "INVALID_REQUEST")
        assert library.files() == []

    async def test_what_lies_in_the_folder_and_is_no_background_is_not_used(
        self, library: Library
    ) -> None:
        whole = await library.uploaded()
        (file,) = library.files()
        data = file.read_bytes()
        for name, content in (
            ("0" * 32, b""),
            ("1" * 32, data[:3]),
            ("2" * 32, data[:-1]),
            ("3" * 32, data[: len(data) // 2]),
            ("4" * 32, b"BGR1" + b"\xff" * 100),
            ("5" * 32, b"BGR1\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00[]"),
        ):
            (file.parent / f"bg_{name}").write_bytes(content)
            answer = await library.remove(background_id=f"bg_{name}")
            assert answer.status_code in (404, 503), answer.text
            url = f"{BACKGROUNDS}/bg_{name}/picture"
            answer = await library.api.client.get(url, headers=library.ada)
            assert answer.status_code in (404, 503), answer.text
        (file.parent / "readme.txt").write_bytes(data)
        assert await library.uploads() == [whole]


def _told(answer: httpx.Response, background_id: str) -> tuple[int, dict[str, Any]]:
    """Everything a caller sees, but what must differ."""
    body = json.loads(answer.text.replace(background_id, "ID"))
    del body["request_id"]
    return answer.status_code, body


class TestTemplates:
    async def test_they_are_everybody_s(self, library: Library) -> None:
        told = await library.listed(headers={})
        assert [one["id"] for one in told["backgrounds"]] == list(SCENES)
        assert told["quota"] is None
        assert 10 <= len(SCENES) <= 16
        for one in told["backgrounds"]:
            assert (one["kind"], one["size"]) == ("template", None)
            small = await library.api.client.get(one["thumbnail"])
            assert small.headers["content-type"] == "image/jpeg"
            assert _pixels(small).shape == (240, 320, 3)
            alone = await library.api.client.get(f"{BACKGROUNDS}/{one['id']}")
            assert alone.json() == one

    async def test_their_pictures_are_large_and_everybody_s(self, api: Api) -> None:
        url = f"{BACKGROUNDS}/gradient-mist/picture"
        answer, again = await api.client.get(url), await api.client.get(url)
        assert answer.content == again.content
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "public, max-age=86400"
        pixels = _pixels(answer)
        assert pixels.shape == (1200, 1600, 3)
        drawn = draw_scene(SCENES["gradient-mist"], 1200, 1600).astype(int)
        assert np.abs(pixels - drawn).max() <= 4
        rows = pixels.mean(axis=1)  # a gradient from top to bottom: a band is a step of a level
        assert np.abs(np.diff(rows, axis=0)).max() < 1
        head = await api.client.head(url)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(answer.content))
        assert_problem(await api.client.post(url), "METHOD_NOT_ALLOWED")
        for nothing in ("no-such-thing", UNKNOWN):
            unknown = await api.client.get(f"{BACKGROUNDS}/{nothing}/picture")
            assert_problem(unknown, "BACKGROUND_NOT_FOUND")

    async def test_they_need_neither_keys_nor_a_storage(self, api: Api) -> None:
        answer = await api.client.get(BACKGROUNDS)
        assert len(answer.json()["backgrounds"]) == len(SCENES)
        made = await api.remove(PICTURE, background_id="bokeh-warm")
        assert _pixels(made).shape == (120, 160, 3)
        files = {"image": BEHIND}
        assert_problem(await api.client.post(BACKGROUNDS, files=files), "API_KEY_REQUIRED")
        assert_problem(await api.remove(PICTURE, background_id=UNKNOWN), "BACKGROUND_NOT_FOUND")

    async def test_each_is_what_its_name_says_behind_the_subject(self, api: Api) -> None:
        white = await api.remove(PICTURE, background_id="white")
        colour = await api.remove(PICTURE, bg_color="white")
        assert np.array_equal(_pixels(white), _pixels(colour))
        other = await api.remove(PICTURE, background_id="charcoal")
        assert not np.array_equal(_pixels(white), _pixels(other))

    async def test_there_is_none_of_an_unknown_name(self, api: Api) -> None:
        answer = await api.remove(PICTURE, background_id="no-such-thing")
        assert_problem(answer, "BACKGROUND_NOT_FOUND")


class TestUploads:
    async def test_one_lives_from_upload_to_deletion(self, library: Library) -> None:
        answer = await library.upload(name="Green wall")
        told = answer.json()
        assert re.fullmatch("bg_[0-9a-f]{32}", told["id"])
        assert (told["name"], told["size"], told["kind"]) == ("Green wall", "80x100", "upload")
        assert answer.headers["location"] == f"{BACKGROUNDS}/{told['id']}"
        got = await library.api.client.get(answer.headers["location"], headers=library.ada)
        assert got.json() == told
        listed = await library.listed()
        assert listed["backgrounds"][-1] == told
        assert listed["quota"]["backgrounds"] == 1
        assert listed["quota"]["stored_bytes"] == told["stored_bytes"]
        small = await library.api.client.get(told["thumbnail"], headers=library.ada)
        assert "private" in small.headers["cache-control"]
        assert np.abs(_pixels(small).astype(int) - (20, 200, 40)).max() <= 3
        assert (await library.remove(background_id=told["id"])).status_code == 200
        url = f"{BACKGROUNDS}/{told['id']}"
        gone = await library.api.client.delete(url, headers=library.ada)
        assert (gone.status_code, gone.content) == (204, b"")
        assert_problem(
            await library.api.client.delete(url, headers=library.ada), "BACKGROUND_NOT_FOUND"
        )
        assert_problem(await library.remove(background_id=told["id"]), "BACKGROUND_NOT_FOUND")
        assert_problem(
            await library.api.client.get(f"{url}/picture", headers=library.ada),
            "BACKGROUND_NOT_FOUND",
        )
        assert library.files() == []

    async def test_its_picture_is_the_file_that_rests_and_runs_as_no_page(
        self, library: Library
    ) -> None:
        page = b"<script>alert(1)</script>"
        background_id = await library.uploaded(make_image("JPEG", 200, 300, comment=page) + page)
        url = f"{BACKGROUNDS}/{background_id}/picture"
        answer = await library.api.client.get(url, headers=library.ada)
        assert _pixels(answer).shape == (200, 300, 3)
        (file,) = library.files()
        assert file.read_bytes().endswith(answer.content)
        assert b"script" not in answer.content
        told = answer.headers
        assert told["content-type"] == "image/jpeg"
        assert told["x-content-type-options"] == "nosniff"
        assert told["content-disposition"] == f'attachment; filename="{background_id}.jpg"'
        assert told["cache-control"] == "private, max-age=86400"
        head = await library.api.client.head(url, headers=library.ada)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(answer.content))

    async def test_every_entrance_takes_them_and_makes_the_same(self, library: Library) -> None:
        background_id, client = await library.uploaded(), library.api.client
        by_form = await library.remove(background_id=background_id)
        encoded = base64.b64encode(PICTURE).decode()
        by_json = await client.post(
            REMOVE,
            json={"image": encoded, "background_id": background_id},
            headers={**library.ada, "Accept": "image/png"},
        )
        by_query = await client.post(
            f"{REMOVE}?background_id={background_id}",
            content=PICTURE,
            headers={**library.ada, "Content-Type": "image/png"},
        )
        batch = await client.post(
            f"{REMOVE}-batch",
            files=[("image", ("a.png", PICTURE))],
            data={"background_id": background_id},
            headers=library.ada,
        )
        line = json.loads(batch.text.splitlines()[0])
        in_batch = base64.b64decode(line["processed_image"].partition(",")[2])
        assert by_form.content == by_json.content == by_query.content == in_batch
        assert "background_id" in by_form.headers["x-applied"]
        sent = await client.post(
            REMOVE, files={"image": PICTURE, "bg_image": BEHIND}, headers=library.ada
        )
        difference = np.abs(_pixels(by_form).astype(int) - _pixels(sent).astype(int))
        assert difference.max() <= 4  # it was stored as a JPEG

    @pytest.mark.parametrize(
        ("options", "named"),
        [
            ({"bg_color": "red"}, "bg_color"),
            ({"output": "mask"}, "background_id"),
            ({"output": "parts"}, "background_id"),
            ({"output": "cutout"}, "output"),
        ],
    )
    async def test_what_contradicts_it_is_refused_by_name(
        self, library: Library, options: dict[str, str], named: str
    ) -> None:
        for background_id in ("studio-white", UNKNOWN):
            answer = await library.remove(background_id=background_id, **options)
            assert f"{named}: " in assert_problem(answer, "INVALID_REQUEST")["detail"]

    async def test_one_that_is_sent_along_contradicts_it(self, library: Library) -> None:
        files = {"image": PICTURE, "bg_image": BEHIND}
        answer = await library.api.client.post(REMOVE, files=files, data={"background_id": "white"})
        assert "bg_image: " in assert_problem(answer, "INVALID_REQUEST")["detail"]

    async def test_a_preset_s_colour_makes_way(self, library: Library) -> None:
        assert (await library.remove(preset="studio", background_id="bokeh-night")).is_success

    async def test_nothing_of_its_maker_is_stored(self, library: Library) -> None:
        exif = Image.Exif()
        exif[0x010F] = "a camera of mine"
        data = make_image("JPEG", 200, 300, exif=exif.tobytes(), comment=b"my words")
        await library.uploaded(data)
        (file,) = library.files()
        stored = file.read_bytes()
        for secret in (b"a camera of mine", b"my words", b"Exif", b"p.png", b"ICC_PROFILE"):
            assert secret not in stored

    async def test_only_the_service_may_enter_its_folders(self, library: Library) -> None:
        await library.uploaded()
        (file,) = library.files()
        assert oct(file.stat().st_mode)[-3:] == "600"
        for folder in (file.parent, file.parent.parent):
            assert oct(folder.stat().st_mode)[-3:] == "700"

    async def test_a_large_one_is_stored_at_the_size_that_is_of_use(self, library: Library) -> None:
        wide = await library.upload(save(Image.fromarray(make_noise(100, 5000)), "JPEG"))
        assert wide.json()["size"] == "4096x82"
        thin = await library.upload(make_solid("PNG", 7000, 64, (1, 2, 3)))
        assert thin.json()["size"] == "7000x64"
        for one in (wide, thin):
            assert (await library.remove(background_id=one.json()["id"])).status_code == 200

    async def test_deleting_hurts_no_removal_under_way(self, library: Library) -> None:
        background_id = await library.uploaded()
        library.api.services.remover.models["fake-net"].client.delay_s = 0.5
        under_way = asyncio.create_task(library.remove(background_id=background_id))
        await asyncio.sleep(0.2)
        url = f"{BACKGROUNDS}/{background_id}"
        gone = await library.api.client.delete(url, headers=library.ada)
        assert gone.status_code == 204
        assert (await under_way).status_code == 200


class TestQuotas:
    @pytest.fixture
    def quota(self) -> Quota:
        return Quota(most=3, most_bytes=60_000)

    async def test_no_key_keeps_more_than_its_share(self, library: Library) -> None:
        for _ in range(3):
            await library.uploaded()
        problem = assert_problem(await library.upload(), "BACKGROUND_QUOTA_EXCEEDED")
        assert (problem["backgrounds"], problem["max_backgrounds"]) == (3, 3)
        assert (await library.upload(headers=library.bob)).status_code == 201
        url = f"{BACKGROUNDS}/{(await library.uploads())[0]}"
        await library.api.client.delete(url, headers=library.ada)
        assert (await library.upload()).status_code == 201

    async def test_the_bytes_count_that_are_stored(self, library: Library) -> None:
        noise = save(Image.fromarray(make_noise(100, 100)), "PNG")
        assert (await library.upload(noise)).status_code == 201
        problem = assert_problem(await library.upload(noise), "BACKGROUND_QUOTA_EXCEEDED")
        assert problem["stored_bytes"] <= problem["max_stored_bytes"] == 60_000
        assert len(await library.uploads()) == 1

    async def test_of_uploads_that_race_for_the_last_place_one_gets_it(
        self, library: Library
    ) -> None:
        await library.uploaded()
        await library.uploaded()
        answers = await asyncio.gather(*(library.upload() for _ in range(6)))
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
        assert len(await library.uploads()) == 3

    async def test_replicas_that_race_never_keep_more(
        self, library: Library, tmp_path: Path, quota: Quota
    ) -> None:
        parts = ApiParts(
            keys_file=tmp_path / "keys.json", storage=str(library.folder), backgrounds=quota
        )
        async with open_api(parts) as another:
            other = Library(another, library.folder, library.ada, library.bob, library.ada_id)
            answers = await asyncio.gather(
                *(one.upload() for _ in range(5) for one in (library, other))
            )
            kept = [answer.json()["id"] for answer in answers if answer.status_code == 201]
            assert len(kept) <= 3
            assert set(kept) == set(await library.uploads()) == set(await other.uploads())


class TestFaultsOfTheStorage:
    async def test_one_that_is_gone_is_told_and_hurts_nobody_else(self, library: Library) -> None:
        background_id = await library.uploaded()
        moved = library.folder.with_name("elsewhere")
        library.folder.rename(moved)
        library.api.services.backgrounds._blobs._checked = -100  # type: ignore[union-attr]
        client = library.api.client
        assert_problem(await library.upload(), "STORAGE_UNAVAILABLE")
        assert_problem(await library.remove(background_id=background_id), "STORAGE_UNAVAILABLE")
        for path in ("", *(f"/{background_id}{end}" for end in ("", "/thumbnail", "/picture"))):
            answer = await client.get(BACKGROUNDS + path, headers=library.ada)
            assert_problem(answer, "STORAGE_UNAVAILABLE")
            assert answer.headers["retry-after"] == "5"
        assert not library.folder.exists()
        assert (await library.remove()).status_code == 200
        assert (await library.remove(background_id="studio-white")).status_code == 200
        health = (await client.get(f"{PREFIX}/health")).json()
        assert health["status"] == "degraded"
        assert "the storage does not answer" in health["reasons"]
        moved.rename(library.folder)
        library.api.services.backgrounds._blobs._checked = -100  # type: ignore[union-attr]
        assert (await library.remove(background_id=background_id)).status_code == 200
        health = (await client.get(f"{PREFIX}/health")).json()
        assert health["status"] == "healthy"

    async def test_one_that_is_a_file_is_gone(self, library: Library) -> None:
        shutil.rmtree(library.folder)
        library.folder.write_bytes(b"")
        assert_problem(await library.upload(), "STORAGE_UNAVAILABLE")


class TestBatches:
    @pytest.mark.parametrize("sent_along", [True, False])
    async def test_the_background_is_decoded_once(
        self, library: Library, monkeypatch: pytest.MonkeyPatch, sent_along: bool
    ) -> None:
        background_id = await library.uploaded()
        decoded = []
        real = background_module.decode
        monkeypatch.setattr(
            background_module, "decode", lambda *given: decoded.append(1) or real(*given)
        )
        files = [("image", (f"{i}.png", PICTURE)) for i in range(8)]
        files += [("bg_image", ("b.png", BEHIND))] if sent_along else []
        options = {} if sent_along else {"background_id": background_id}
        answer = await library.api.client.post(
            f"{REMOVE}-batch", files=files, data=options, headers=library.ada
        )
        assert json.loads(answer.text.splitlines()[-1])["succeeded"] == 8
        assert len(decoded) == 1
        assert library.api.services.remover.kept_backgrounds.held == 0

    async def test_one_that_is_none_is_refused_before_anything_is_done(
        self, library: Library
    ) -> None:
        client = library.api.client
        for sent, options, code in (
            ([("bg_image", b"no picture")], {}, "INVALID_FORMAT"),
            ([], {"background_id": UNKNOWN}, "BACKGROUND_NOT_FOUND"),
        ):
            files = [("image", ("a.png", PICTURE)), *sent]
            answer = await client.post(
                f"{REMOVE}-batch", files=files, data=options, headers=library.ada
            )
            assert_problem(answer, code)

    async def test_one_that_is_damaged_fails_each_picture_and_is_decoded_once(
        self, library: Library, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tried = []
        real = background_module.decode
        monkeypatch.setattr(
            background_module, "decode", lambda *given: tried.append(1) or real(*given)
        )
        damaged = save(Image.fromarray(make_noise(200, 200)), "JPEG")[:9000]
        files = [("image", (f"{i}.png", PICTURE)) for i in range(4)]
        answer = await library.api.client.post(
            f"{REMOVE}-batch", files=[*files, ("bg_image", damaged)], headers=library.ada
        )
        *lines, last = map(json.loads, answer.text.splitlines())
        assert last["failed"] == 4
        assert {line["error"]["error_code"] for line in lines} == {"CORRUPT_IMAGE"}
        assert {line["error"]["field"] for line in lines} == {"bg_image"}
        assert len(tried) == 1

    async def test_what_does_not_fit_is_decoded_anew_and_the_batch_goes_on(
        self, library: Library
    ) -> None:
        kept = library.api.services.remover.kept_backgrounds
        kept._max_bytes = 10
        background = Background(
            BEHIND, "bg_image", background_module.STORED_LIMITS, None, kept.take
        )
        background.inspect()
        first, again = background.decode(lambda: None), background.decode(lambda: None)
        assert first is not again
        assert np.array_equal(first, again)
        kept.give_back(background)
        assert kept.held == 0
