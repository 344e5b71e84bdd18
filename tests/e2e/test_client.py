"""The Python client against a real service."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from birefnet_client import AsyncClient, Client, RemovalError
from tests.support.keys import issue_key
from tests.support.pictures import make_image, make_portrait
from tests.support.server import BentoServer, Serve

PHOTO = make_image("PNG", 96, 128)


@pytest.fixture(scope="module")
def client(fake_server: BentoServer) -> Iterator[Client]:
    with Client(fake_server.url("")) as opened:
        yield opened


def test_the_bytes_are_those_that_curl_gets(client: Client, fake_server: BentoServer) -> None:
    cutout = client.remove(PHOTO, output="mask", format="webp", smoothing=False)
    form = {"output": "mask", "format": "webp", "smoothing": "false"}
    assert cutout.data == fake_server.remove(PHOTO, **form).content
    assert cutout.info.output_size == cutout.info.original_size == (128, 96)
    assert cutout.info.model == "u2netp"
    assert cutout.info.took_ms
    assert cutout.info.request_id


def test_every_form_of_a_picture_gives_the_same_cutout(client: Client, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PHOTO)
    image = Image.open(io.BytesIO(PHOTO))
    cutouts = {
        client.remove(source).data
        for source in (tmp_path / "a.png", PHOTO, io.BytesIO(PHOTO), image, np.asarray(image))
    }
    assert len(cutouts) == 1


def test_a_background_picture_is_sent_beside_the_picture(client: Client, tmp_path: Path) -> None:
    (tmp_path / "bg.png").write_bytes(make_image("PNG", 64, 64))
    composite = client.remove(PHOTO, bg_image=tmp_path / "bg.png", format="jpeg")  # type: ignore[arg-type]
    assert composite.media_type == "image/jpeg"
    assert composite.array().shape == (96, 128, 3)


def test_an_error_says_all_that_the_service_says(client: Client) -> None:
    with pytest.raises(RemovalError, match="smooting: There is no such field") as told:
        client.remove(PHOTO, smooting=True)  # type: ignore[call-arg]
    error = told.value
    assert (error.code, error.status, error.is_passing) == ("INVALID_REQUEST", 422, False)
    assert error.fields["errors"][0]["loc"] == ["body", "smooting"]
    assert error.request_id
    with pytest.raises(RemovalError) as told:
        client.remove(b"no picture")
    assert told.value.fields["supported_formats"]


def test_what_reads_reads(client: Client) -> None:
    assert client.health().status in ("healthy", "degraded")
    assert client.info().limits.min_side == 64
    assert client.models()[0].name == "u2netp"
    templates = client.backgrounds().backgrounds
    assert client.background(templates[0].id) == templates[0]
    assert client.background_thumbnail(templates[0].id).startswith(b"\xff\xd8")
    assert client.background_picture(templates[0].id).startswith(b"\xff\xd8")


def test_a_batch_tells_each_picture_s_end(client: Client) -> None:
    good, bad = client.remove_batch([PHOTO, b"no picture"], output="mask")
    assert good.cutout is not None
    assert good.cutout.data == client.remove(PHOTO, output="mask").data
    assert good.cutout.info.output_size == (128, 96)
    assert bad.error is not None
    assert bad.error.code == "INVALID_FORMAT"


def test_a_task_is_taken_on_waited_for_fetched_and_deleted(client: Client) -> None:
    task = client.remove_later(PHOTO, idempotency_key="of-this-test")
    assert client.remove_later(PHOTO, idempotency_key="of-this-test").task_id == task.task_id
    cutout = client.result(task.task_id, wait_s=60)
    assert cutout.data == client.remove(PHOTO).data
    assert client.task(task.task_id).status == "completed"
    client.delete_task(task.task_id)
    with pytest.raises(RemovalError) as told:
        client.result(task.task_id, wait_s=60)
    assert told.value.code == "TASK_NOT_FOUND"
    lost = client.remove_later(PHOTO[: len(PHOTO) // 2])
    with pytest.raises(RemovalError) as told:
        client.result(lost.task_id, wait_s=60)
    assert told.value.code == "CORRUPT_IMAGE"
    entries = client.remove_batch_later([PHOTO, b"no picture"])
    assert [entry.task is not None for entry in entries] == [True, False]
    failed = entries[1].error
    assert failed is not None
    assert failed.error_code == "INVALID_FORMAT"


def test_the_asynchronous_client_gives_the_same(client: Client, fake_server: BentoServer) -> None:
    async def ask() -> tuple[bytes, list[bool], str]:
        async with AsyncClient(fake_server.url("")) as other:
            cutout = await other.remove(PHOTO)
            batch = await other.remove_batch([PHOTO, b"no"])
            return cutout.data, [item.error is None for item in batch], (await other.health()).model

    assert asyncio.run(ask()) == (client.remove(PHOTO).data, [True, False], "u2netp")


def test_both_clients_do_a_tree_and_only_once(
    client: Client, fake_server: BentoServer, tmp_path: Path
) -> None:
    for name in ("a/x.png", "b/x.png", "b/bad.jpg"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(PHOTO if "x" in name else b"broken")

    async def again() -> list[bool]:
        async with AsyncClient(fake_server.url("")) as other:
            ran = other.remove_many([tmp_path / "in"], tmp_path / "out", workers=2)
            return sorted([done.skipped async for done in ran])

    first = list(client.remove_many([tmp_path / "in"], tmp_path / "out", output="mask"))
    failed = [done for done in first if done.error]
    assert [done.source.name for done in failed] == ["bad.jpg"]
    assert asyncio.run(again()) == [False, True, True]
    written = [file.relative_to(tmp_path / "out").as_posix() for file in tmp_path.rglob("out/*/*")]
    assert sorted(written) == ["a/x.png", "b/x.png"]
    assert (tmp_path / "out/b/x.png").read_bytes() == client.remove(PHOTO, output="mask").data


def test_whoever_stops_asking_ends_the_work(client: Client, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(30):
        (tmp_path / "in" / f"{number}.png").write_bytes(PHOTO)
    ran = client.remove_many([tmp_path / "in"], tmp_path / "out", workers=2)
    next(ran)
    ran.close()
    there = len(list((tmp_path / "out").iterdir()))
    assert 1 <= there < 30
    client.remove(PHOTO)  # the client goes on
    assert len(list((tmp_path / "out").iterdir())) == there


def test_no_service_is_told_as_soon_as_patience_ends() -> None:
    with Client("http://127.0.0.1:9", patience_s=0) as nobody, pytest.raises(RemovalError) as told:
        nobody.remove(PHOTO)
    assert told.value.code == "CONNECTION_LOST"
    assert "127.0.0.1:9" in str(told.value)


@pytest.mark.full
def test_a_key_opens_what_needs_one_and_is_shown_nowhere(serve: Serve, tmp_path: Path) -> None:
    key, _ = issue_key(tmp_path / "keys.json")
    with (
        serve(BIREFNET_KEYS_FILE=str(tmp_path / "keys.json"), BIREFNET_WEBHOOKS="true") as server,
        Client(server.url(""), api_key=key) as client,
    ):
        assert key not in repr(client) + str(vars(client.health()))
        added = client.upload_background(make_portrait(), name="Ours")
        assert client.backgrounds().backgrounds[-1] == added
        client.delete_background(added.id)
        assert client.tasks() == []
        assert client.webhook_secret().startswith("whsec_")
        with Client(server.url(""), api_key="wrong") as stranger:
            with pytest.raises(RemovalError) as told:
                stranger.remove(PHOTO)
            assert (told.value.code, told.value.status) == ("INVALID_API_KEY", 401)
            assert "wrong" not in str(told.value)
