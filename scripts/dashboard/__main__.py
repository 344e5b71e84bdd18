"""Write Grafana's dashboard, and take Prometheus' alerts over into Kubernetes.

`deploy/grafana/background-removal.json` is made of the panels in `panels.py`, through Grafana's own
typed SDK; `deploy/kubernetes/components/prometheus/rules.yaml` of `deploy/prometheus/alerts.yaml`.

`python -m scripts.dashboard`
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import yaml
from grafana_foundation_sdk.builders import dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.builders.common import ReduceDataOptions, VizLegendOptions
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    LegendDisplayMode,
    LegendPlacement,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    VariableRefresh,
)

from scripts.command import run_command
from scripts.dashboard.panels import PANELS, Panel, Query

DASHBOARD = Path("deploy/grafana/background-removal.json")
ALERTS = Path("deploy/prometheus/alerts.yaml")
KUBERNETES_RULES = Path("deploy/kubernetes/components/prometheus/rules.yaml")
_OURS = 'job="background-removal", instance=~"$instance"'
_SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")


def draw() -> str:
    """The dashboard, as the file holds it."""
    board = (
        dashboard.Dashboard("Background removal")
        .uid("background-removal")
        .description("Made by `python -m scripts.dashboard` of the metrics in docs/operations.md.")
        .editable()
        .refresh("30s")
        .time("now-3h", "now")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(
            dashboard.DatasourceVariable("source").label("Prometheus").type("prometheus")
        )
        .with_variable(
            dashboard.QueryVariable("instance")
            .label("Replica")
            .datasource(_SOURCE)
            .query('label_values(background_removal_health{job="background-removal"}, instance)')
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .include_all(True)
            .all_value(".*")
            .multi(True)
        )
    )
    numbers = count(1)
    for title, panels in PANELS.items():
        board.with_row(dashboard.Row(title).id(next(numbers)))
        for panel in panels:
            drawn = _stat(panel) if panel.is_stat else _lines(panel)
            board.with_panel(drawn.id(next(numbers)))
    return JSONEncoder(sort_keys=True, indent=1).encode(board.build()) + "\n"


def _lines(panel: Panel) -> timeseries.Panel:
    """Lines over time."""
    legend = VizLegendOptions().display_mode(LegendDisplayMode.LIST)
    drawn = timeseries.Panel().title(panel.title).description(panel.meaning).unit(panel.unit)
    drawn.legend(legend.placement(LegendPlacement.BOTTOM).show_legend(True))
    drawn.datasource(_SOURCE).span(panel.span).height(8).min(0).fill_opacity(5)
    return drawn.targets([_target(query, letter) for letter, query in _lettered(panel)])


def _stat(panel: Panel) -> stat.Panel:
    """The newest values in large letters; a value of 1 says only what its labels say."""
    shown = BigValueTextMode.NAME if panel.unit == "none" else BigValueTextMode.VALUE_AND_NAME
    drawn = stat.Panel().title(panel.title).description(panel.meaning).unit(panel.unit)
    drawn.reduce_options(ReduceDataOptions().calcs(["lastNotNull"])).text_mode(shown)
    drawn.color_mode(BigValueColorMode.NONE).graph_mode(BigValueGraphMode.NONE)
    drawn.datasource(_SOURCE).span(panel.span).height(5)
    return drawn.targets([_target(query, letter).instant() for letter, query in _lettered(panel)])


def _lettered(panel: Panel) -> Sequence[tuple[str, Query]]:
    return list(zip("ABCDEF", panel.queries, strict=False))


def _target(query: Query, letter: str) -> prometheus.Dataquery:
    expr = query.expr.replace("OURS", _OURS).replace("RANGE", "$__rate_interval")
    return prometheus.Dataquery().ref_id(letter).expr(expr).legend_format(query.legend)


def rules_of_kubernetes(alerts: str) -> str:
    """A PrometheusRule with the groups of a file of Prometheus.

    Args:
        alerts: Content of the file.
    """
    metadata = {
        "name": "background-removal",
        "labels": {"app.kubernetes.io/name": "background-removal"},
    }
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": metadata,
        "spec": yaml.safe_load(alerts),
    }
    head = f"# Made of {ALERTS} by `python -m scripts.dashboard`.\n"
    return head + yaml.safe_dump(rule, sort_keys=False, width=150)


def main(arguments: list[str] | None = None) -> int:
    """Write both, and say where."""
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    DASHBOARD.write_text(draw())
    KUBERNETES_RULES.write_text(rules_of_kubernetes(ALERTS.read_text()))
    print(DASHBOARD, KUBERNETES_RULES, sep="\n")
    return 0


if __name__ == "__main__":
    run_command(main)
