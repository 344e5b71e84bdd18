"""The compose file: valid, its settings known, its mounts hiding and blocking nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings, read_settings, variable

REPOSITORY = Path(__file__).resolve().parents[2]
COMPOSE = REPOSITORY / "deploy" / "compose.yaml"
FLAVOURS = ("cpu", "gpu")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file, its anchors resolved."""
    content: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return content


def check(file: Path) -> subprocess.CompletedProcess[str]:
    """Hold a file against the schema of the Compose Specification."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    return subprocess.run([*command, str(file)], capture_output=True, text=True, check=False)


def test_the_compose_file_is_valid() -> None:
    checked = check(COMPOSE)
    assert checked.returncode == 0, checked.stdout


def test_a_compose_file_with_a_misspelt_key_would_not_be(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(COMPOSE.read_text().replace("profiles: [cpu]", "profile: [cpu]"))
    assert check(wrong).returncode == 1


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_variable_is_a_setting_and_together_they_are_taken(
    compose: dict[str, Any], flavour: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment = compose["services"][flavour]["environment"]
    assert set(environment) <= {variable(field) for field in Settings.model_fields}
    assert compose["services"][flavour]["env_file"] == [{"path": ".env", "required": False}]
    monkeypatch.chdir(tmp_path)  # where no .env lies
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert read_settings().device == {"cpu": "cpu", "gpu": "cuda"}[flavour]


def test_nothing_is_interpolated_that_is_no_setting() -> None:
    assert "${" not in COMPOSE.read_text()


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_mounts_hide_no_baked_weights_and_block_no_engine_cache(
    compose: dict[str, Any], flavour: str
) -> None:
    service = compose["services"][flavour]
    mounts = [volume.split(":") for volume in service["volumes"]]
    writable = [mount[1] for mount in mounts if mount[-1] != "ro"]
    assert writable == ["/data"]
    assert service["read_only"]
    assert not [mount for mount in mounts if mount[1].startswith(("/home", "/app"))]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_stop_is_given_the_longest_deadline_there_can_be(
    compose: dict[str, Any], flavour: str
) -> None:
    grace_s = int(compose["services"][flavour]["stop_grace_period"].removesuffix("s"))
    (longest_s,) = (
        bound.le
        for bound in Settings.model_fields["processing_timeout_sec"].metadata
        if hasattr(bound, "le")
    )
    assert grace_s > 4 * longest_s
