"""BentoML's dispatcher without its waiting: a batch is what queued up while the last one ran.

As it comes, the dispatcher holds a lone request back for as long as others have queued of late,
hoping for company, and holds two of the first dozen back to learn from them: hundreds of
milliseconds each on a CPU, for batches that gain nothing there. There is no setting for it. This
reaches into BentoML 1.4.39 (pinned); `tests/unit/service/test_batching.py` notices if another
version has moved it.
"""

from __future__ import annotations

from bentoml._internal.marshal.dispatcher import CorkDispatcher, Optimizer


def batch_without_waiting() -> None:
    """Have every dispatcher of this process take what is there as soon as the engine is free."""
    Optimizer.wait = property(lambda self: 0.0, lambda self, value: None)  # type: ignore[assignment]
    CorkDispatcher.train_optimizer = _learn_nothing  # type: ignore[assignment]


async def _learn_nothing(*_: object) -> None:
    """There is nothing to learn for one who never waits."""
