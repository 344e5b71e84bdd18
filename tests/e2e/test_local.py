"""The command `birefnet` where the service is installed: in this process, with the same bytes."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tests.support.command import birefnet, start
from tests.support.pictures import make_image, open_image
from tests.support.server import REPOSITORY, BentoServer

PHOTO = make_image("PNG", 96, 128)


@pytest.fixture(scope="module")
def installed(model_store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the service offers itself, as its own distribution says it does."""
    folder = tmp_path_factory.mktemp("installed")
    record = folder / "birefnet_background_removal-0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Name: birefnet-background-removal\nVersion: 0\n")
    (record / "entry_points.txt").write_text(
        "[birefnet.backend]\nlocal = service.local:LocalRemover\n"
    )
    (folder / "models").symlink_to(model_store)
    return {
        "PYTHONPATH": f"{REPOSITORY / 'client'}:{REPOSITORY}:{folder}",
        "BENTOML_HOME": str(folder),
        "BENTOML_DO_NOT_TRACK": "True",
        "BIREFNET_CACHE_DIR": str(folder / "cache"),
        "BIREFNET_STORAGE_URL": str(folder / "storage"),
        "BIREFNET_MODEL": "u2netp",
    }


@pytest.fixture(scope="module")
def fake(installed: dict[str, str]) -> dict[str, str]:
    return {**installed, "BIREFNET_ENGINE": "fake"}


def test_the_service_says_where_its_remover_is(root: Path) -> None:
    assert 'local = "service.local:LocalRemover"' in (root / "pyproject.toml").read_text()


def test_in_process_over_http_and_curl_give_the_same_bytes(
    fake: dict[str, str], fake_server: BentoServer, tmp_path: Path
) -> None:
    words = ("-", "--bg", "studio-gray", "--format", "webp", "--option", "shadow=contact")
    here = birefnet(*words, stdin=PHOTO, cwd=tmp_path, **fake)
    there = birefnet(*words, stdin=PHOTO, url=fake_server.url(""))
    form = {"background_id": "studio-gray", "format": "webp", "shadow": "contact"}
    assert here.stdout == there.stdout == fake_server.remove(PHOTO, **form).content, here.stderr


@pytest.mark.full
def test_a_real_model_gives_the_same_bytes_too(
    installed: dict[str, str], real_server: BentoServer, astronaut: bytes, tmp_path: Path
) -> None:
    here = birefnet("-", stdin=astronaut, cwd=tmp_path, **installed)
    assert here.stdout == real_server.remove(astronaut).content, here.stderr


@pytest.mark.full
def test_a_folder_is_done_in_process_and_an_error_is_the_service_s(
    fake: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "in/deep").mkdir(parents=True)
    for name, data in {"a.png": PHOTO, "deep/b.png": PHOTO, "deep/c.jpg": b"broken"}.items():
        (tmp_path / "in" / name).write_bytes(data)
    ran = birefnet("in", "-o", "out", "--mask", "--json", cwd=tmp_path, **fake)
    assert ran.returncode == 1, ran.stderr
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    assert told[-1] == {"status": "finished", "done": 2, "skipped": 0, "failed": 1, "left": 0}
    assert {one.get("error_code") for one in told if one["status"] == "failed"} == {
        "INVALID_FORMAT"
    }
    assert {one["model"] for one in told if one["status"] == "done"} == {"u2netp"}
    assert open_image((tmp_path / "out/deep/b.png").read_bytes()).mode == "L"
    wrong = birefnet("-", "--option", "bg_blur=99", stdin=PHOTO, cwd=tmp_path, **fake)
    assert wrong.returncode == 2
    assert b"bg_blur: Expected less than or equal to 10" in wrong.stderr


@pytest.mark.full
def test_no_model_is_told_in_one_line(fake: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PHOTO)
    ran = birefnet("a.png", cwd=tmp_path, **{**fake, "BENTOML_HOME": str(tmp_path / "empty")})
    assert (ran.returncode, ran.stdout) == (3, b"")
    assert b"make model" in ran.stderr
    assert b"Traceback" not in ran.stderr
    ran = birefnet("a.png", cwd=tmp_path, **{**fake, "BIREFNET_MODLE": "u2net"})
    assert ran.returncode == 3
    assert b"did you mean BIREFNET_MODEL" in ran.stderr


@pytest.mark.full
def test_engines_that_open_and_do_not_run_end_all_in_one_line(
    installed: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text(
        "from models.engines.onnx_runtime import OnnxRuntimeEngine\n"
        "from models.engines.openvino import OpenVinoEngine\n"
        "from models.errors import InferenceFailed\n"
        "from service.local import LocalRemover\n"
        "def fail(*_):\n"
        "    raise InferenceFailed('a kernel this CPU does not have')\n"
        "OpenVinoEngine.predict = OnnxRuntimeEngine.predict = fail\n"
    )
    record = tmp_path / "birefnet_background_removal-0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Name: birefnet-background-removal\nVersion: 0\n")
    offered = "[birefnet.backend]\nlocal = broken:LocalRemover\n"
    (record / "entry_points.txt").write_text(offered)
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(PHOTO)
    paths = {"PYTHONPATH": f"{tmp_path}:{installed['PYTHONPATH']}"}
    ran = birefnet("a.png", "b.png", cwd=tmp_path, **{**installed, **paths})
    assert (ran.returncode, ran.stdout) == (3, b""), ran.stderr
    assert b"openvino" in ran.stderr
    assert b"onnxruntime" in ran.stderr
    assert b"Traceback" not in ran.stderr


@pytest.mark.full
def test_an_interrupt_in_process_ends_at_once(fake: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(300):
        (tmp_path / "in" / f"{number}.png").write_bytes(make_image("PNG", 700, 700))
    ran = start(tmp_path / "in", "-o", tmp_path / "out", **fake)
    give_up = time.monotonic() + 60
    while not (tmp_path / "out").is_dir():
        assert time.monotonic() < give_up
        time.sleep(0.05)
    ran.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, told = ran.communicate(timeout=20)
    assert (ran.returncode, told.count(b"Traceback")) == (130, 0), told
    assert time.monotonic() - began < 5
    assert not list((tmp_path / "out").glob(".*"))
