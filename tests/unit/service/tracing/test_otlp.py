"""What a collector gets to see, and what happens where there is none."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from bentoml._internal.marshal.dispatcher import CorkDispatcher

from scripts.traces.collector import Collector
from service.errors import CorruptImage
from service.processes.batch_spans import tell_spans_of_batches
from service.tracing.opening import start_tracing
from service.tracing.otlp import TraceConfig, open_tracer
from service.tracing.spans import ATTRIBUTES, NO_SPAN, current, root

pytestmark = pytest.mark.anyio

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{CALLER}-01", f"00-{TRACE}-{CALLER}-00"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as listening:
        yield listening


@asynccontextmanager
async def traced(collector: Collector, ratio: float = 1.0) -> AsyncIterator[None]:
    """Trace what the block does; all of it has come at its end."""
    stop = start_tracing(collector.endpoint, ratio, "test")
    try:
        yield
    finally:
        await stop()


def test_where_no_collector_is_named_nothing_of_opentelemetry_is_imported() -> None:
    program = """
import asyncio, sys
import service.http.app, service.removal.remover, service.tasks.work, service.http.middleware
from service.tracing.opening import start_tracing
from service.tracing.spans import NO_SPAN, current, root
stop = start_tracing("", 1.0, "test")
with root("request", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01") as span:
    assert span is current() is NO_SPAN
    with span.child("stage") as child:
        assert child is NO_SPAN
asyncio.run(stop())
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.ex"))])
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.stdout == "[]\n", ran.stdout + ran.stderr


async def test_spans_carry_on_the_callers_trace(collector: Collector) -> None:
    async with traced(collector):
        with root("request", SAMPLED) as request:
            assert request.trace_id == TRACE
            with request.child("stage") as stage:
                assert current() is stage
                stage.tell({"birefnet.height": 480})
            request.past("receive", 0.25, 0.5)
        assert current() is NO_SPAN
    spans = {span.name: span for span in collector.trace(TRACE)}
    assert spans.keys() == {"request", "stage", "receive"}
    assert spans["request"].parent_id == CALLER
    assert spans["stage"].parent_id == spans["receive"].parent_id == spans["request"].span_id
    assert spans["stage"].attributes == {"birefnet.height": 480}
    assert spans["receive"].ended - spans["receive"].began == pytest.approx(0.25, abs=0.01)
    assert {span.service for span in spans.values()} == {"test"}


@pytest.mark.parametrize(
    "told",
    [
        "",
        "00",
        "\xff" * 55,
        f"00-{'0' * 32}-{CALLER}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{CALLER}-01",
        f"00-{TRACE}-{CALLER}-01-more",
        f"00-{TRACE.upper()}-{CALLER}-zz",
        "a" * 100_000,
        f"00-{TRACE}-{CALLER}-01\r\nx: y",
    ],
)
async def test_a_traceparent_that_cannot_be_read_begins_a_trace(
    collector: Collector, told: str
) -> None:
    async with traced(collector):
        with root("request", told) as span:
            assert len(span.trace_id) == 32
    (request,) = collector.spans
    assert request.parent_id == ""
    assert request.trace_id != "0" * 32


async def test_a_caller_decides_for_its_own_trace_and_the_ratio_for_the_others(
    collector: Collector,
) -> None:
    async with traced(collector, ratio=0.0):
        with root("request") as mine, mine.child("stage"):
            assert mine.trace_id == ""
        with root("request", SAMPLED):
            pass
    async with traced(collector, ratio=1.0):
        with root("request", UNSAMPLED) as theirs:
            assert theirs.trace_id == ""
    assert [span.trace_id for span in collector.spans] == [TRACE]


async def test_of_an_error_only_its_code_is_told(collector: Collector) -> None:
    async with traced(collector):
        with (
            pytest.raises(CorruptImage),
            root("request") as request,
            request.child("stage"),
        ):
            raise CorruptImage("secret-name.png is broken")
        with pytest.raises(KeyError), root("request"):
            raise KeyError("secret-name.png")
    told = {(span.name, span.attributes.get("error.type")) for span in collector.spans}
    assert told == {
        ("request", CorruptImage.code),
        ("stage", CorruptImage.code),
        ("request", "KeyError"),
    }
    assert all(span.failed for span in collector.spans)
    assert not any("secret" in span.raw for span in collector.spans)


@pytest.mark.parametrize("is_silent", [False, True])
async def test_without_a_collector_nobody_waits_and_one_line_says_so(
    caplog: pytest.LogCaptureFixture, is_silent: bool
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: refused
        if is_silent:
            nobody.listen()  # accepted by the kernel, and never answered
        port = nobody.getsockname()[1]
        tracer = open_tracer(TraceConfig(f"http://127.0.0.1:{port}"), "test")
        with caplog.at_level(logging.INFO):
            started = time.monotonic()
            for _ in range(6000):  # three times what may wait
                with root("request"):
                    pass
            assert time.monotonic() - started < 5
            started = time.monotonic()
            await tracer.close()
            assert time.monotonic() - started < 3
    said = [record.getMessage() for record in caplog.records]
    assert len(said) <= 1, said


async def test_a_collector_that_fails_is_told_of_once_and_again_when_it_takes_spans(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.status = 400  # not repeated by the exporter
    tracer = open_tracer(TraceConfig(collector.endpoint), "test")
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            with root("request"):
                pass
            tracer.flush()
        collector.status = 200
        with root("request"):
            pass
        await tracer.close()
    said = [(record.levelname, record.name) for record in caplog.records]
    assert said == [("WARNING", "service.tracing.otlp"), ("INFO", "service.tracing.otlp")]


async def test_requests_of_one_batch_have_whole_traces_that_know_of_each_other(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("inbound_call", "outbound_call"):  # as they are again afterwards
        monkeypatch.setattr(CorkDispatcher, name, getattr(CorkDispatcher, name))
    tell_spans_of_batches()

    async def predict(batches: list[np.ndarray]) -> list[np.ndarray]:
        with current().child("inference") as span:
            span.tell({"birefnet.engine": "fake"})
            return batches

    dispatcher = CorkDispatcher(600_000, 4, fallback=lambda: None, get_batch_size=len)
    call = dispatcher(predict)
    inputs = [np.full((1, 2), value) for value in range(3)]

    async def ask(value: np.ndarray, is_traced: bool) -> None:
        if not is_traced:
            assert await call(value) is value
            return
        with root("predict"):
            assert await call(value) is value

    async with traced(collector):
        with root("earlier"):  # begins the dispatcher's own task, which is not part of this trace
            await call(np.zeros((1, 2)))
        await asyncio.gather(*(ask(value, value[0, 0] < 2) for value in inputs))
    dispatcher.shutdown()
    predicts = [span for span in collector.spans if span.name == "predict"]
    assert len(predicts) == 2
    for mine, other in (predicts, predicts[::-1]):
        trace = {span.name: span for span in collector.trace(mine.trace_id)}
        assert trace.keys() == {"predict", "queue", "batch", "inference"}
        assert trace["queue"].parent_id == trace["batch"].parent_id == mine.span_id
        assert trace["inference"].parent_id == trace["batch"].span_id
        assert trace["batch"].links == [other.span_id]
        assert trace["batch"].attributes == {"birefnet.batch_size": 3}
    assert {name for span in collector.spans for name in span.attributes} <= ATTRIBUTES
