"""The compose file and `make image`: valid, of known settings, and of one mind about names."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings, variable
from service.settings_reader import read_settings

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


def test_the_published_port_is_the_one_thing_interpolated_and_has_a_default() -> None:
    assert re.findall(r"\$\{.*?\}:?\w*", COMPOSE.read_text()) == ["${PUBLISH:-55433}:55433"]
    assert Settings.model_fields["port"].default == 55433


@pytest.mark.services
@pytest.mark.parametrize(
    ("publish", "address", "ports"),
    [
        ("", None, "55433"),
        ("PUBLISH=127.0.0.1:8080", "127.0.0.1", "8080"),
        ("PUBLISH=55433-55436", None, "55433-55436"),
    ],
)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_compose_itself_reads_the_file_and_publishes_what_dotenv_says(
    flavour: str, publish: str, address: str | None, ports: str, tmp_path: Path
) -> None:
    shutil.copy(COMPOSE, tmp_path)
    (tmp_path / ".env").write_text(f"COMPOSE_PROFILES={flavour}\n{publish}\n")
    read = subprocess.run(
        ["docker", "compose", "config", "--format", "json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    service = json.loads(read.stdout)["services"][flavour]
    (port,) = service["ports"]
    assert (port.get("host_ip"), port["published"], port["target"]) == (address, ports, 55433)
    assert service["pull_policy"] == "never"


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_image_is_the_one_that_is_built_here_and_nobody_is_asked_for_it(
    compose: dict[str, Any], flavour: str
) -> None:
    service = compose["services"][flavour]
    assert service["pull_policy"] == "never"
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    plan = make("-n", "image", f"FLAVOUR={flavour}", MAKEFLAGS="").stdout
    name = "birefnet-background-removal"
    assert f"-t {name}:{flavour} -t {name}:{version}-{flavour} " in plan
    assert service["image"] == f"{name}:{flavour}"


def make(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make in the repository."""
    return subprocess.run(
        ["make", "--no-print-directory", *words],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ("exit 0", ""),
        ('[ "$1" = info ]', "docker lacks its buildx plugin: install it, or put another docker"),
        ("exit 1", "No docker, podman or buildah answers here; start or install one."),
    ],
)
def test_a_builder_that_cannot_build_is_found_out_before_anything_else(
    answers: str, sentence: str, tmp_path: Path
) -> None:
    for builder in ("docker", "podman", "buildah"):
        (tmp_path / builder).write_text(
            f"#!/bin/sh\n{answers if builder == 'docker' else 'exit 1'}\n"
        )
        (tmp_path / builder).chmod(0o755)
    ran = make("builder", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (ran.returncode == 0) == (not sentence), ran.stderr
    assert sentence in ran.stdout
    assert len(ran.stdout.splitlines()) == bool(sentence)


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
    assert compose["services"][flavour]["init"]  # process 1 heeds no signal before it has asked
