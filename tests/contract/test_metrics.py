"""What docs/operations.md says of metrics is what there is: names, labels, stages, routes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client import Metric

from models.errors import BackgroundRemovalError
from service.http.policies import create_policies
from service.http.schemas import HealthState
from service.http.scrape import measure
from service.resources import own_usage
from tests.support.api import Api, ApiParts, open_api
from tests.support.keys import issue_key
from tests.support.matting import FakeMattingClient
from tests.support.pictures import make_image

pytestmark = pytest.mark.anyio


async def metrics_after_a_removal(api: Api, key: str = "") -> dict[str, Metric]:
    """Every metric by the name Prometheus knows it by."""
    api.client.headers.update({"X-API-Key": key} if key else {})
    assert (await api.remove(make_image("PNG"))).status_code == 200
    scraped = measure(await api.services.health.check(), api.services, own_usage())
    return {
        metric.name + ("_total" if metric.type == "counter" else ""): metric
        for metric in [*api.registry.collect(), *scraped]
    }


def documented(root: Path) -> dict[str, str]:
    """Rows of the tables of metrics: name and labels."""
    text = (root / "docs/operations.md").read_text().split("## Metrics")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `(background_removal_\w+)` \| ([^|]*?) ?\|", text, re.MULTILINE))


async def test_every_metric_and_label_is_documented_and_there(root: Path, tmp_path: Path) -> None:
    key, _ = issue_key(tmp_path / "keys.json")
    async with open_api(ApiParts(keys_file=tmp_path / "keys.json")) as api:
        there = await metrics_after_a_removal(api, key)
    rows = documented(root)
    assert set(rows) == set(there)
    for name, labels in rows.items():
        named = re.findall(r"`(\w+)`", labels.split(":")[0])
        real = {label for sample in there[name].samples for label in sample.labels} - {"le"}
        assert set(named) == real, name


async def test_every_value_of_a_fixed_label_is_documented(root: Path) -> None:
    async with open_api() as api:
        there = await metrics_after_a_removal(api)
    for name, label in (
        ("background_removal_health", "state"),
        ("background_removal_removals", "phase"),
        ("background_removal_lane_pictures", "lane"),
        ("background_removal_tasks_total", "outcome"),
        ("background_removal_webhook_attempts_total", "outcome"),
    ):
        values = re.findall(r"`(\w+)`", documented(root)[name].split(":")[1])
        assert set(values) == {sample.labels[label] for sample in there[name].samples}
    assert {s.labels["state"] for s in there["background_removal_health"].samples} == {
        *get_args(HealthState)
    }


async def test_every_stage_is_documented_and_there(root: Path) -> None:
    async with open_api() as api:
        there = await metrics_after_a_removal(api)
    stages = {s.labels["stage"] for s in there["background_removal_stage_seconds"].samples}
    text = (root / "docs/operations.md").read_text()
    (sentence,) = re.findall(r"^Stages of a removal.*?\n\n", text, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"`(\w+)`", sentence)) == stages


def test_every_route_that_is_a_label_is_documented(root: Path) -> None:
    text = (root / "docs/operations.md").read_text()
    (sentence,) = re.findall(r"^Routes are templates:.*?\. ", text, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"`(/[\w.-]*)`", sentence)) == {
        row.route for row in create_policies(1, 1).rows
    }


async def test_one_state_of_health_is_1_and_the_others_are_0() -> None:
    async with open_api(ApiParts(is_warm=lambda: False)) as api:
        scraped = measure(await api.services.health.check(), api.services, own_usage())
    (health,) = (one for one in scraped if one.name == "background_removal_health")
    assert {s.labels["state"]: s.value for s in health.samples} == {
        "healthy": 0.0,
        "degraded": 0.0,
        "unhealthy": 1.0,
    }


async def test_a_silent_inference_process_costs_its_own_values_only() -> None:
    silent = FakeMattingClient(describe_fault=BackgroundRemovalError())
    async with open_api(ApiParts(matting=silent)) as api:
        scraped = measure(await api.services.health.check(), api.services, own_usage())
    values = {
        (metric.name, sample.labels.get("process")): sample.value
        for metric in scraped
        for sample in metric.samples
    }
    assert values["background_removal_process_memory_bytes", "public"] > 1e6
    assert values["background_removal_process_cpu_seconds", "public"] > 0
    assert not any(process == "inference" for _, process in values)
