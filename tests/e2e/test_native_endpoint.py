"""BentoML's own door: its clients, and the same manners as the mounted route."""

from __future__ import annotations

import asyncio
import gc
import pickle
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.support.pictures import make_image, make_noise, make_solid, open_image, save
from tests.support.problems import assert_problem
from tests.support.server import PREFIX, BentoServer

with warnings.catch_warnings(action="ignore"):  # what BentoML imports is not ours to mend
    from bentoml import AsyncHTTPClient, SyncHTTPClient

NATIVE = "/remove_background"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "portrait.png"
    file.write_bytes(make_image("PNG", 80, 120))
    return file


@pytest.fixture
def _clients_that_litter() -> Iterator[None]:
    """BentoML's clients leave their temporary folder to the garbage collector, which complains."""
    yield
    with warnings.catch_warnings(action="ignore"):
        gc.collect()


@pytest.mark.usefixtures("_clients_that_litter")
@pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")
def test_the_sync_client_gets_the_cutout(fake_server: BentoServer, picture: Path) -> None:
    with SyncHTTPClient(fake_server.url("")) as client:
        cutout = client.remove_background(image=picture, smoothing=False)
        plain = fake_server.remove(picture.read_bytes(), smoothing="false").content
        assert np.array_equal(open_image(Path(cutout).read_bytes()), open_image(plain))


@pytest.mark.usefixtures("_clients_that_litter")
@pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")
def test_the_client_has_every_verb_and_every_option(
    fake_server: BentoServer, picture: Path
) -> None:
    options = {"preset": "studio", "format": "webp", "crop_margin": "3px"}
    with SyncHTTPClient(fake_server.url("")) as client:
        made = client.remove_background(image=picture, bg_image=picture, feather=2.5, **options)
        files = {"image": ("a.png", picture.read_bytes()), "bg_image": ("b", picture.read_bytes())}
        plain = httpx.post(fake_server.url(), files=files, data={**options, "feather": "2.5"})
        assert Path(made).read_bytes() == plain.content
        assert client.list_models() == fake_server.get(f"{PREFIX}/models").json()
        assert client.read_info() == fake_server.get(f"{PREFIX}/info").json()


@pytest.mark.usefixtures("_clients_that_litter")
@pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")
def test_the_async_client_gets_the_cutout(fake_server: BentoServer, picture: Path) -> None:
    async def ask() -> bytes:
        async with AsyncHTTPClient(fake_server.url("")) as client:
            return Path(await client.remove_background(image=picture)).read_bytes()

    image = open_image(asyncio.run(ask()))
    assert (image.format, image.mode, image.size) == ("PNG", "RGBA", (120, 80))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"%PDF-1.7 nothing to see", "INVALID_FORMAT"),
        (b"", "EMPTY_FILE"),
        (bytes(10 * 1024**2 + 1), "FILE_TOO_LARGE"),
        (make_solid("PNG", 7680, 7680, mode="1"), "IMAGE_BOMB"),
        (make_image("PNG")[:400], "CORRUPT_IMAGE"),
        (make_image("PNG", 63, 64), "RESOLUTION_TOO_SMALL"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_picture_is_the_same_problem_at_both_doors(
    fake_server: BentoServer, data: bytes, code: str
) -> None:
    native = assert_problem(fake_server.remove(data, path=NATIVE), code)
    mounted = assert_problem(fake_server.remove(data), code)
    assert {**native, "request_id": ""} == {**mounted, "request_id": ""}


def test_a_bad_option_is_the_same_problem_at_both_doors(fake_server: BentoServer) -> None:
    for path in (NATIVE, "/api/background-removal/remove"):
        answer = fake_server.remove(make_image("PNG"), path=path, smoothing="perhaps")
        assert_problem(answer, "INVALID_REQUEST")


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "form"])
def test_an_address_in_place_of_a_file_is_refused_and_not_fetched(
    fake_server: BentoServer, as_json: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bait:
        address = f"http://127.0.0.1:{bait.getsockname()[1]}/a.png"
        form = {"json": {"image": address}} if as_json else {"files": {"image": (None, address)}}
        answer = httpx.post(fake_server.url(NATIVE), timeout=20, **form)  # type: ignore[arg-type]
        assert_problem(answer, "INVALID_REQUEST")
        bait.settimeout(0.5)
        with pytest.raises(TimeoutError):
            bait.accept()


def test_pickle_is_refused_without_being_read(fake_server: BentoServer, tmp_path: Path) -> None:
    trace = tmp_path / "unpickled"

    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (trace,))

    answer = httpx.post(
        fake_server.url(NATIVE),
        content=pickle.dumps(Trap()),
        headers={"Content-Type": "application/vnd.bentoml+pickle"},
        timeout=20,
    )
    assert answer.status_code == 415
    assert set(answer.json()) == {"detail", "error_code", "request_id"}
    assert not trace.exists()


def test_the_native_endpoint_takes_a_file_of_almost_the_limit(fake_server: BentoServer) -> None:
    large = save(Image.fromarray(make_noise(1750, 1750)), "PNG", compress_level=0)
    assert 9e6 < len(large) < 10 * 1024**2
    assert fake_server.remove(large, path=NATIVE).status_code == 200
