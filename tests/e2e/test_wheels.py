"""What is installed: each wheel in an empty environment, and no file in two of them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.pictures import make_image, open_image
from tests.support.server import REPOSITORY, BentoServer

pytestmark = [pytest.mark.full, pytest.mark.index]

_LEFT_OUT = shutil.ignore_patterns("*.egg-info", "__pycache__", "build")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels of the client and of the service, built from copies."""
    folder, built = tmp_path_factory.mktemp("sources"), {}
    shutil.copytree(REPOSITORY / "client", folder / "client", ignore=_LEFT_OUT)
    for name in ("service", "models", "scripts"):
        shutil.copytree(REPOSITORY / name, folder / "service" / name, ignore=_LEFT_OUT)
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copyfile(REPOSITORY / name, folder / "service" / name)
    for name in ("client", "service"):
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
        subprocess.run([*command, "-w", folder, folder / name], check=True)
    for file in folder.glob("*.whl"):
        built["client" if "client" in file.name else "service"] = file
    return built


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def text_in(wheel: Path, name: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (found,) = (one for one in archive.namelist() if one.endswith(f".dist-info/{name}"))
        return archive.read(found).decode()


def test_no_file_is_in_two_distributions(wheels: dict[str, Path]) -> None:
    client, service = names_in(wheels["client"]), names_in(wheels["service"])
    assert "birefnet_client/py.typed" in client
    assert all(name.startswith("birefnet_client/") for name in client)
    assert "service/local/__init__.py" in service
    assert not client & service


def test_one_offers_the_command_and_the_other_its_backend(wheels: dict[str, Path]) -> None:
    assert "birefnet = birefnet_client.command:main" in text_in(
        wheels["client"], "entry_points.txt"
    )
    offered = text_in(wheels["service"], "entry_points.txt")
    assert "[birefnet.backend]\nlocal = service.local:LocalRemover" in offered
    assert "[console_scripts]\nbirefnet-batch = service.bulk.command:main" in offered
    assert "birefnet =" not in offered


def test_the_command_works_right_after_pip_install(
    wheels: dict[str, Path], fake_server: BentoServer, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    venv.create(empty, with_pip=True)
    subprocess.run([empty / "bin/pip", "install", "-q", wheels["client"]], check=True)
    (tmp_path / "photo.png").write_bytes(make_image("PNG", 96, 128))
    command = [empty / "bin/birefnet", "photo.png", "--server", fake_server.url("")]
    ran = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, b"")
    made = (tmp_path / "photo-cutout.png").read_bytes()
    assert open_image(made).size == (128, 96)
    program = "from birefnet_client import Client; c = Client(); print(c); c.close()"
    told = subprocess.run([empty / "bin/python", "-c", program], capture_output=True, check=True)
    assert b"Client('http://localhost:55433/api/background-removal')" in told.stdout
    installed = [empty / "bin/pip", "list", "--format", "freeze", "--exclude", "setuptools"]
    listed = subprocess.run(installed, capture_output=True, check=True, text=True).stdout
    names = {line.partition("==")[0].lower() for line in listed.splitlines()} - {"pip"}
    assert names <= {"birefnet-client", "httpx", "httpcore", "anyio", "certifi", "h11", "idna"} | {
        "typing-extensions",
        "typing_extensions",
        "sniffio",
        "exceptiongroup",
    }
