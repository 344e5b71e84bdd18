"""What an operator's tools get: metrics of both processes, and lines that a machine reads."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
import yaml

from scripts.dashboard.__main__ import ALERTS, draw
from tests.support.pictures import make_image
from tests.support.prometheus import scraping
from tests.support.server import NO_LIMITS, BentoServer, Serve
from tests.support.watching import expressions, named_metrics

_PROCESS = 'background_removal_process_{}{{process="{}"}}'


def test_metrics_know_health_what_runs_and_both_processes(fake_server: BentoServer) -> None:
    assert fake_server.remove(make_image("PNG")).is_success
    samples = fake_server.metrics()
    states = {
        state: samples[f'background_removal_health{{state="{state}"}}']
        for state in ("healthy", "degraded", "unhealthy")
    }
    health = fake_server.health()
    assert states == {state: float(state == health["status"]) for state in states}
    (build,) = (name for name in samples if name.startswith("background_removal_build_info"))
    assert {'model="u2netp"', 'engine="fake f32"'} <= {*re.findall(r'\w+="[^"]*"', build)}
    for process in ("public", "inference"):
        assert samples[_PROCESS.format("memory_bytes", process)] > 20e6
        assert samples[_PROCESS.format("cpu_seconds_total", process)] > 0
        age_s = time.time() - samples[_PROCESS.format("start_time_seconds", process)]
        assert 0 < age_s < 3600
    over = time.monotonic() + 20  # the size of batches is tried out after the start
    while any(_phases(samples)) and time.monotonic() < over:
        samples = fake_server.metrics()
    assert _phases(samples) == [0, 0, 0]


def _phases(samples: dict[str, float]) -> list[float]:
    return [samples[name] for name in samples if "background_removal_removals" in name]


def test_probes_have_routes_of_their_own(fake_server: BentoServer) -> None:
    for probe in ("/livez", "/readyz", "/healthz", "/metrics"):
        assert fake_server.status_of(probe) == 200
    counted = [name for name in fake_server.metrics() if "requests_total" in name]
    for probe in ("/livez", "/readyz", "/healthz", "/metrics"):
        assert any(f'route="{probe}"' in name and 'error_code=""' in name for name in counted)
    assert not any('route="/readyz"' in name and "UNAVAILABLE" in name for name in counted)


def test_every_line_of_a_json_log_is_an_object_whoever_wrote_it(serve: Serve) -> None:
    with serve(LOG_FORMAT="json", **NO_LIMITS) as server:
        assert server.remove(make_image("PNG"), headers={"X-Request-ID": "mine"}).is_success
        assert server.status_of("/a%0A%7B%22level%22:%22error%22%7D") == 404
        assert server.status_of("/livez") == 200  # no line: a probe that was answered
        records = [json.loads(line) for line in server.log().splitlines()]
    assert {"supervisor", "public", "inference"} == {one["process"] for one in records}
    assert any(one["logger"].startswith("bentoml") for one in records)
    requests = [one for one in records if one["logger"] == "service.http.access_log"]
    assert [(one["method"], one["route"], one["status"]) for one in requests] == [
        ("POST", "/remove", 200),
        ("GET", "unmatched", 404),
    ]
    assert requests[0]["request_id"] == "mine"
    assert requests[0]["stages"]["encode"] > 0
    assert requests[1]["error_code"] == "NOT_FOUND"


def test_what_the_alerts_and_the_dashboard_ask_for_is_measured(
    fake_server: BentoServer, root: Path
) -> None:
    assert fake_server.remove(make_image("PNG")).is_success
    asked = [
        rule["expr"] for rule in yaml.safe_load((root / ALERTS).read_text())["groups"][0]["rules"]
    ]
    asked += expressions(json.loads(draw()))
    measured = named_metrics(fake_server.metrics())
    assert named_metrics(asked) - measured == set()
    assert named_metrics(["sum(background_removal_queue)"]) - measured  # would be found out


@pytest.mark.services
def test_prometheus_finds_an_answer_to_every_query(
    fake_server: BentoServer, tmp_path: Path
) -> None:
    with scraping(fake_server.port, tmp_path) as prometheus:
        prometheus.wait_for('up{job="background-removal"} == 1')
        for _ in range(6):  # a rate needs two values that differ
            assert fake_server.remove(make_image("PNG")).is_success
            time.sleep(0.5)
        ours = 'rate(background_removal_requests_total{route="/remove"}[1m])'
        prometheus.wait_for(f"{ours} > 0")
        silent = [expr for expr in expressions(json.loads(draw())) if not prometheus.ask(expr)]
        rules = prometheus.rules()
    assert silent == []
    assert len(rules) > 10
    assert {rule["health"] for rule in rules} == {"ok"}
    assert {rule["name"] for rule in rules if rule["state"] != "inactive"} <= {
        "BackgroundRemovalDegraded"  # u2netp is a light model
    }
