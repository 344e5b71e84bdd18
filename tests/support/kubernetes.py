"""The manifests of deploy/kubernetes, drawn up by kubectl, and all that could be wrong in them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from service.http.policies import PREFIX, create_policies
from service.settings import Settings, variable

REPOSITORY = Path(__file__).resolve().parents[2]
KUBERNETES = REPOSITORY / "deploy" / "kubernetes"
#: The oldest and the newest Kubernetes the manifests are held against.
RELEASES = ("1.29", "1.37")
NAMESPACE = "background-removal"
PORT = 55433
OURS = "registry.example/birefnet-background-removal"
COMPONENT = "app.kubernetes.io/component"
#: What may reach the pods of a component; None: everybody.
CALLERS = {
    "public": None,
    "inference": {"inference-proxy"},
    "inference-proxy": {"public"},
    "redis": {"public"},
}
_PUBLIC_PATHS = {row.path for row in create_policies(1, 1).rows}
_INFERENCE_PATHS = {"/livez", "/readyz"}
_TASKS = "background_removal_tasks_unfinished"
_UNITS = {"Mi": 2**20, "Gi": 2**30}

Object = dict[str, Any]


def render(folder: Path) -> list[Object]:
    """What `kubectl kustomize` makes of a folder.

    Raises:
        CalledProcessError: If it refuses.
    """
    beside = Path(sys.executable).with_name("kubectl")
    kubectl = str(beside) if beside.exists() else "kubectl"
    command = [kubectl, "kustomize", str(folder)]
    drawn = subprocess.run(command, capture_output=True, text=True, check=True)
    return [one for one in yaml.safe_load_all(drawn.stdout) if one]


def render_together(overlay: str, *components: str, into: Path) -> list[Object]:
    """An overlay with components, as an operator's own kustomization would take them."""
    copied = into / "kubernetes"
    shutil.copytree(KUBERNETES, copied, dirs_exist_ok=True)
    mine = copied / "mine"
    mine.mkdir(exist_ok=True)
    content = {
        "namespace": NAMESPACE,
        "resources": [f"../overlays/{overlay}"],
        "components": [f"../components/{name}" for name in components],
    }
    (mine / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return render(mine)


def find(objects: list[Object], kind: str, name: str) -> Object:
    """One of the objects."""
    (found,) = (o for o in objects if (o["kind"], o["metadata"]["name"]) == (kind, name))
    return found


def faults(objects: list[Object], version: str) -> list[str]:
    """Everything that is wrong, in words.

    Args:
        objects: What was rendered.
        version: Of the project.
    """
    checks = (_schema, _names, _services, _networks, _disruptions, _scaling, _monitors)
    found = [fault for check in checks for fault in check(objects)]
    for deployment in _of_kind(objects, "Deployment"):
        where = deployment["metadata"]["name"]
        for check in (_pod, _stop, _probes, _settings, _links):
            found += [f"{where}: {fault}" for fault in check(deployment, objects)]
        found += [f"{where}: {fault}" for fault in _image(deployment, version)]
    return found


def _of_kind(objects: list[Object], kind: str) -> list[Object]:
    return [one for one in objects if one["kind"] == kind]


def _pod_of(deployment: Object) -> Object:
    pod: Object = deployment["spec"]["template"]["spec"]
    return pod


def _container(deployment: Object) -> Object:
    (container,) = _pod_of(deployment)["containers"]
    return dict(container)


def _labels(deployment: Object) -> Mapping[str, str]:
    labels: Mapping[str, str] = deployment["spec"]["template"]["metadata"]["labels"]
    return labels


def _is_ours(deployment: Object) -> bool:
    return "birefnet" in str(_container(deployment).get("image"))


def _chosen(objects: list[Object], selector: Mapping[str, str]) -> list[Object]:
    """The deployments whose pods have all labels of a selector, which must have some."""
    chosen = _of_kind(objects, "Deployment")
    return [one for one in chosen if selector and selector.items() <= _labels(one).items()]


def _schema(objects: list[Object]) -> Iterator[str]:
    """Strictly against Kubernetes' own schemas, and those of the two operators'."""
    for one in objects:
        where = f"{one['kind']} {one['metadata']['name']}"
        model = _foreign_kinds().get(one["kind"])
        if model is not None:
            yield from (f"{where}: {fault}" for fault in _misread(model, one))
            continue
        yield from (f"{where}: {fault}" for fault in _refusals(json.dumps(one)))


@cache
def _refusals(text: str) -> tuple[str, ...]:
    """What each release says of an object; reading its schemas takes most of the time."""
    import kubernetes_validate

    said = []
    for release in RELEASES:
        try:
            kubernetes_validate.validate(json.loads(text), release, strict=True)
        except kubernetes_validate.ValidationError as wrong:
            said.append(f"{release}: {wrong.message}")
    return tuple(said)


@cache
def _foreign_kinds() -> Mapping[str, Any]:
    from cloudcoil.models.keda.v1alpha1 import ScaledObject
    from cloudcoil.models.prometheus_operator.v1 import PrometheusRule, ServiceMonitor

    kinds = (ScaledObject, ServiceMonitor, PrometheusRule)
    return {kind.__name__: kind for kind in kinds}


def _misread(model: Any, one: Object) -> Iterator[str]:
    """These models pass unknown fields over in silence: what comes back shows which."""
    try:
        read = model.model_validate(one, strict=True).model_dump(by_alias=True, exclude_none=True)
    except ValidationError as wrong:
        yield from (f"{error['loc']}: {error['msg']}" for error in wrong.errors())
        return
    if read != one:
        yield f"a field is not one of {one['kind']}'s"


def _names(objects: list[Object]) -> Iterator[str]:
    for one in objects:
        if one["metadata"].get("namespace") != NAMESPACE:
            yield f"{one['kind']} {one['metadata']['name']} lies in another namespace"


def _services(objects: list[Object]) -> Iterator[str]:
    for service in _of_kind(objects, "Service"):
        where = f"Service {service['metadata']['name']}"
        chosen = _chosen(objects, service["spec"]["selector"])
        if len(chosen) != 1:
            yield f"{where}: its selector matches {len(chosen)} deployments"
        for deployment in chosen:
            ports = {port["name"] for port in _container(deployment).get("ports", [])}
            for port in service["spec"]["ports"]:
                if port.get("targetPort") not in ports:
                    yield f"{where}: no container has a port {port.get('targetPort')}"


def _networks(objects: list[Object]) -> Iterator[str]:
    """Each pod has one policy, which lets the right ones at its own port."""
    policies = _of_kind(objects, "NetworkPolicy")
    for deployment in _of_kind(objects, "Deployment"):
        where, labels = deployment["metadata"]["name"], _labels(deployment)
        own = [p for p in policies if deployment in _chosen(objects, _selector(p))]
        if len(own) != 1:
            yield f"{where}: {len(own)} network policies"
        for policy in own:
            if set(policy["spec"]["policyTypes"]) != {"Ingress", "Egress"}:
                yield f"{where}: its network policy leaves a direction open"
            ports = {port["containerPort"] for port in _container(deployment)["ports"]}
            for rule in policy["spec"]["ingress"]:
                yield from _rule(where, rule, CALLERS[labels[COMPONENT]], ports)
            if any(not rule for rule in policy["spec"]["egress"]):
                yield f"{where}: it may speak to everybody"


def _selector(policy: Object) -> Mapping[str, str]:
    selector: Mapping[str, str] = policy["spec"]["podSelector"].get("matchLabels", {})
    return selector


def _rule(where: str, rule: Object, callers: set[str] | None, ports: set[int]) -> Iterator[str]:
    if {port["port"] for port in rule.get("ports", [{"port": "any"}])} != ports:
        yield f"{where}: another port than its own can be reached"
    if callers is None:
        return
    let_in = {
        one.get("podSelector", {}).get("matchLabels", {}).get(COMPONENT, "everybody")
        if set(one) == {"podSelector"}
        else "everybody"
        for one in rule.get("from", [{}])
    }
    if let_in != callers:
        yield f"{where}: it can be reached by {', '.join(sorted(let_in))}"


def _disruptions(objects: list[Object]) -> Iterator[str]:
    budgets = _of_kind(objects, "PodDisruptionBudget")
    guarded = [d for b in budgets for d in _chosen(objects, b["spec"]["selector"]["matchLabels"])]
    for deployment in _of_kind(objects, "Deployment"):
        component = _labels(deployment)[COMPONENT]
        if component != "redis" and guarded.count(deployment) != 1:
            yield f"{deployment['metadata']['name']}: {guarded.count(deployment)} budgets"
        if deployment["spec"]["selector"]["matchLabels"].items() - _labels(deployment).items():
            yield f"{deployment['metadata']['name']}: it does not select its own pods"


def _scaling(objects: list[Object]) -> Iterator[str]:
    scalers = [o for o in objects if o["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")]
    for scaler in scalers:
        name = scaler["spec"]["scaleTargetRef"]["name"]
        targets = [d for d in _of_kind(objects, "Deployment") if d["metadata"]["name"] == name]
        if not targets:
            yield f"it scales {name}, which is not there"
        if any("replicas" in target["spec"] for target in targets):
            yield f"{name}: replicas are said and scaled"
        queries = [one["metadata"]["query"] for one in scaler["spec"].get("triggers", [])]
        if scaler["kind"] == "ScaledObject" and not any(_TASKS in query for query in queries):
            yield "nobody scales on the tasks that wait"
        for query in queries:
            if re.search(rf"\bsum\b[^(]*\(\s*{_TASKS}", query):
                yield f"{_TASKS} is counted once for each replica"
            for metric in re.findall(r"background_removal_\w+", query):
                if f"`{metric}`" not in (REPOSITORY / "docs" / "operations.md").read_text():
                    yield f"{metric} is no metric of ours"


def _monitors(objects: list[Object]) -> Iterator[str]:
    for monitor in _of_kind(objects, "ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"]
        chosen = [
            service
            for service in _of_kind(objects, "Service")
            if wanted.items() <= service["metadata"].get("labels", {}).items()
        ]
        ports = {port["name"] for service in chosen for port in service["spec"]["ports"]}
        for endpoint in monitor["spec"]["endpoints"]:
            if endpoint["port"] not in ports or endpoint["path"] not in _PUBLIC_PATHS:
                yield "ServiceMonitor: nothing is scraped"


def _pod(deployment: Object, objects: list[Object]) -> Iterator[str]:
    """What Kubernetes calls restricted, and a little more."""
    pod, container = _pod_of(deployment), _container(deployment)
    context, own = pod.get("securityContext", {}), container.get("securityContext", {})
    wanted = {
        "runs as root": context.get("runAsNonRoot") is True and context.get("runAsUser", 0) > 0,
        "has no seccomp profile": context.get("seccompProfile") == {"type": "RuntimeDefault"},
        "may write to its root": own.get("readOnlyRootFilesystem") is True,
        "may gain privileges": own.get("allowPrivilegeEscalation") is False,
        "has capabilities": own.get("capabilities") == {"drop": ["ALL"]},
        "holds a token of the cluster": pod.get("automountServiceAccountToken") is False,
        "gets variables of other services": pod.get("enableServiceLinks") is False,
    }
    yield from (fault for fault, holds in wanted.items() if not holds)
    memory = {kind: part.get("memory") for kind, part in container.get("resources", {}).items()}
    if not memory.get("requests") or not memory.get("limits"):
        yield "its memory is not said"
    elif _is_ours(deployment):
        if _bytes(memory["requests"]) < _measured_bytes() or _bytes(memory["limits"]) < 4 * 2**30:
            yield "it gets less memory than was measured"
        if (context.get("runAsUser"), context.get("fsGroup")) != (1034, 1034):
            yield "it is not the image's user"
        mounts = [m for m in container.get("volumeMounts", []) if not m.get("readOnly")]
        volumes = [v["name"] for v in pod.get("volumes", []) if "emptyDir" in v]
        if [m["mountPath"] for m in mounts if m["name"] in volumes] != ["/data"]:
            yield "/data is not writable"


def _bytes(quantity: str) -> int:
    return int(quantity[:-2]) * _UNITS[quantity[-2:]]


@cache
def _measured_bytes() -> int:
    """Of a whole container with the smallest model, where docs/operations.md has it."""
    text = (REPOSITORY / "docs" / "operations.md").read_text()
    (highest,) = re.findall(r"^\| memory, the whole container.*\| (\d+) MB \|$", text, re.MULTILINE)
    return int(highest) * 10**6


def _stop(deployment: Object, objects: list[Object]) -> Iterator[str]:
    """Whoever is behind a Service goes on until all have heard that it will not."""
    grace_s = _pod_of(deployment).get("terminationGracePeriodSeconds", 30)
    hook = _container(deployment).get("lifecycle", {}).get("preStop", {})
    if _labels(deployment)[COMPONENT] == "redis":
        return
    command = hook.get("exec", {}).get("command", [""])
    if command[0] != "sleep":
        yield "it stops before proxies have heard of it"
        return
    (longest_s,) = (
        bound.le
        for bound in Settings.model_fields["processing_timeout_sec"].metadata
        if hasattr(bound, "le")
    )
    least_s = 4 * longest_s + (int(command[1]) if _is_ours(deployment) else 0)
    if grace_s < least_s:
        yield f"it is killed after {grace_s} s and may need {least_s:g}"
    if _is_ours(deployment) and not _pod_of(deployment).get("shareProcessNamespace"):
        yield "a stop in its first seconds is lost"


def _probes(deployment: Object, objects: list[Object]) -> Iterator[str]:
    container, component = _container(deployment), _labels(deployment)[COMPONENT]
    ports = {port["name"] for port in container["ports"]}
    wanted = ("startupProbe", "readinessProbe", "livenessProbe")
    for name in wanted if _is_ours(deployment) else wanted[1:]:
        asked = container.get(name)
        if asked is None:
            yield f"it has no {name}"
            continue
        question = asked.get("httpGet") or asked.get("tcpSocket")
        if question and question["port"] not in ports:
            yield f"{name} asks port {question['port']}"
        paths = _PUBLIC_PATHS if component == "public" else _INFERENCE_PATHS
        if _is_ours(deployment) and (not asked.get("httpGet") or question["path"] not in paths):
            yield f"{name} asks for what is not there"
    if container.get("args") and container.get("livenessProbe", {}).get("httpGet", {}).get(
        "path"
    ) == (f"{PREFIX}/health"):
        yield "it is killed where another service is ill"


def _settings(deployment: Object, objects: list[Object]) -> Iterator[str]:
    """Every variable is a setting, and together they are taken."""
    if not _is_ours(deployment):
        return
    container = _container(deployment)
    environment = {e["name"]: e.get("value") for e in container.get("env", [])}
    for source in container.get("envFrom", []):
        name = source.get("configMapRef", {}).get("name")
        maps = [m for m in _of_kind(objects, "ConfigMap") if m["metadata"]["name"] == name]
        if name and not maps:
            yield f"there is no ConfigMap {name}"
        environment |= {key: value for found in maps for key, value in found["data"].items()}
    known = {variable(field): field for field in Settings.model_fields}
    yield from (f"{name} is not a setting" for name in environment.keys() - known.keys())
    told = {known[k]: v for k, v in environment.items() if k in known and v is not None}
    try:
        Settings(**told)
    except ValidationError as wrong:
        yield from (str(error["msg"]) for error in wrong.errors())
    if environment.get("BIREFNET_TASKS", "sqlite").startswith("sqlite"):
        yield "each replica has tasks of its own"


def _links(deployment: Object, objects: list[Object]) -> Iterator[str]:
    """What the halves of the service are told of each other."""
    container = _container(deployment)
    told = container.get("args", []) if _is_ours(deployment) else []
    tokens = [
        e["valueFrom"]["secretKeyRef"]
        for e in container.get("env", [])
        if e["name"] == "BIREFNET_INFERENCE_TOKEN"
    ]
    if told and tokens != [{"name": "inference-token", "key": "token"}]:
        yield "it has no token"
    for address in (word.partition("=")[2] for word in told if word.startswith("inference=")):
        host, _, port = address.removeprefix("http://").partition(":")
        services = [s for s in _of_kind(objects, "Service") if s["metadata"]["name"] == host]
        if not any(str(p["port"]) == port for s in services for p in s["spec"]["ports"]):
            yield f"nobody is at {address}"


def _image(deployment: Object, version: str) -> Iterator[str]:
    name, _, tag = str(_container(deployment).get("image", "")).rpartition(":")
    if _is_ours(deployment) and (name, tag.rpartition("-")[0]) != (OURS, version):
        yield f"{name}:{tag} is not our image of version {version}"
    if re.match(r"\d+\.\d+\.\d+", tag) is None:
        yield f"{name}:{tag} says no version"
