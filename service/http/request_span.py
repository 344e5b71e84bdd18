"""The span of a request: which are traced, and what is said of them."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext

from starlette.types import Scope

from service.http.exchange import Exchange, method_of
from service.http.span_middleware import traceparent_of
from service.tracing.spans import NO_SPAN, Span, root


def span_of_request(scope: Scope, exchange: Exchange) -> AbstractContextManager[Span]:
    """Trace a request that counts; not what only reads, as probes and pages do."""
    method, policy = method_of(scope), exchange.policy
    if method not in policy.methods or policy.cost_of(method) == 0:
        return nullcontext(NO_SPAN)
    return root(f"{method} {policy.route}", traceparent_of(scope))


def tell_outcome(span: Span, scope: Scope, exchange: Exchange) -> None:
    """Say what became of a request."""
    span.tell(
        {
            "http.request.method": method_of(scope),
            "http.route": exchange.policy.route,
            "http.response.status_code": exchange.status,
            **({"error.type": exchange.error_code} if exchange.error_code else {}),
        }
    )
    if exchange.body_complete is not None:
        took_s = exchange.body_complete - exchange.started
        span.past("receive", took_s, time.perf_counter() - exchange.body_complete)
