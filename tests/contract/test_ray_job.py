"""deploy/ray: versions are those of the project, pods are restricted, the words are ours."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from typing import Any

import pytest
import yaml

from service.bulk.command import job_of
from tests.support.kubernetes import RELEASES, REPOSITORY

RAY = REPOSITORY / "deploy" / "ray"
JOB: dict[str, Any] = yaml.safe_load((RAY / "job.yaml").read_text())
CLUSTER = JOB["spec"]["rayClusterSpec"]
PODS = [CLUSTER["headGroupSpec"]["template"]["spec"]] + [
    group["template"]["spec"] for group in CLUSTER["workerGroupSpecs"]
]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def test_the_entrypoint_is_a_job_of_ours() -> None:
    name, *words = shlex.split(JOB["spec"]["entrypoint"])
    assert name in PROJECT["scripts"]
    job, _ = job_of(words)
    assert (job.source, job.target) == ("s3://bucket/photos", "s3://bucket/cutouts")


def test_ray_is_of_one_version_everywhere() -> None:
    (asked,) = re.findall(r"ray\[data\]==([\d.]+)", str(PROJECT["optional-dependencies"]["bulk"]))
    (locked,) = re.findall(
        r"^ray==([\d.]+)", (REPOSITORY / "requirements-bulk.lock").read_text(), re.MULTILINE
    )
    assert asked == locked == CLUSTER["rayVersion"]
    assert f"ray[data,default]=={asked}" in (REPOSITORY / "Makefile").read_text()


@pytest.mark.parametrize("pod", PODS, ids=lambda pod: pod["containers"][0]["name"])
def test_pods_are_restricted_and_say_what_they_need(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    assert container["image"] == f"registry.example/birefnet-batch:{PROJECT['version']}"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is pod["enableServiceLinks"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= container["resources"]["limits"].keys()


@pytest.mark.full
@pytest.mark.skipif(
    importlib.util.find_spec("kubernetes_validate") is None,
    reason="requirements-kubernetes.lock is not installed",
)
@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("pod", PODS, ids=lambda pod: pod["containers"][0]["name"])
def test_pods_are_what_kubernetes_takes(pod: dict[str, Any], release: str) -> None:
    import kubernetes_validate

    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": pod}
    kubernetes_validate.validate(whole, release, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**whole, "spec": {**pod, "x": 1}}, release, strict=True)
