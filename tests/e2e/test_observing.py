"""What an operator's tools get: metrics of both processes, and lines that a machine reads."""

from __future__ import annotations

import json
import re
import time

from tests.support.pictures import make_image
from tests.support.server import NO_LIMITS, BentoServer, Serve

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
    phases = [samples[name] for name in samples if "background_removal_removals" in name]
    assert phases == [0, 0, 0]


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
