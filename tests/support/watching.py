"""What of the alerts and the dashboard can be told without Prometheus and Grafana."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any

_COLUMNS = 24
Object = dict[str, Any]


def heading(title: str) -> str:
    """The anchor of a heading of one word."""
    return title.lower()


def expressions(board: Object) -> list[str]:
    """Every query of a dashboard, as Grafana would ask it with nothing chosen."""
    return [
        target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")
        for panel in board["panels"]
        for target in panel.get("targets", [])
    ]


def named_metrics(exprs: Iterable[str]) -> set[str]:
    """The metrics in queries; histograms without `_bucket`, `_sum`, `_count`."""
    names = {
        name for expr in exprs for name in re.findall(r"\b(?:background_removal|bentoml)_\w+", expr)
    }
    return {re.sub("_(bucket|sum|count)$", "", name) for name in names}


def dashboard_faults(board: Object) -> list[str]:
    """Everything that is wrong with a dashboard, in words."""
    return [*_of_all(board), *(fault for panel in board["panels"] for fault in _of(panel, board))]


def _of_all(board: Object) -> Iterator[str]:
    numbers = Counter(panel.get("id") for panel in board["panels"])
    if numbers.most_common(1)[0][1] > 1 or None in numbers:
        yield "numbers are missing, or there twice"
    for one, other in combinations(board["panels"], 2):
        if _overlap(one["gridPos"], other["gridPos"]):
            yield f"{one['title']} and {other['title']} lie upon each other"


def _overlap(one: Object, other: Object) -> bool:
    return all(
        one[at] < other[at] + other[size] and other[at] < one[at] + one[size]
        for at, size in (("x", "w"), ("y", "h"))
    )


def _of(panel: Object, board: Object) -> Iterator[str]:
    title, place = panel["title"], panel["gridPos"]
    if place["x"] + place["w"] > _COLUMNS:
        yield f"{title}: beyond the edge"
    if panel["type"] == "row":
        return
    variables = {one["name"]: one["type"] for one in board["templating"]["list"]}
    source = panel.get("datasource", {}).get("uid", "")
    if variables.get(source.strip("${}")) != "datasource":
        yield f"{title}: another source"
    letters = Counter(target.get("refId") for target in panel["targets"])
    if not letters:
        yield f"{title}: asks nothing"
    if any(count > 1 for count in letters.values()):
        yield f"{title}: letters are there twice"
    for target in panel["targets"]:
        for name in re.findall(r"\$(?!__)(\w+)", target["expr"]):
            if name not in variables:
                yield f"{title}: ${name} is no variable"
