"""What the remover needs of the world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from models.arrays import U8Array


@dataclass(frozen=True)
class Matte:
    """One alpha matte and how it came about.

    Attributes:
        alpha: ``[H, W]`` uint8.
        engine: Engine and precision, such as `openvino bf16`.
        inference_ms: What the forward pass of its batch took.
        tensorrt: Whether the engine is TensorRT.
        retried_on_cpu: Whether the device's memory did not do and the CPU made it.
    """

    alpha: U8Array
    engine: str
    inference_ms: float
    tensorrt: bool = False
    retried_on_cpu: bool = False


class MattingClient(Protocol):
    """Makes alpha mattes, somewhere."""

    async def predict(self, model_input: U8Array) -> Matte:
        """Make one matte.

        Args:
            model_input: ``[H, W, 3]`` uint8, RGB.

        Raises:
            ServiceError: If it must be tried again later.
            InferenceFailed: If the forward pass failed.
        """
