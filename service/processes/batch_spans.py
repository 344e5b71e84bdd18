"""Spans of a batch that holds pictures of several requests.

Each request's trace is to be whole by itself. So each has a span of its own for the time it waited
in the queue and for the batch; the latter links to the spans of the requests it was shared with.

This reaches into BentoML 1.4.39 (pinned), as `bentoml_patches.py` does.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from bentoml._internal.marshal.dispatcher import CorkDispatcher

from service.tracing.spans import NO_SPAN, ManySpans, Span, current, entered

_in_queue, _in_batch = CorkDispatcher.inbound_call, CorkDispatcher.outbound_call
# By the identity of the input, which BentoML keeps for as long as it is here.
_spans: dict[int, Span] = {}


def tell_spans_of_batches() -> None:
    """Have every dispatcher of this process tell spans what it does."""
    CorkDispatcher.inbound_call = _queue  # type: ignore[method-assign]
    CorkDispatcher.outbound_call = _run  # type: ignore[method-assign, assignment]


async def _queue(self: Any, data: Any) -> Any:
    """One input, from its arrival to its result."""
    _spans[id(data)] = current()
    try:
        return await _in_queue(self, data)
    finally:
        _spans.pop(id(data), None)


async def _run(self: Any, jobs: Sequence[Any], training: bool = False) -> None:
    """One batch."""
    spans = [_spans.get(id(job.data), NO_SPAN) for job in jobs]
    with ExitStack() as stack:
        batches = []
        for job, span in zip(jobs, spans, strict=True):
            span.past("queue", time.time() - job.enqueue_time)
            others = [other for other in spans if other is not span]
            batches.append(stack.enter_context(span.child("batch", others)))
        batch = stack.enter_context(entered(ManySpans(batches)))
        batch.tell({"birefnet.batch_size": len(jobs)})
        await _in_batch(self, tuple(jobs), training)
