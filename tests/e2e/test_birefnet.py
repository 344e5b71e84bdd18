"""A BiRefNet from its checkpoint to a cutout: registered from a file, served, asked, named.

The published network at its size; a small one is exported, registered and opened as a service would
open it in `tests/integration/test_birefnet_export.py`.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from models.birefnet import build_birefnet
from models.birefnet.seeded import seed_weights
from tests.support.server import NO_LIMITS, REPOSITORY, BentoServer

NAME = "BiRefNet-general-lite"
#: One pass at 1024 x 1024 takes some 4 s on two cores; the client gives up after 60.
PATIENCE_S = 60

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file as it would come from the hub, with weights made up from their names."""
    with torch.device("meta"):
        network = build_birefnet("swin_v1_t")
    network.to_empty(device="cpu")
    seed_weights(network, head_scale=2.0)
    file = tmp_path_factory.mktemp("checkpoint") / "model.safetensors"
    save_file(network.state_dict(), file)
    return file


@pytest.fixture(scope="module")
def home(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BentoML home in which the checkpoint is registered."""
    home = tmp_path_factory.mktemp("bentoml-home")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "scripts.register_model", "--model", NAME),
            *("--from-file", str(checkpoint), "--output-dir", str(home / "files")),
        ],
        cwd=REPOSITORY,
        env={**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "BiRefNet swin_v1_t, MIT" in done.stdout
    return home


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[BentoServer]:
    settings = {"BIREFNET_MODEL": NAME, "BIREFNET_PROCESSING_TIMEOUT_SEC": str(PATIENCE_S)}
    with BentoServer(home / "models", {**NO_LIMITS, **settings}) as server:
        yield server


def test_health_says_which_backbone_engine_and_precision_serve(server: BentoServer) -> None:
    health = server.health()
    assert health["status"] == "healthy"
    assert health["model"] == NAME
    assert health["architecture"] == "BiRefNet swin_v1_t"
    assert health["engine"] == "openvino f32"
    assert health["reasons"] == []


def test_a_photograph_gets_a_cutout_that_is_neither_empty_nor_full(server: BentoServer) -> None:
    photo = (REPOSITORY / "examples/photos/astronaut.jpg").read_bytes()
    answer = server.remove(photo)
    assert answer.status_code == 200
    assert answer.headers["X-Model-Version"] == NAME
    alpha = np.asarray(Image.open(io.BytesIO(answer.content)).getchannel("A"))
    assert alpha.shape == (512, 512)
    assert np.percentile(alpha, 95) - np.percentile(alpha, 5) > 128


def test_a_bento_of_another_model_serves_it_once_it_is_imported(
    home: Path, model_store: Path, tmp_path: Path
) -> None:
    """What an operator does with a container that was built without it: no PyTorch, no network."""
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "models").symlink_to(model_store)
    bentoml(tmp_path / "build", "build", BIREFNET_MODEL="u2netp")
    given, bento = tmp_path / "given.tar", tmp_path / "bento"
    bentoml(tmp_path / "build", "export", "background_removal:latest", str(given))
    shutil.unpack_archive(given, bento)
    file = str(tmp_path / "model.tar")
    bentoml(home, "models", "export", f"{NAME.lower()}:latest", file)
    bentoml(tmp_path / "home", "models", "import", file)
    settings = {"BIREFNET_MODEL": NAME, "BIREFNET_ENGINE": "fake", "PYTHONPATH": ""}
    settings["BENTOML_HOME"] = str(tmp_path / "home")
    with BentoServer(bento / "models", {**NO_LIMITS, **settings}, str(bento)) as server:
        assert server.health()["model"] == NAME
        assert f"serving {NAME.lower()}:" in server.log()


def bentoml(home: Path, *words: str, **environment: str) -> None:
    """Run BentoML's command on a home."""
    subprocess.run(
        [sys.executable, "-m", "bentoml", *words],
        cwd=REPOSITORY,
        env={
            **os.environ,
            **environment,
            "BENTOML_HOME": str(home),
            "BENTOML_DO_NOT_TRACK": "True",
        },
        check=True,
    )
