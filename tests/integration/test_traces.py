"""What of a request gets into its trace, and what of it never does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scripts.traces.collector import Collected, Collector
from service.tasks.asked import TasksConfig
from service.tasks.dbos_queue import QueueConfig
from service.tracing.otlp import OtlpTracer, TraceConfig, open_tracer
from service.tracing.spans import ATTRIBUTES
from tests.support.api import PREFIX, REMOVE, Api, ApiParts, open_api
from tests.support.matting import SPEC
from tests.support.pictures import make_image

pytestmark = pytest.mark.anyio

TRACE = "0af7651916cd43dd8448eb211c80319c"
HEADERS = {
    "traceparent": f"00-{TRACE}-b7ad6b7169203331-01",
    "tracestate": "vendor=secret-state",
    "baggage": "name=secret-baggage",
    "X-Request-ID": "secret-id",
    "X-API-Key": "secret-key",
    "User-Agent": "secret-agent",
}


@pytest.fixture
async def tracing() -> AsyncIterator[tuple[Collector, OtlpTracer]]:
    with Collector() as collector:
        tracer = open_tracer(TraceConfig(collector.endpoint), "public")
        yield collector, tracer
        await tracer.close()


def check_silence(spans: list[Collected]) -> None:
    """Nothing is told that names anybody or anything."""
    assert {name for span in spans for name in span.attributes} <= ATTRIBUTES
    assert not any("secret" in span.raw or "192.0.2.1" in span.raw for span in spans)


async def test_a_removal_has_a_span_for_each_stage(
    api: Api, tracing: tuple[Collector, OtlpTracer], caplog: pytest.LogCaptureFixture
) -> None:
    collector, tracer = tracing
    caplog.set_level("INFO")
    files = {"image": ("secret-name.png", make_image("PNG", 80, 96), "image/png")}
    answer = await api.client.post(f"{REMOVE}?secret=query", files=files, headers=HEADERS)
    assert answer.is_success
    tracer.flush()
    spans = {span.name: span for span in collector.trace(TRACE)}
    request, removal = spans["POST /remove"], spans["removal"]
    assert removal.parent_id == spans["receive"].parent_id == request.span_id
    stages = ("guard", "admission", "decode", "fit", "matte", "refine", "compose", "encode")
    for stage in stages:
        assert spans[stage].parent_id == removal.span_id
        assert removal.began <= spans[stage].began <= spans[stage].ended <= removal.ended
    assert removal.attributes["birefnet.width"] == 96
    assert removal.attributes["birefnet.height"] == 80
    assert removal.attributes["birefnet.model"] == SPEC.name
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/remove",
        "http.response.status_code": 200,
    }
    assert f"trace={TRACE}" in caplog.text
    check_silence(collector.spans)


async def test_a_picture_that_is_refused_says_why_by_its_code(
    api: Api, tracing: tuple[Collector, OtlpTracer]
) -> None:
    collector, tracer = tracing
    answer = await api.remove(b"secret bytes", name="secret.png")
    tracer.flush()
    request = next(span for span in collector.spans if span.name == "POST /remove")
    removal = next(span for span in collector.spans if span.name == "removal")
    assert request.attributes["error.type"] == answer.json()["error_code"]
    assert removal.attributes["error.type"] == answer.json()["error_code"]
    assert (request.failed, removal.failed) == (False, True)
    check_silence(collector.spans)


async def test_of_two_callers_spans_none_is_carried_on(
    api: Api, tracing: tuple[Collector, OtlpTracer]
) -> None:
    collector, tracer = tracing
    files = {"image": ("secret.png", make_image("PNG"), "image/png")}
    twice = [("traceparent", HEADERS["traceparent"])] * 2
    assert (await api.client.post(REMOVE, files=files, headers=twice)).is_success
    tracer.flush()
    assert TRACE not in {span.trace_id for span in collector.spans}
    assert len({span.trace_id for span in collector.spans}) == 1


async def test_pictures_of_a_batch_have_a_removal_each_and_reading_has_no_trace(
    api: Api, tracing: tuple[Collector, OtlpTracer]
) -> None:
    collector, tracer = tracing
    images = [("images", (f"secret-{i}.png", make_image("PNG"), "image/png")) for i in range(3)]
    batch = await api.client.post(f"{PREFIX}/remove-batch", files=images)
    assert batch.is_success
    for path in (f"{PREFIX}/health", f"{PREFIX}/info", "/", f"{PREFIX}/status/{'0' * 32}"):
        await api.client.get(path)
    await api.client.request("SECRET", REMOVE)
    await api.client.post("/secret-path")
    tracer.flush()
    assert len({span.trace_id for span in collector.spans}) == 1
    names = [span.name for span in collector.spans]
    assert names.count("removal") == names.count("encode") == 3
    check_silence(collector.spans)


async def test_a_task_has_a_trace_of_its_own(
    tmp_path: Path, tracing: tuple[Collector, OtlpTracer]
) -> None:
    collector, tracer = tracing
    queue = QueueConfig(f"sqlite:///{tmp_path / 'tasks.db'}", "")
    async with open_api(ApiParts(tasks=TasksConfig(queue=queue, storage=str(tmp_path)))) as api:
        files = {"image": ("secret.png", make_image("PNG"), "image/png")}
        answer = await api.client.post(f"{PREFIX}/remove-async", files=files)
        task_id = answer.json()["task_id"]
        for _ in range(200):
            told = (await api.client.get(f"{PREFIX}/status/{task_id}")).json()
            if told["status"] not in ("queued", "processing"):
                break
            await asyncio.sleep(0.05)
        assert told["status"] == "completed"
    tracer.flush()
    task = next(span for span in collector.spans if span.name == "task")
    assert {"removal", "encode"} <= {span.name for span in collector.trace(task.trace_id)}
    accepted = next(span for span in collector.spans if span.name == "POST /remove-async")
    assert accepted.trace_id != task.trace_id
    assert not any(task_id in span.raw for span in collector.spans)
    check_silence(collector.spans)
