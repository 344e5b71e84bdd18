"""Runs batches of any size on one engine: checks them, splits them, counts failures."""

from __future__ import annotations

import numpy as np

from models.arrays import U8Array
from models.engine import Engine, batch_sizes
from models.errors import InferenceFailed, OutOfDeviceMemory


class MattePredictor:
    """Feeds an engine what it takes.

    Args:
        engine: The engine to run on; the predictor closes it.
        height: Rows of the model input, in pixels.
        width: Columns of the model input, in pixels.
    """

    def __init__(self, engine: Engine, height: int, width: int) -> None:
        self.engine = engine
        self.shape = (height, width, 3)
        self.failures_in_a_row = 0
        self._step = engine.info.max_batch

    def predict(self, batch: U8Array) -> U8Array:
        """Run a batch of any size.

        Args:
            batch: Model inputs ``[N, H, W, 3]``, RGB, N from 1.

        Returns:
            Alpha mattes ``[N, H, W]``.

        Raises:
            ValueError: If the batch is not of that shape and type. Our bug, never a user's.
            InferenceFailed: If the engine fails or answers in another shape.
        """
        if batch.dtype != np.uint8 or batch.shape[1:] != self.shape or not len(batch):
            height, width, _ = self.shape
            raise ValueError(
                f"expected uint8 [N, {height}, {width}, 3], N from 1, "
                f"got {batch.dtype} {list(batch.shape)}"
            )
        step = self._step
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
        """Run grey pictures, so that no caller pays for what an engine does once per batch size.

        Engines that care run other sizes in powers of two. A size the device has no memory for is
        never asked of it again.

        Raises:
            InferenceFailed: If the engine fails; `OutOfDeviceMemory` if on a single picture.
        """
        for size in batch_sizes(self._step):
            try:
                self.predict(np.full((size, *self.shape), 127, dtype=np.uint8))
            except OutOfDeviceMemory:
                if size == 1:
                    raise
                self._step = size // 2
                self.failures_in_a_row = 0
                break

    def close(self) -> None:
        """Close the engine."""
        self.engine.close()
