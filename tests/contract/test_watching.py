"""Prometheus' alerts and Grafana's dashboard: read by promtool, of metrics that are there.

What a running service and a running Prometheus say of them: `tests/e2e/test_observing.py`.
"""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.dashboard.__main__ import (
    ALERTS,
    DASHBOARD,
    KUBERNETES_RULES,
    draw,
    rules_of_kubernetes,
)
from tests.support.watching import dashboard_faults, expressions, heading, named_metrics

REPOSITORY = Path(__file__).resolve().parents[2]
RULES: list[dict[str, Any]] = yaml.safe_load((REPOSITORY / ALERTS).read_text())["groups"][0][
    "rules"
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Prometheus' files, to be spoiled."""
    return shutil.copytree(REPOSITORY / ALERTS.parent, tmp_path / "prometheus")


def accepts(*words: str, within: Path) -> bool:
    """Whether promtool is content."""
    return subprocess.run(["promtool", *words], cwd=within, capture_output=True).returncode == 0


@pytest.mark.services
@pytest.mark.parametrize(
    ("file", "spoil", "by"),
    [
        ("prometheus.yaml", ("scrape_configs", "scrape_config"), "config"),
        ("prometheus.yaml", ("type: A", "type: ADDRESS"), "config"),
        ("prometheus.yaml", ("[alerts.yaml]", "[alert.yaml]"), "config"),
        ("alerts.yaml", ("sum(rate(", "sum(rte("), "rules"),
        ("alerts.yaml", ("for: 2m", "during: 2m"), "rules"),
        ("alerts.yaml", ("{{ $labels.instance }}", "{{ $labels.instance }"), "rules"),
    ],
)
def test_prometheus_takes_its_files_and_would_not_take_others(
    file: str, spoil: tuple[str, str], by: str, folder: Path
) -> None:
    assert accepts("check", by, file, within=folder)
    told = folder / file
    told.write_text(told.read_text().replace(*spoil))
    assert not accepts("check", by, file, within=folder)


@pytest.mark.services
def test_every_alert_fires_when_it_should_and_not_else(folder: Path) -> None:
    assert accepts("test", "rules", "alerts.test.yaml", within=folder)


@pytest.mark.services
@pytest.mark.parametrize("wrong", ["vector(0) > 1", "vector(1)"], ids=["never", "always"])
@pytest.mark.parametrize("alert", [rule["alert"] for rule in RULES])
def test_an_alert_that_never_or_always_fires_is_found_out(
    alert: str, wrong: str, folder: Path
) -> None:
    told = yaml.safe_load((folder / "alerts.yaml").read_text())
    (rule,) = (rule for rule in told["groups"][0]["rules"] if rule["alert"] == alert)
    rule["expr"] = wrong
    (folder / "alerts.yaml").write_text(yaml.safe_dump(told))
    assert accepts("check", "rules", "alerts.yaml", within=folder)
    assert not accepts("test", "rules", "alerts.test.yaml", within=folder)


def test_every_alert_says_what_it_means_and_where_to_read_what_to_do() -> None:
    pages = {heading(rule["alert"]) for rule in RULES}
    assert len(pages) == len(RULES)
    for rule in RULES:
        told = rule["annotations"]
        assert set(told) == {"summary", "description", "runbook"}
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert told["runbook"] == f"docs/operations.md#{heading(rule['alert'])}"
    page = (REPOSITORY / "docs" / "operations.md").read_text()
    section = page.split("\n## Alerts\n")[1].split("\n## ")[0]
    written = [line[4:] for line in section.splitlines() if line.startswith("### ")]
    assert written == [rule["alert"] for rule in RULES]
    for rule in RULES:
        told = section.split(f"### {rule['alert']}\n\n")[1]
        assert told.startswith(f"`{rule['labels']['severity']}`"), rule["alert"]


def test_kubernetes_has_the_same_alerts() -> None:
    written = (REPOSITORY / KUBERNETES_RULES).read_text()
    assert written == rules_of_kubernetes((REPOSITORY / ALERTS).read_text()), (
        "run python -m scripts.dashboard"
    )


def test_the_dashboard_is_the_one_that_the_panels_make() -> None:
    assert (REPOSITORY / DASHBOARD).read_text() == draw(), "run python -m scripts.dashboard"


@pytest.mark.services
def test_promtool_reads_every_query_of_the_dashboard_and_would_not_read_another(
    tmp_path: Path,
) -> None:
    asked = expressions(json.loads((REPOSITORY / DASHBOARD).read_text()))
    assert len(asked) > 20

    def is_read(exprs: list[str]) -> bool:
        rules = [{"record": f"panel:{n}", "expr": expr} for n, expr in enumerate(exprs)]
        file = tmp_path / "panels.yaml"
        file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
        return accepts("check", "rules", file.name, within=tmp_path)

    assert is_read(asked)
    for number, expr in enumerate(asked):
        assert not is_read([*asked[:number], f"{expr})", *asked[number + 1 :]]), expr


def test_every_metric_that_is_asked_for_is_documented() -> None:
    """And what is documented is there: `test_metrics`."""
    text = (REPOSITORY / "docs" / "operations.md").read_text().split("## Metrics")[1]
    asked = [rule["expr"] for rule in RULES]
    asked += expressions(json.loads((REPOSITORY / DASHBOARD).read_text()))
    names = named_metrics(asked)
    assert len(names) > 20
    assert [name for name in names if f"`{name}`" not in text] == []


def test_the_dashboard_shows_every_metric_but_the_use_per_key() -> None:
    page = (REPOSITORY / "docs" / "operations.md").read_text()
    rows = re.findall(r"^\| `(background_removal_\w+)` \|", page, re.MULTILINE)
    shown = named_metrics(expressions(json.loads((REPOSITORY / DASHBOARD).read_text())))
    assert len(rows) > 20
    assert set(rows) - shown == {"background_removal_key_requests_total"}


BROKEN: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "the same number twice": (lambda d: d["panels"][2].update(id=2), "numbers"),
    "no source": (lambda d: d["panels"][1].pop("datasource"), "Health: another source"),
    "one upon the other": (
        lambda d: d["panels"][2]["gridPos"].update(d["panels"][1]["gridPos"]),
        "lie upon each other",
    ),
    "beyond the edge": (lambda d: d["panels"][4]["gridPos"].update(x=20), "beyond the edge"),
    "nothing asked for": (lambda d: d["panels"][1].update(targets=[]), "Health: asks nothing"),
    "letters twice": (
        lambda d: d["panels"][8]["targets"][1].update(refId="A"),
        "letters",
    ),
    "an unknown variable": (
        lambda d: d["panels"][1]["targets"][0].update(expr='up{instance="$replica"}'),
        "$replica is no variable",
    ),
}


def test_the_dashboard_holds() -> None:
    assert dashboard_faults(json.loads((REPOSITORY / DASHBOARD).read_text())) == []


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_dashboard_is_refused(fault: str) -> None:
    spoil, expected = BROKEN[fault]
    board = copy.deepcopy(json.loads((REPOSITORY / DASHBOARD).read_text()))
    spoil(board)
    found = dashboard_faults(board)
    assert any(expected in one for one in found), found


def test_grafana_is_told_where_source_and_dashboard_lie() -> None:
    """As Compose mounts them."""
    compose = yaml.safe_load((REPOSITORY / "deploy" / "compose.yaml").read_text())
    mounts = dict(volume.split(":")[:2] for volume in compose["services"]["grafana"]["volumes"])
    deploy = REPOSITORY / "deploy"
    provisioning = "/etc/grafana/provisioning"
    assert mounts["./grafana/source.yaml"].startswith(f"{provisioning}/datasources/")
    assert mounts["./grafana/dashboards.yaml"].startswith(f"{provisioning}/dashboards/")
    (provider,) = yaml.safe_load((deploy / "grafana/dashboards.yaml").read_text())["providers"]
    board = Path(mounts[f"./{DASHBOARD.relative_to('deploy')}"])
    assert str(board.parent) == provider["options"]["path"]
    (source,) = yaml.safe_load((deploy / "grafana/source.yaml").read_text())["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    prometheus = compose["services"]["prometheus"]
    assert "./prometheus:/etc/prometheus:ro" in prometheus["volumes"]
    assert "--config.file=/etc/prometheus/prometheus.yaml" in prometheus["command"]
