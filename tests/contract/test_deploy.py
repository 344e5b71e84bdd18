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
from dotenv import dotenv_values

from service.settings import Settings, variable
from service.settings_reader import read_settings

REPOSITORY = Path(__file__).resolve().parents[2]
COMPOSE = REPOSITORY / "deploy" / "compose.yaml"
REPLICAS = COMPOSE.with_name("replicas.env")
FLAVOURS = ("cpu", "gpu")
PROFILES = {
    "cpu": "cpu",
    "gpu": "gpu",
    "proxy": "proxy",
    "redis": "shared",
    "postgres": "shared",
    "prometheus": "watch",
    "grafana": "watch",
}


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


def test_everything_interpolated_has_a_default_and_the_ports_are_ours() -> None:
    text = COMPOSE.read_text()
    assert text.count("$") == len(re.findall(r"\$\{[A-Z_]+:-[^}]*\}", text))
    assert "${PUBLISH:-55433}:55433" in text
    assert "${PROXY:-55433}:8080" in text
    assert Settings.model_fields["port"].default == 55433


def test_nothing_runs_unasked_and_every_image_says_its_version(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["profiles"] == [PROFILES[name]], name
        repository, _, tag = service["image"].replace("${IMAGE_VERSION:-", "").rpartition(":")
        assert re.match(r"v?\d+\.\d+\.\d+|7\.0\.15-|15\.\d+-", tag), service["image"]
        if name not in FLAVOURS:  # a name that somebody known owns
            assert re.match(r"((prom|grafana)/)?\w+$", repository)
        assert (service["cap_drop"], service["restart"]) == (["ALL"], "unless-stopped")
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_callers_reach_the_service_and_its_proxy_alone(compose: dict[str, Any]) -> None:
    ports = {name: service.get("ports", []) for name, service in compose["services"].items()}
    assert ports.pop("cpu") == ports.pop("gpu") == ["${PUBLISH:-55433}:55433"]
    assert ports.pop("proxy") == ["${PROXY:-55433}:8080"]
    assert all(port.startswith("127.0.0.1:") for published in ports.values() for port in published)
    assert ports["redis"] == ports["postgres"] == []


def test_the_files_that_are_mounted_are_there(compose: dict[str, Any]) -> None:
    volumes = [v for service in compose["services"].values() for v in service.get("volumes", [])]
    sources = [volume.split(":")[0] for volume in volumes]
    for source in sources:
        here = COMPOSE.parent / source
        assert here.exists() if source.startswith("./") else source in compose["volumes"], source


def test_the_settings_of_replicas_are_settings_and_are_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = REPLICAS.read_text().replace("POSTGRES_PASSWORD=\n", "POSTGRES_PASSWORD=abc\n", 1)
    (tmp_path / ".env").write_text(text)
    monkeypatch.chdir(tmp_path)
    settings = read_settings()
    assert settings.tasks == "postgresql://postgres:abc@postgres/postgres"
    assert settings.redis_url == "redis://redis:6379/0"
    assert set(dotenv_values(REPLICAS)["COMPOSE_PROFILES"].split(",")) < set(PROFILES.values())


@pytest.mark.services
def test_compose_gives_each_replica_a_port_of_this_host_and_the_proxy_the_known_one(
    tmp_path: Path,
) -> None:
    shutil.copy(COMPOSE, tmp_path)
    shutil.copy(REPLICAS, tmp_path / ".env")
    services = read_by_compose(tmp_path)
    assert set(services) == set(PROFILES) - {"gpu"}
    (port,) = services["cpu"]["ports"]
    assert (port["host_ip"], port.get("published"), port["target"]) == ("127.0.0.1", None, 55433)
    (port,) = services["proxy"]["ports"]
    assert (port.get("host_ip"), port["published"], port["target"]) == (None, "55433", 8080)


@pytest.mark.services
def test_an_older_version_is_one_line(tmp_path: Path) -> None:
    shutil.copy(COMPOSE, tmp_path)
    (tmp_path / ".env").write_text("COMPOSE_PROFILES=cpu\nIMAGE_VERSION=0.0.9\n")
    assert read_by_compose(tmp_path)["cpu"]["image"] == "birefnet-background-removal:0.0.9-cpu"


def read_by_compose(folder: Path) -> dict[str, Any]:
    """The services that the real Docker Compose reads."""
    read = subprocess.run(
        ["docker", "compose", "config", "--format", "json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    services: dict[str, Any] = json.loads(read.stdout)["services"]
    return services


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
    service = read_by_compose(tmp_path)[flavour]
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
    assert service["image"] == f"{name}:${{IMAGE_VERSION:-{version}}}-{flavour}"


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
