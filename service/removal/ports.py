"""What the remover needs of the world, and the values that travel between the two services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from models.arrays import U8Array
from models.engine import EngineInfo
from models.serving.status import EngineStatus
from models.spec import ModelSpec


@dataclass(frozen=True)
class Matte:
    """One alpha matte and how it came about.

    Attributes:
        alpha: ``[H, W]`` uint8.
        engine: What made it.
        inference_ms: What the forward pass of its batch took.
        retried_on_cpu: Whether the GPU failed and the CPU made it.
    """

    alpha: U8Array
    engine: EngineInfo
    inference_ms: float
    retried_on_cpu: bool = False


class FaultKind(StrEnum):
    """Why there is no matte."""

    DEVICE_MEMORY = "device memory"
    MACHINE_MEMORY = "machine memory"
    ENGINE = "engine"


@dataclass(frozen=True)
class Fault:
    """Why a picture got no matte; a value, since an exception would fail its whole batch.

    Attributes:
        kind: Why.
        code: Code of the error it stands for.
        fields: Figures for the caller, such as the memory that was needed.
    """

    kind: FaultKind
    code: str
    fields: Mapping[str, Any]


#: What inference answers for one picture.
Outcome = Matte | Fault


@dataclass(frozen=True)
class InferenceStatus:
    """What the inference service says of itself.

    Attributes:
        status: Of its engines.
        pid: Its process.
        busy_s: Seconds the present batch has taken; 0 between two.
        usage: What its process takes; see `service.resources.own_usage`.
        service: Its name, in log and metrics.
    """

    status: EngineStatus
    pid: int
    busy_s: float
    usage: Mapping[str, float]
    service: str = "inference"


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


class InferenceClient(MattingClient, Protocol):
    """The inference service of one model."""

    async def describe(self) -> InferenceStatus:
        """What really runs, and how it fares.

        Raises:
            BackgroundRemovalError: If it does not answer.
        """


@dataclass(frozen=True)
class ServedModel:
    """A model that is served.

    Attributes:
        spec: The model: its input size, and how its matte is refined.
        client: What runs it.
    """

    spec: ModelSpec
    client: InferenceClient
