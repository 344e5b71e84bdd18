"""A checkpoint given by hand, of which nobody published a hash: judged by what it holds."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from models.catalog import CUSTOM_NAME, find
from models.checkpoints.download import Hub, adopt, download
from models.checkpoints.provenance import GIVEN, read_provenance
from models.errors import CheckpointMismatch, DownloadFailed
from models.store.register import identify
from scripts.download_model import main as download_model
from scripts.register_model import main as register_model
from tests.support.checkpoints import make_state, write

LITE = find("BiRefNet-general-lite")


@pytest.fixture(scope="module")
def lite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(make_state("swin_v1_t"), tmp_path_factory.mktemp("given"), "epoch_232.pth")


@pytest.fixture(scope="module")
def other_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(make_state("pvt_v2_b0"), tmp_path_factory.mktemp("other"), "fine-tuned.pth")


def test_it_is_adopted_recorded_and_then_taken_for_the_model(
    lite_file: Path, tmp_path: Path
) -> None:
    file = adopt(LITE, lite_file, tmp_path)
    assert file.name == "BiRefNet-general-lite.pth"
    assert file.read_bytes() == lite_file.read_bytes()
    record = read_provenance(tmp_path, LITE.name)
    assert record is not None
    assert (record.origin, record.revision) == (GIVEN, "epoch_232.pth")
    assert record.sha256 == hashlib.sha256(lite_file.read_bytes()).hexdigest()
    assert download(LITE, tmp_path, hub=Hub("http://127.0.0.1:9")) == file


def test_a_given_file_that_was_changed_is_not_taken_for_the_model(
    lite_file: Path, tmp_path: Path
) -> None:
    file = adopt(LITE, lite_file, tmp_path)
    file.write_bytes(b"changed")
    with pytest.raises(DownloadFailed, match="could not be downloaded"):
        download(LITE, tmp_path, hub=Hub("http://127.0.0.1:9"))


def test_the_checkpoint_of_another_model_is_not_adopted(other_file: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointMismatch, match="pvt_v2_b0, and BiRefNet-general-lite has swin"):
        adopt(LITE, other_file, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_a_catalogues_name_is_that_model_and_any_other_is_ones_own(
    lite_file: Path, other_file: Path, tmp_path: Path
) -> None:
    named = tmp_path / "BiRefNet-portrait.safetensors"
    named.write_bytes(lite_file.read_bytes())
    assert identify(named).spec is find("BiRefNet-portrait")
    own = identify(other_file).spec
    assert (own.name, own.backbone) == (CUSTOM_NAME, "pvt_v2_b0")


def test_the_script_says_what_a_wrong_file_is(
    other_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "model.safetensors"
    wrong.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    options = ["--model", LITE.name, "--output-dir", str(tmp_path / "models"), "--from-file"]
    for file, said in ((wrong, "is a git-lfs pointer"), (other_file, "has the backbone pvt_v2_b0")):
        assert download_model([*options, str(file)]) == 1
        assert said in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_a_file_given_under_an_alias_is_told_what_it_serves_as(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--from-file", str(tmp_path / "gone.pth"), "--model", "BiRefNet-product"]
    assert register_model(given) == 1
    assert "no BiRefNet-product was ever published" in capsys.readouterr().err
