"""One trace through both processes, as a collector gets it from a service that runs."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from scripts.traces.collector import Collector
from service.tracing.spans import ATTRIBUTES
from tests.support.pictures import make_image
from tests.support.server import NO_LIMITS, Serve, free_port

pytestmark = pytest.mark.full

STAGES = ("guard", "decode", "matte", "refine", "compose", "encode")
IN_INFERENCE = {"predict", "queue", "batch", "inference"}


def parent(number: int, sampled: str = "01") -> dict[str, str]:
    """The header of a caller that traces."""
    return {"traceparent": f"00-{number:032x}-b7ad6b7169203331-{sampled}"}


def test_a_trace_goes_through_both_processes_and_a_batch_knows_its_requests(serve: Serve) -> None:
    with Collector() as collector:
        settings = {"BIREFNET_OTLP_ENDPOINT": collector.endpoint, "BIREFNET_TRACE_RATIO": "0"}
        others = {  # what FastAPI sends by itself, with paths and queries
            "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        }
        with serve(
            BIREFNET_ENGINE="auto", BIREFNET_BATCH_SIZE="4", **settings, **others, **NO_LIMITS
        ) as server:
            data = make_image("PNG", 200, 200)
            assert server.remove(data, headers=parent(1)).is_success
            assert server.remove(data, headers=parent(2, "00")).is_success
            assert server.remove(data).is_success  # not traced: of its own it would be one in none

            def ask(number: int) -> httpx.Response:
                return server.remove(data, headers=parent(number))

            with ThreadPoolExecutor(8) as pool:
                assert all(answer.is_success for answer in pool.map(ask, range(10, 26)))
            server.get("/metrics")
            server.health()
            log = server.log()
        for number in (1, *range(10, 26)):  # what waited was sent as the service stopped
            trace = collector.trace(f"{number:032x}")
            spans = {span.name: span for span in trace}
            assert spans.keys() >= {*STAGES, *IN_INFERENCE}, number
            assert spans["predict"].parent_id == spans["matte"].span_id
            assert spans["inference"].parent_id == spans["batch"].span_id
            assert {span.service for name, span in spans.items() if name in IN_INFERENCE} == {
                "inference"
            }
            assert spans["encode"].service == "background_removal"
        batches = [span for span in collector.spans if span.name == "batch"]
        shared = [span for span in batches if span.links]
        assert shared
        predicts = {span.span_id for span in collector.spans if span.name == "predict"}
        for span in batches:
            assert len(span.links) == int(span.attributes["birefnet.batch_size"]) - 1
            assert set(span.links) <= predicts
        assert collector.paths == {"/v1/traces"}
        assert len({span.trace_id for span in collector.spans}) == 17
        assert {name for span in collector.spans for name in span.attributes} <= ATTRIBUTES
        assert not any("127.0.0.1" in span.raw or "a.png" in span.raw for span in collector.spans)
        assert f"trace={1:032x}" in log


def test_a_collector_that_is_gone_costs_nobody_anything(serve: Serve) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    with serve(BIREFNET_OTLP_ENDPOINT=nobody, **NO_LIMITS) as server:
        ends = time.monotonic() + 12
        while time.monotonic() < ends:
            assert server.remove(make_image("PNG")).elapsed.total_seconds() < 5
        assert server.stop() < 20
        log = server.log()
    said = [line for line in log.splitlines() if "trace" in line and " WARNING " in line]
    assert len(said) == 2, said  # of each process
    assert "Traceback" not in log
    assert "opentelemetry" not in log
