"""A batch of any size in, a batch of alpha mattes out: checks, splits, counts failures."""

from __future__ import annotations

import numpy as np

from models.engine import Engine, U8Array
from models.errors import InferenceFailed


class MattePredictor:
    """Feeds an engine what it takes.

    Args:
        engine: The engine to run on; the predictor closes it.
        input_size: Side ``S`` of the model input, in pixels.
    """

    def __init__(self, engine: Engine, input_size: int) -> None:
        self.engine = engine
        self.input_size = input_size
        self.failures_in_a_row = 0

    def predict(self, batch: U8Array) -> U8Array:
        """Run a batch of any size.

        Args:
            batch: Model inputs ``[N, S, S, 3]``, RGB.

        Returns:
            Alpha mattes ``[N, S, S]``.

        Raises:
            ValueError: If the batch is not of that shape and type. Our bug, never a user's.
            InferenceFailed: If the engine fails or answers in another shape.
        """
        size = self.input_size
        if batch.dtype != np.uint8 or batch.ndim != 4 or batch.shape[1:] != (size, size, 3):
            raise ValueError(
                f"expected uint8 [N, {size}, {size}, 3], got {batch.dtype} {list(batch.shape)}"
            )
        step = self.engine.info.max_batch
        try:
            alphas = [self._run(batch[i : i + step]) for i in range(0, len(batch), step)]
        except InferenceFailed:
            self.failures_in_a_row += 1
            raise
        self.failures_in_a_row = 0
        return alphas[0] if len(alphas) == 1 else np.concatenate(alphas)

    def _run(self, part: U8Array) -> U8Array:
        """Run what fits the engine, and do not believe its answer blindly."""
        alpha = self.engine.predict(part)
        if alpha.dtype != np.uint8 or alpha.shape != part.shape[:3]:
            raise InferenceFailed(f"the engine answered {alpha.dtype} {list(alpha.shape)}")
        return alpha

    def warm_up(self) -> None:
        """Run one grey picture, so that the first caller does not pay for allocation."""
        self.predict(np.full((1, self.input_size, self.input_size, 3), 127, dtype=np.uint8))

    def close(self) -> None:
        """Close the engine."""
        self.engine.close()
