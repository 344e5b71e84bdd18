"""Spans as the rest of the service sees them; where nothing is traced they do nothing.

This module imports nothing of OpenTelemetry. `service.tracing.otlp` does, once an operator has
asked for traces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Protocol

Attributes = Mapping[str, str | int | bool]

#: All that is ever said of a span: nothing that names a caller, a file, a task or a key.
ATTRIBUTES = frozenset(
    {
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "error.type",
        "birefnet.batch_size",
        "birefnet.engine",
        "birefnet.height",
        "birefnet.model",
        "birefnet.output_height",
        "birefnet.output_width",
        "birefnet.retried_on_cpu",
        "birefnet.width",
    }
)


class Span:
    """A span under way; this one is of what nobody traces, and does nothing.

    Attributes:
        trace_id: Of its trace, 32 hexadecimal digits; empty where nothing is recorded.
    """

    trace_id = ""

    def child(self, name: str, links: Sequence[Span] = ()) -> AbstractContextManager[Span]:
        """A span below it, which lasts as long as the block and is `current` in it.

        Args:
            name: What is done.
            links: Spans of other traces that it has to do with.
        """
        return _NOTHING

    def past(self, name: str, lasted_s: float, ended_s_ago: float = 0.0) -> None:
        """Add a span below it that is over."""

    def tell(self, attributes: Attributes) -> None:
        """Say something of it; names are those of `ATTRIBUTES`."""


NO_SPAN = Span()
_NOTHING = nullcontext(NO_SPAN)
_current: ContextVar[Span] = ContextVar("span", default=NO_SPAN)


class ManySpans(Span):
    """The spans of several requests whose work is done together.

    Args:
        spans: Of each of them.
    """

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = spans

    @contextmanager
    def child(self, name: str, links: Sequence[Span] = ()) -> Iterator[Span]:
        """One below each."""
        with ExitStack() as stack:
            children = [stack.enter_context(span.child(name, links)) for span in self._spans]
            yield ManySpans(children)

    def past(self, name: str, lasted_s: float, ended_s_ago: float = 0.0) -> None:
        """One below each."""
        for span in self._spans:
            span.past(name, lasted_s, ended_s_ago)

    def tell(self, attributes: Attributes) -> None:
        """Say it of each."""
        for span in self._spans:
            span.tell(attributes)


class Tracer(Protocol):
    """Records spans."""

    def root(self, name: str, traceparent: str) -> AbstractContextManager[Span]:
        """See `root`."""


_tracer: Tracer | None = None


def trace_with(tracer: Tracer | None) -> None:
    """Have a tracer record what this process does; None for nothing."""
    global _tracer
    _tracer = tracer


def root(name: str, traceparent: str = "") -> AbstractContextManager[Span]:
    """The first span of this process in a trace, which lasts as long as the block.

    Args:
        name: What is done.
        traceparent: The caller's span as W3C Trace Context writes it; one that cannot be read, or
            none, begins a trace.
    """
    return _NOTHING if _tracer is None else _tracer.root(name, traceparent)


def current() -> Span:
    """The span that this task or thread is in; one that does nothing where nothing is traced."""
    return _current.get()


@contextmanager
def entered(span: Span) -> Iterator[Span]:
    """A block whose `current` span is another."""
    token = _current.set(span)
    try:
        yield span
    finally:
        _current.reset(token)
