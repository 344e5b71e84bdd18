"""Records spans with OpenTelemetry's SDK and sends them over OTLP/HTTP, from a thread of its own.

A request never waits for the collector: spans wait in a queue of 2,048 and more are dropped. What
the collector does not take is said once, not for every attempt.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from models.errors import BackgroundRemovalError
from service.tracing.spans import Attributes, Span, entered, trace_with

log = logging.getLogger(__name__)

_PATH = "/v1/traces"
_SEND_S = 5.0  # for one attempt with all its repetitions
_END_S = 2.0
_MOST_WAITING = 2048
_MOST_AT_ONCE = 512
_EVERY_MS = 2000
# They tell of every attempt that failed; `_Exporter` tells of the first.
_NOISY = ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal")


@dataclass(frozen=True)
class TraceConfig:
    """Where spans go.

    Attributes:
        endpoint: Address of the collector, without `/v1/traces`.
        ratio: Share of the traces begun here that are recorded; a caller's own are recorded if the
            caller says so.
    """

    endpoint: str
    ratio: float = 1.0


class OtlpTracer:
    """Records spans; `service.tracing.spans` describes how it is used.

    Args:
        config: Where they go.
        service: Name of this process's service.
    """

    def __init__(self, config: TraceConfig, service: str) -> None:
        for name in _NOISY:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(config.ratio)),
            resource=Resource.create({SERVICE_NAME: service}),
            shutdown_on_exit=False,  # it would wait for a collector that is gone
        )
        endpoint = config.endpoint.rstrip("/") + _PATH
        self._provider.add_span_processor(
            BatchSpanProcessor(
                _Exporter(OTLPSpanExporter(endpoint, timeout=_SEND_S)),
                max_queue_size=_MOST_WAITING,
                max_export_batch_size=_MOST_AT_ONCE,
                schedule_delay_millis=_EVERY_MS,
            )
        )
        self._tracer = self._provider.get_tracer("background_removal")

    @contextmanager
    def root(self, name: str, traceparent: str) -> Iterator[Span]:
        """See `service.tracing.spans.root`; other headers of the caller's are not read."""
        caller = TraceContextTextMapPropagator().extract(
            {"traceparent": traceparent}, trace.set_span_in_context(trace.INVALID_SPAN)
        )
        began = self._tracer.start_span(name, caller, trace.SpanKind.SERVER)
        with _under_way(_RecordedSpan(self._tracer, began)) as span:
            yield span

    def flush(self) -> None:
        """Send what waits."""
        self._provider.force_flush()

    async def close(self) -> None:
        """Send what waits, for two seconds at most."""
        trace_with(None)
        # A daemon: the interpreter does not wait for one, as it would for a thread of a pool.
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ends = time.monotonic() + _END_S
        while ending.is_alive() and time.monotonic() < ends:
            await asyncio.sleep(0.02)


def open_tracer(config: TraceConfig, service: str) -> OtlpTracer:
    """Trace what this process does from now on."""
    tracer = OtlpTracer(config, service)
    trace_with(tracer)
    return tracer


class _RecordedSpan(Span):
    """A span of OpenTelemetry's.

    Args:
        tracer: Begins those below it.
        span: The span.
    """

    def __init__(self, tracer: trace.Tracer, span: trace.Span) -> None:
        self._tracer, self.span = tracer, span
        if span.is_recording():
            self.trace_id = trace.format_trace_id(span.get_span_context().trace_id)

    @contextmanager
    def child(self, name: str, links: Sequence[Span] = ()) -> Iterator[Span]:
        """See `Span`."""
        others = [one.span for one in links if isinstance(one, _RecordedSpan) and one is not self]
        began = self._tracer.start_span(
            name,
            trace.set_span_in_context(self.span),
            links=[trace.Link(other.get_span_context()) for other in others],
        )
        with _under_way(_RecordedSpan(self._tracer, began)) as span:
            yield span

    def past(self, name: str, lasted_s: float, ended_s_ago: float = 0.0) -> None:
        """See `Span`."""
        ended = time.time_ns() - int(ended_s_ago * 1e9)
        context = trace.set_span_in_context(self.span)
        began = ended - int(lasted_s * 1e9)
        self._tracer.start_span(name, context, start_time=began).end(ended)

    def tell(self, attributes: Attributes) -> None:
        """See `Span`."""
        self.span.set_attributes(attributes)
        is_callers = 400 <= int(attributes.get("http.response.status_code", 0)) < 500
        if "error.type" in attributes and not is_callers:
            self.span.set_status(trace.StatusCode.ERROR)


@contextmanager
def _under_way(span: _RecordedSpan) -> Iterator[Span]:
    """A block that a span lasts for; of an error it says the code, never the message."""
    # OpenTelemetry's own current span is what BentoML's client tells inference.
    with (
        entered(span),
        trace.use_span(
            span.span,
            end_on_exit=True,
            record_exception=False,
            set_status_on_exception=False,
        ),
    ):
        try:
            yield span
        except BackgroundRemovalError as error:
            span.tell({"error.type": error.code})
            raise
        except BaseException as fault:
            span.tell({"error.type": type(fault).__name__})
            raise


class _Exporter(SpanExporter):
    """Sends spans, and says once that it cannot."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._fails = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send some."""
        result = self._exporter.export(spans)
        fails = result is not SpanExportResult.SUCCESS
        if fails and not self._fails:
            log.warning(
                "the collector of traces (BIREFNET_OTLP_ENDPOINT) takes none: they are lost"
            )
        if self._fails and not fails:
            log.info("the collector of traces takes them again")
        self._fails = fails
        return result

    def shutdown(self) -> None:
        """Send no more."""
        self._exporter.shutdown()
