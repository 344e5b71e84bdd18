"""`bentoml build`: what the Bento holds, what its image will be, and that it serves by itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from models.engines.trt.driver import probe
from tests.support.pictures import open_image
from tests.support.server import NO_LIMITS, REPOSITORY, BentoServer

U2NETP = "u2netp:309c8469258d-g4"
# Its model apart. Most of it is hashes of the lock, three times over.
BUDGET_BYTES = 4_550_000  # 1.3 MB of them are templates of graphs
# Nobody listens there: what asks a package index fails.
CUT_OFF = {
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_FIND_LINKS": "",
    "UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple",
    "HTTPS_PROXY": "http://127.0.0.1:9",
}


def bentoml(home: Path, *words: str) -> str:
    """Run BentoML's command on a home of its own, without a package index; what it prints."""
    ran = subprocess.run(
        [sys.executable, "-m", "bentoml", *words],
        cwd=REPOSITORY,
        env={
            **os.environ,
            **CUT_OFF,
            "BENTOML_HOME": str(home),
            "BENTOML_DO_NOT_TRACK": "True",
            "BIREFNET_MODEL": "u2netp",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def build(home: Path, *words: str) -> Path:
    """Build the Bento; its folder."""
    tag = bentoml(home, "build", "--output", "tag", *words).split("__tag__:")[1].strip()
    return home / "bentos" / tag.replace(":", "/")


@pytest.fixture(scope="module")
def home(model_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BentoML home with u2netp in its store."""
    home = tmp_path_factory.mktemp("build")
    (home / "models").symlink_to(model_store)
    return home


@pytest.fixture(scope="module")
def bento(home: Path) -> Path:
    """The Bento, for a CPU."""
    return build(home)


@pytest.fixture(scope="module")
def gpu_bento(home: Path) -> Path:
    """The Bento, for an NVIDIA GPU."""
    return build(home, "--arg", "gpu=true")


@pytest.fixture(params=["bento", "gpu_bento"])
def dockerfile(request: pytest.FixtureRequest) -> str:
    """What each flavour's image is built by."""
    folder: Path = request.getfixturevalue(request.param)
    return (folder / "env/docker/Dockerfile").read_text()


def test_the_model_is_frozen_by_its_exact_version(bento: Path) -> None:
    described = yaml.safe_load((bento / "bento.yaml").read_text())
    by_service = {service["name"]: service["models"] for service in described["services"]}
    assert by_service["background_removal"] == []
    assert [model["tag"] for model in by_service["inference"]] == [U2NETP]


def test_it_holds_what_runs_and_its_licences_and_nothing_else(bento: Path) -> None:
    source = bento / "src"
    files = {str(file.relative_to(source)) for file in source.rglob("*") if file.is_file()}
    assert {
        "LICENSE",
        "NOTICE",
        "requirements.lock",
        "models/serving/reference/coffee.jpg",
    } <= files
    kinds = {(name.split("/")[0], Path(name).suffix) for name in files if "/" in name}
    assert kinds == {
        ("service", ".py"),
        *(("service", kind) for kind in (".css", ".html", ".jpg", ".js", ".svg")),  # both pages
        ("models", ".py"),
        ("models", ".json"),
        ("models", ".jpg"),
        ("models", ".png"),
        ("models", ".xz"),  # templates of graphs
        ("scripts", ".py"),
    }
    size = sum(file.stat().st_size for file in bento.rglob("*") if file.is_file())
    assert size < BUDGET_BYTES


def test_every_package_is_pinned_and_has_hashes(bento: Path) -> None:
    text = (bento / "env/python/requirements.txt").read_text().replace("\\\n", " ")
    packages = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    # The one line without is BentoML's own addition, of a package the lock has hashes of.
    assert [line for line in packages if "--hash=sha256:" not in line] == ["bentoml==1.4.39"]
    assert all("==" in line for line in packages)


def test_the_gpu_flavour_brings_tensorrt_and_the_other_does_not(
    bento: Path, gpu_bento: Path
) -> None:
    packages = [
        set(re.findall(r"^([\w-]+)==", (folder / "env/python/requirements.txt").read_text(), re.M))
        for folder in (bento, gpu_bento)
    ]
    assert {"torch", "tensorrt-cu13", "cuda-bindings"} <= packages[1] - packages[0]
    assert "pycuda" not in packages[1]  # it would have to be compiled
    assert packages[0] < packages[1]


def test_the_image_is_slim_and_runs_as_nobody_in_particular(dockerfile: str) -> None:
    assert re.search(r"^FROM python:3\.11-slim-\w+ ", dockerfile, re.M)
    assert not re.search(r"apt-get|build-essential|\bgit\b|gcc", dockerfile)
    assert re.findall(r"^USER (.*)$", dockerfile, re.M)[-1] == "bentoml"


def test_the_image_says_where_it_listens_where_it_writes_and_how_it_feels(dockerfile: str) -> None:
    lines = dockerfile.splitlines()
    assert {"EXPOSE 55433", "VOLUME /data", "ENV BIREFNET_HOST=0.0.0.0"} <= set(lines)
    for name in ("BENTOML_HOME", "BIREFNET_CACHE_DIR", "TMPDIR"):
        last = [line for line in lines if line.startswith(f"ENV {name}=")][-1]
        assert last.startswith(f"ENV {name}=/data")
    (check,) = (line for line in lines if line.startswith("HEALTHCHECK"))
    assert "--interval=30s --timeout=10s --start-period=10m --retries=3" in check
    assert "/api/background-removal/health" in check


@pytest.fixture(scope="module")
def elsewhere(bento: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of another machine, which was given the Bento as one file."""
    folder = tmp_path_factory.mktemp("elsewhere")
    file, tag = folder / "given.bento", f"background_removal:{bento.name}"
    bentoml(home, "export", tag, str(file))
    bentoml(folder / "home", "import", str(file))
    return folder / "home"


@pytest.fixture(scope="module")
def imported_server(elsewhere: Path) -> Iterator[BentoServer]:
    """The Bento served there, beside a version of its model that was registered later."""
    frozen = elsewhere / "models" / U2NETP.replace(":", "/")
    later = shutil.copytree(frozen, frozen.with_name("ffffffffffff-g4"))
    (later / "complete").touch()
    environment = {
        **CUT_OFF,
        **NO_LIMITS,
        "BENTOML_HOME": str(elsewhere),
        "BIREFNET_MODEL": "",
        "PYTHONPATH": "",
    }
    with BentoServer(elsewhere / "models", environment, "background_removal:latest") as server:
        yield server


@pytest.mark.full
def test_a_bento_that_brings_its_model_needs_no_store(
    bento: Path, home: Path, tmp_path: Path
) -> None:
    """The layout of an image: the models lie in the Bento, the home is an empty volume."""
    bentoml(home, "export", f"background_removal:{bento.name}", f"{tmp_path}/given.tar")
    unpacked = tmp_path / "bento"
    shutil.unpack_archive(tmp_path / "given.tar", unpacked)
    environment = {**NO_LIMITS, "BENTOML_HOME": f"{tmp_path}/home", "BIREFNET_MODEL": ""}
    environment |= {"BIREFNET_ENGINE": "fake", "PYTHONPATH": ""}
    with BentoServer(unpacked / "models", environment, str(unpacked)) as server:
        assert f"serving {U2NETP} " in server.log()
        assert list((tmp_path / "home/models").iterdir()) == []


@pytest.mark.skipif(probe() is None, reason="there is a GPU")
@pytest.mark.parametrize("script", ["build_engine", "warmup_tensorrt"])
def test_what_an_operator_runs_in_the_container_is_there(script: str, bento: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", f"scripts.{script}", "--model", "auto"],
        cwd=bento / "src",
        env={**os.environ, "PYTHONPATH": "", "BENTOML_HOME": str(bento.parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].startswith(f"{script}: ")
    assert "no NVIDIA driver is installed" in ran.stderr


@pytest.mark.full
@pytest.mark.weights
def test_an_imported_bento_serves_without_a_package_index(
    imported_server: BentoServer, root: Path
) -> None:
    answer = imported_server.remove((root / "examples/photos/astronaut.jpg").read_bytes())
    assert answer.status_code == 200, answer.text
    cutout = open_image(answer.content)
    assert (cutout.format, cutout.mode) == ("PNG", "RGBA")
    assert cutout.getchannel("A").getextrema() == (0, 255)


@pytest.mark.full
def test_it_serves_the_model_it_was_built_with(imported_server: BentoServer) -> None:
    assert f"serving {U2NETP} " in imported_server.log()


@pytest.mark.full
def test_a_model_it_was_not_built_with_is_refused_in_a_sentence_that_helps(
    elsewhere: Path,
) -> None:
    environment = {"BENTOML_HOME": str(elsewhere), "BIREFNET_MODEL": "modnet", "PYTHONPATH": ""}
    server = BentoServer(elsewhere / "models", environment, "background_removal:latest")
    server.launch()
    try:
        assert server.wait_for_end(30) != 0
        assert "this Bento was built with u2netp, not with modnet" in server.log()
        assert "Traceback" not in server.log()
    finally:
        server.close()


@pytest.mark.full
def test_it_runs_the_code_it_brought(imported_server: BentoServer, elsewhere: Path) -> None:
    assert imported_server.inference.cwd().startswith(str(elsewhere))
