"""A batch: each picture its own result or error, counted one by one, in lines or as a ZIP."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from typing import Any

import httpx
import pytest

from service.access.rate_limit import RateLimitConfig
from tests.support.api import REMOVE, Api, ApiParts, open_api
from tests.support.matting import FakeMattingClient
from tests.support.pictures import make_image
from tests.support.problems import assert_problem

pytestmark = pytest.mark.anyio

BATCH = f"{REMOVE}-batch"
KINDS = ("PNG", "JPEG", "WEBP", "BMP")
BAD = {
    3: (b"", "EMPTY_FILE"),
    9: (b"no picture", "INVALID_FORMAT"),
    10: (make_image("PNG")[:200], "CORRUPT_IMAGE"),
    17: (make_image("PNG", 10, 10), "RESOLUTION_TOO_SMALL"),
    25: (b"qoif" + bytes(20), "INVALID_FORMAT"),
    31: (make_image("JPEG")[:300], "CORRUPT_IMAGE"),
    49: (b"%PDF-1.7", "INVALID_FORMAT"),
}


def pictures(count: int = 50, bad: bool = True) -> list[bytes]:
    """Pictures of all kinds, some of them none."""
    made = [make_image(KINDS[i % 4], 80 + i, 100) for i in range(count)]
    for place, (data, _) in BAD.items():
        if bad and place < count:
            made[place] = data
    return made


async def send(
    api: Api, files: list[bytes], field: str = "image", **options: str
) -> httpx.Response:
    sent = [(field, (f"p{i}.x", data)) for i, data in enumerate(files)]
    return await api.client.post(BATCH, files=sent, data=options)


def lines_of(answer: httpx.Response) -> tuple[dict[int, dict[str, Any]], dict[str, Any]]:
    """Each picture's line by its place, and the last line."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    *lines, last = map(json.loads, answer.text.splitlines())
    assert [line["progress"]["done"] for line in lines] == list(range(1, len(lines) + 1))
    return {line["index"]: line for line in lines}, last


async def test_one_bad_picture_hurts_no_other(api: Api) -> None:
    files = pictures()
    lines, last = lines_of(await send(api, files, format="webp"))
    assert set(lines) == set(range(50))
    assert (last["status"], last["succeeded"], last["failed"]) == ("finished", 43, 7)
    for place, line in lines.items():
        assert line["filename"] == f"p{place}.x"
        assert line["progress"]["total"] == 50
        if place in BAD:
            assert (line["status"], line["error"]["error_code"]) == ("failed", BAD[place][1])
            assert line["error"]["request_id"]
        else:
            alone = await api.remove(files[place], format="webp")
            data = base64.b64decode(line["processed_image"].partition(",")[2])
            assert data == alone.content
            assert line["processing_info"]["output_size"] == alone.headers["x-output-size"]


async def test_a_zip_holds_the_files_and_a_manifest(api: Api) -> None:
    api.client.headers["Accept"] = "application/zip"
    files = pictures(12)
    answer = await send(api, files, output="mask")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        told = json.loads(archive.read("manifest.json"))
        assert (told["succeeded"], told["failed"]) == (9, 3)
        assert [one["index"] for one in told["pictures"]] == list(range(12))
        names = [one["file"] for one in told["pictures"] if one["status"] == "done"]
        assert {*names, "manifest.json"} == set(archive.namelist())
        assert names[0] == "0001_p0_mask.png"
        alone = await api.client.post(
            REMOVE, files={"image": files[0]}, data={"output": "mask"}, headers={"Accept": "*/*"}
        )
        assert archive.read(names[0]) == alone.content
    assert told["pictures"][3]["error"]["error_code"] == "EMPTY_FILE"


async def test_every_picture_counts_and_the_rest_hear_when_to_come_back() -> None:
    async with open_api(ApiParts(limits=RateLimitConfig(30, 0, 0))) as api:
        lines, last = lines_of(await send(api, pictures(bad=False)))
        refused = [place for place, line in lines.items() if line["status"] == "failed"]
        assert sorted(refused) == list(range(30, 50))
        for place in refused:
            error = lines[place]["error"]
            assert error["error_code"] == "RATE_LIMIT_EXCEEDED"
            assert 0 < error["retry_after_seconds"] <= 60
        assert (last["succeeded"], last["failed"]) == (30, 20)
        assert_problem(await send(api, pictures(1)), "RATE_LIMIT_EXCEEDED")


@pytest.mark.parametrize("field", ["image", "images", "images[]"])
async def test_the_field_may_be_called_as_people_call_it(api: Api, field: str) -> None:
    _, last = lines_of(await send(api, pictures(2), field))
    assert last["succeeded"] == 2


async def test_what_is_wrong_with_the_whole_is_refused_before_anything_is_done() -> None:
    matting = FakeMattingClient()
    async with open_api(ApiParts(matting)) as api:
        for files, options, told in (
            (pictures(51), {}, "At most 50 pictures"),
            (pictures(2), {"crop": "maybe"}, "crop: Expected true or false"),
            (pictures(2), {"return_base64": "true"}, "lines of JSON"),
            (pictures(2), {"model": "BiRefNet-general"}, "served are fake-net"),
            (pictures(2), {"smothing": "true"}, "did you mean smoothing?"),
            (pictures(2), {"format": "jpeg"}, "JPEG has no transparency"),
        ):
            answer = await send(api, files, **options)
            assert told in assert_problem(answer, "INVALID_REQUEST")["detail"]
        nothing = await api.client.post(BATCH, files={"bg_image": make_image("PNG")})
        assert "image: Field required" in assert_problem(nothing, "INVALID_REQUEST")["detail"]
        headers = {"Content-Encoding": "gzip"}
        zipped = await api.client.post(BATCH, files={"image": b"x"}, headers=headers)
        assert "Content-Encoding" in assert_problem(zipped, "INVALID_REQUEST")["detail"]
        api.client.headers["Accept"] = "image/png"
        assert_problem(await send(api, pictures(1)), "NOT_ACCEPTABLE")
        assert matting.calls == 0


async def test_no_more_pictures_than_the_lane_takes_are_worked_on_and_others_pass() -> None:
    matting = FakeMattingClient(delay_s=0.05)
    async with open_api(ApiParts(matting)) as api:
        api.services.remover.open_batch_lane(2)
        lines_of(await send(api, pictures(12, bad=False)))
        assert matting.most_at_once == 2
        api.services.remover.batch_lane = _Shut()  # type: ignore[assignment]
        assert (await api.remove(make_image("PNG"))).status_code == 200


async def test_a_fault_nobody_foresaw_is_one_pictures_own() -> None:
    matting = FakeMattingClient(faults=(ZeroDivisionError("secret"),))
    async with open_api(ApiParts(matting)) as api:
        answer = await send(api, pictures(3, bad=False))
        _, last = lines_of(answer)
        assert (last["succeeded"], last["failed"]) == (2, 1)
        assert "INTERNAL_ERROR" in answer.text
        assert "secret" not in answer.text


async def test_a_stop_ends_a_batch_after_what_has_begun() -> None:
    async with open_api(ApiParts(FakeMattingClient(delay_s=0.05))) as api:
        api.services.remover.open_batch_lane(1)
        real, begun = api.services.remover.remove, 0

        async def stop_at_the_third(*given: Any, **more: Any) -> Any:
            nonlocal begun
            begun += 1
            if begun == 3:
                api.draining.set()
            return await real(*given, **more)

        api.services.remover.remove = stop_at_the_third  # type: ignore[method-assign]
        lines, last = lines_of(await send(api, pictures(8, bad=False)))
        assert (last["succeeded"], last["failed"]) == (3, 5)
        codes = {line["error"]["error_code"] for line in lines.values() if "error" in line}
        assert codes == {"SHUTTING_DOWN"}


class _Shut:
    """A lane that nobody gets into."""

    async def __aenter__(self) -> None:
        raise AssertionError("an interactive request waited for batches")

    async def __aexit__(self, *_: object) -> None:
        raise AssertionError
