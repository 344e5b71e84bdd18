"""deploy/kubernetes: every overlay is drawn up by kubectl and holds; each check can fail."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.kubernetes import (
    KUBERNETES,
    REPOSITORY,
    Object,
    faults,
    find,
    render,
    render_together,
)

VERSION = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
OVERLAYS = ("cpu", "gpu", "split")
COMPONENTS = (("shared",), ("hpa",), ("keda",), ("prometheus",), ("shared", "keda", "prometheus"))
Break = Callable[[list[Object]], Any]


def pod(objects: list[Object], name: str = "background-removal") -> Object:
    spec: Object = find(objects, "Deployment", name)["spec"]["template"]["spec"]
    return spec


def container(objects: list[Object], name: str = "background-removal") -> Object:
    first: Object = pod(objects, name)["containers"][0]
    return first


def settings(objects: list[Object]) -> dict[str, str]:
    (found,) = (o for o in objects if o["metadata"]["name"].startswith("settings-"))
    data: dict[str, str] = found["data"]
    return data


def ingress(objects: list[Object], name: str) -> Object:
    rule: Object = find(objects, "NetworkPolicy", name)["spec"]["ingress"][0]
    return rule


def service(objects: list[Object], name: str = "background-removal") -> Object:
    spec: Object = find(objects, "Service", name)["spec"]
    return spec


def scaler(objects: list[Object], kind: str) -> Object:
    spec: Object = find(objects, kind, "background-removal")["spec"]
    return spec


SPLIT, CPU = ("split",), ("cpu",)
BROKEN: dict[str, tuple[tuple[str, ...], Break, str]] = {
    "a misspelt field": (CPU, lambda o: pod(o).update(nodeSelecter={}), "nodeSelecter"),
    "a wrong type": (CPU, lambda o: service(o)["ports"][0].update(port="80"), "'80' is not"),
    "a missing field": (CPU, lambda o: container(o).pop("name"), "'name' is a required"),
    "no startup probe": (CPU, lambda o: container(o).pop("startupProbe"), "no startupProbe"),
    "no readiness probe": (SPLIT, lambda o: container(o).pop("readinessProbe"), "no readinessP"),
    "no liveness probe": (
        SPLIT,
        lambda o: container(o, "inference-proxy").pop("livenessProbe"),
        "no livenessProbe",
    ),
    "a probe of no route": (
        CPU,
        lambda o: container(o)["readinessProbe"]["httpGet"].update(path="/ready"),
        "asks for what is not there",
    ),
    "a probe of inference that needs the token": (
        SPLIT,
        lambda o: container(o, "inference")["livenessProbe"]["httpGet"].update(path="/metrics"),
        "asks for what is not there",
    ),
    "a probe of another port": (
        CPU,
        lambda o: container(o)["livenessProbe"]["httpGet"].update(port=3000),
        "asks port 3000",
    ),
    "health of another service kills": (
        SPLIT,
        lambda o: container(o)["livenessProbe"]["httpGet"].update(
            path="/api/background-removal/health"
        ),
        "killed where another service is ill",
    ),
    "root": (CPU, lambda o: pod(o)["securityContext"].update(runAsUser=0), "runs as root"),
    "maybe root": (
        SPLIT,
        lambda o: pod(o, "inference")["securityContext"].pop("runAsNonRoot"),
        "runs as root",
    ),
    "another user": (
        CPU,
        lambda o: pod(o)["securityContext"].update(runAsUser=1000),
        "not the image's user",
    ),
    "a writable root": (
        CPU,
        lambda o: container(o)["securityContext"].update(readOnlyRootFilesystem=False),
        "may write to its root",
    ),
    "capabilities": (
        CPU,
        lambda o: container(o)["securityContext"].pop("capabilities"),
        "has capabilities",
    ),
    "privileges": (
        SPLIT,
        lambda o: container(o, "inference-proxy")["securityContext"].pop(
            "allowPrivilegeEscalation"
        ),
        "may gain privileges",
    ),
    "nowhere to write": (CPU, lambda o: container(o).pop("volumeMounts"), "/data is not writable"),
    "the cluster's token": (
        CPU,
        lambda o: pod(o).pop("automountServiceAccountToken"),
        "token of the cluster",
    ),
    "variables of other services": (
        CPU,
        lambda o: pod(o).pop("enableServiceLinks"),
        "variables of other services",
    ),
    "a short end": (
        CPU,
        lambda o: pod(o).update(terminationGracePeriodSeconds=480),
        "is killed after 480 s",
    ),
    "no words about the end": (
        CPU,
        lambda o: pod(o).pop("terminationGracePeriodSeconds"),
        "is killed after 30 s",
    ),
    "no drain": (SPLIT, lambda o: container(o, "inference").pop("lifecycle"), "stops before"),
    "process 1": (CPU, lambda o: pod(o).pop("shareProcessNamespace"), "first seconds is lost"),
    "little memory": (
        CPU,
        lambda o: container(o)["resources"]["requests"].update(memory="256Mi"),
        "less memory than was measured",
    ),
    "no memory": (CPU, lambda o: container(o).pop("resources"), "memory is not said"),
    "a selector that matches nothing": (
        CPU,
        lambda o: service(o)["selector"].update({"app.kubernetes.io/component": "web"}),
        "matches 0 deployments",
    ),
    "a selector that matches all": (
        SPLIT,
        lambda o: service(o, "inference")["selector"].pop("app.kubernetes.io/component"),
        "matches 3 deployments",
    ),
    "a port that is not there": (
        CPU,
        lambda o: service(o)["ports"][0].update(targetPort="web"),
        "no container has a port web",
    ),
    "a misspelt setting": (
        CPU,
        lambda o: settings(o).update(BIREFNET_DEVIC="cpu"),
        "BIREFNET_DEVIC is not a setting",
    ),
    "a wrong setting": (CPU, lambda o: settings(o).update(BIREFNET_DEVICE="gpu"), "'cuda'"),
    "settings that contradict each other": (
        CPU,
        lambda o: settings(o).update(BIREFNET_USE_TENSORRT="true"),
        "contradicts BIREFNET_DEVICE=cpu",
    ),
    "a setting of a variable of its own": (
        SPLIT,
        lambda o: container(o, "inference")["env"].append({"name": "BIREFNET_X", "value": "1"}),
        "BIREFNET_X is not a setting",
    ),
    "tasks in each pod": (CPU, lambda o: settings(o).pop("BIREFNET_TASKS"), "tasks of its own"),
    "settings from nowhere": (
        CPU,
        lambda o: container(o)["envFrom"][0]["configMapRef"].update(name="settings"),
        "no ConfigMap settings",
    ),
    "the newest image": (
        CPU,
        lambda o: container(o).update(image="registry.example/birefnet-background-removal:latest"),
        "says no version",
    ),
    "an image without a tag": (
        SPLIT,
        lambda o: container(o, "inference-proxy").update(image="haproxy"),
        "says no version",
    ),
    "an image of another version": (
        CPU,
        lambda o: container(o).update(
            image="registry.example/birefnet-background-removal:0.0.1-cpu"
        ),
        "not our image of version",
    ),
    "no network policy": (
        SPLIT,
        lambda o: o.remove(find(o, "NetworkPolicy", "inference")),
        "0 network policies",
    ),
    "everybody at inference": (
        SPLIT,
        lambda o: ingress(o, "inference").pop("from"),
        "inference: it can be reached by everybody",
    ),
    "public past the proxy": (
        SPLIT,
        lambda o: ingress(o, "inference")["from"].append(
            {"podSelector": {"matchLabels": {"app.kubernetes.io/component": "public"}}}
        ),
        "inference: it can be reached by inference-proxy, public",
    ),
    "another namespace at inference": (
        SPLIT,
        lambda o: ingress(o, "inference")["from"][0].update(namespaceSelector={}),
        "inference: it can be reached by everybody",
    ),
    "all pods at inference": (
        SPLIT,
        lambda o: ingress(o, "inference")["from"].append({"podSelector": {}}),
        "everybody",
    ),
    "an address at inference": (
        SPLIT,
        lambda o: ingress(o, "inference")["from"].append({"ipBlock": {"cidr": "10.0.0.0/8"}}),
        "everybody",
    ),
    "everybody at inference's proxy": (
        SPLIT,
        lambda o: (
            ingress(o, "inference-proxy").update({"from": []})
            or ingress(o, "inference-proxy").pop("from")
        ),
        "inference-proxy: it can be reached by everybody",
    ),
    "all ports": (SPLIT, lambda o: ingress(o, "inference").pop("ports"), "another port"),
    "another port": (
        CPU,
        lambda o: ingress(o, "background-removal").update(ports=[{"port": 22}]),
        "another port",
    ),
    "one direction": (
        CPU,
        lambda o: find(o, "NetworkPolicy", "background-removal")["spec"].update(
            policyTypes=["Egress"]
        ),
        "leaves a direction open",
    ),
    "out to everybody": (
        CPU,
        lambda o: find(o, "NetworkPolicy", "background-removal")["spec"]["egress"].append({}),
        "may speak to everybody",
    ),
    "a budget of nothing": (
        CPU,
        lambda o: find(o, "PodDisruptionBudget", "background-removal")["spec"]["selector"].update(
            matchLabels={"a": "b"}
        ),
        "0 budgets",
    ),
    "no token": (SPLIT, lambda o: container(o).pop("env"), "has no token"),
    "a proxy that is not there": (
        SPLIT,
        lambda o: container(o)["args"].append("inference=http://inference-proxy:80"),
        "nobody is at http://inference-proxy:80",
    ),
    "another namespace": (
        CPU,
        lambda o: find(o, "Service", "background-removal")["metadata"].update(namespace="default"),
        "another namespace",
    ),
    "replicas said and scaled": (
        ("cpu", "hpa"),
        lambda o: find(o, "Deployment", "background-removal")["spec"].update(replicas=3),
        "said and scaled",
    ),
    "nothing to scale": (
        ("cpu", "keda"),
        lambda o: scaler(o, "ScaledObject")["scaleTargetRef"].update(name="web"),
        "web, which is not there",
    ),
    "a metric that is not there": (
        ("cpu", "keda"),
        lambda o: scaler(o, "ScaledObject")["triggers"][0]["metadata"].update(
            query="sum(background_removal_queue)"
        ),
        "background_removal_queue is no metric",
    ),
    "tasks that every pod tells of, added up": (
        ("cpu", "keda"),
        lambda o: scaler(o, "ScaledObject")["triggers"][1]["metadata"].update(
            query="sum(background_removal_tasks_unfinished)"
        ),
        "counted once for each replica",
    ),
    "a queue that nobody scales on": (
        ("cpu", "keda"),
        lambda o: scaler(o, "ScaledObject")["triggers"].pop(),
        "nobody scales on the tasks that wait",
    ),
    "a misspelt field of KEDA": (
        ("cpu", "keda"),
        lambda o: scaler(o, "ScaledObject").update(minReplicas=2),
        "a field is not one of ScaledObject's",
    ),
    "a wrong type of KEDA": (
        ("cpu", "keda"),
        lambda o: scaler(o, "ScaledObject").update(minReplicaCount="2"),
        "valid integer",
    ),
    "a misspelt field of the monitor": (
        ("cpu", "prometheus"),
        lambda o: scaler(o, "ServiceMonitor")["endpoints"][0].update(intervall="15s"),
        "a field is not one of ServiceMonitor's",
    ),
    "a monitor of nothing": (
        ("cpu", "prometheus"),
        lambda o: scaler(o, "ServiceMonitor")["endpoints"][0].update(port="metrics"),
        "nothing is scraped",
    ),
    "a misspelt field of an alert": (
        ("cpu", "prometheus"),
        lambda o: scaler(o, "PrometheusRule")["groups"][0]["rules"][0].update(expression="up"),
        "a field is not one of PrometheusRule's",
    ),
    "an alert without a query": (
        ("cpu", "prometheus"),
        lambda o: scaler(o, "PrometheusRule")["groups"][0]["rules"][0].pop("expr"),
        "expr",
    ),
    "everybody at Redis": (
        ("cpu", "shared"),
        lambda o: ingress(o, "redis").pop("from"),
        "redis: it can be reached by everybody",
    ),
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[Object]]:
    """An overlay with components, rendered once; each call gets a copy of its own."""
    known: dict[tuple[str, ...], list[Object]] = {}

    def draw(*names: str) -> list[Object]:
        if names not in known:
            known[names] = render_together(*names, into=tmp_path_factory.mktemp("drawn"))
        return copy.deepcopy(known[names])

    return draw


@pytest.mark.services
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_overlay_holds(overlay: str) -> None:
    assert faults(render(KUBERNETES / "overlays" / overlay), VERSION) == []


@pytest.mark.services
@pytest.mark.parametrize("components", COMPONENTS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_overlay_holds_with_components(
    overlay: str, components: tuple[str, ...], drawn: Callable[..., list[Object]]
) -> None:
    assert faults(drawn(overlay, *components), VERSION) == []


@pytest.mark.services
@pytest.mark.parametrize("fault", BROKEN)
def test_what_is_broken_is_refused(fault: str, drawn: Callable[..., list[Object]]) -> None:
    names, spoil, expected = BROKEN[fault]
    objects = drawn(*names)
    spoil(objects)
    found = faults(objects, VERSION)
    assert any(expected in one for one in found), found


@pytest.mark.services
def test_a_kustomization_with_a_misspelt_key_is_refused_by_kubectl(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resurces: []\n")
    with pytest.raises(subprocess.CalledProcessError):
        render(tmp_path)


@pytest.mark.services
def test_two_autoscalers_are_refused_by_kubectl(drawn: Callable[..., list[Object]]) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        drawn("cpu", "hpa", "keda")


@pytest.mark.services
def test_the_shared_component_takes_the_place_of_tasks_that_are_off(
    drawn: Callable[..., list[Object]],
) -> None:
    sources = container(drawn("cpu", "shared"))["envFrom"]
    assert [list(source) for source in sources] == [
        ["configMapRef"],
        ["secretRef"],
    ]  # the last wins


@pytest.mark.services
def test_the_kustomization_that_the_page_shows_holds(tmp_path: Path) -> None:
    copied = shutil.copytree(KUBERNETES, tmp_path / "kubernetes")
    page = (copied / "README.md").read_text()
    (shown,) = re.findall(r"```yaml\n(.+?)```", page, re.DOTALL)
    (copied / "mine").mkdir()
    (copied / "mine" / "kustomization.yaml").write_text(shown)
    objects = render(copied / "mine")
    assert container(objects)["image"] == f"harbor.my.net/matting:{VERSION}-cpu"
    assert settings(objects)["BIREFNET_TRUSTED_PROXIES"] == "10.42.0.0/16"
    container(objects)["image"] = f"registry.example/birefnet-background-removal:{VERSION}-cpu"
    assert faults(objects, VERSION) == []


def test_every_overlay_and_component_is_among_those_that_are_tested() -> None:
    folders = {
        name: sorted(f.name for f in (KUBERNETES / name).iterdir())
        for name in ("overlays", "components")
    }
    assert folders["overlays"] == sorted(OVERLAYS)
    assert set(folders["components"]) == {name for names in COMPONENTS for name in names}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_images_are_those_of_this_version(overlay: str) -> None:
    content = yaml.safe_load((KUBERNETES / "overlays" / overlay / "kustomization.yaml").read_text())
    tags = {image["newTag"] for image in content["images"]}
    assert tags <= {f"{VERSION}-{flavour}" for flavour in ("cpu", "gpu")}
