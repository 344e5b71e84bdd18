"""The root of the error tree, and what can go wrong with our own artefacts and machines.

The tree::

    BackgroundRemovalError          code, public_message, retryable
    └─ ModelError                   something is wrong with our artefacts
       ├─ CheckpointError           the file of weights
       │  ├─ CheckpointMismatch
       │  ├─ ChecksumMismatch
       │  ├─ ModelNotFound
       │  └─ DownloadFailed
       ├─ EngineError               the runtime
       │  ├─ EngineUnavailable
       │  ├─ EngineIncompatible
       │  ├─ EngineNotBuilt
       │  └─ EngineBuildFailed
       └─ InferenceFailed           a forward pass
          ├─ NetworkOverflowed
          └─ OutOfDeviceMemory

The callers' faults and the service's own are in ``service/errors.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

_MIB = 1024 * 1024


class BackgroundRemovalError(Exception):
    """Anything this product raises on purpose.

    Args:
        detail: What happened, for the log. Shown to a caller only where the class says so.
        fields: Extra members of the problem body, named as the specification names them.
    """

    code: ClassVar[str] = "INTERNAL_ERROR"
    public_message: ClassVar[str] = "An internal error occurred"
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str | None = None, **fields: Any) -> None:
        super().__init__(detail or self.public_message)
        self.fields = fields

    @property
    def detail(self) -> str:
        """The sentence a caller may read; never exception text, paths or a caller's bytes."""
        return self.public_message


class ModelError(BackgroundRemovalError):
    """Something is wrong with our artefacts."""

    code = "MODEL_ERROR"
    public_message = "The model is not usable"


class CheckpointError(ModelError):
    """The file of weights cannot be used."""

    code = "CHECKPOINT_ERROR"
    public_message = "The model file cannot be used"


class CheckpointMismatch(CheckpointError):
    """A file of weights is none of ours, or another model's; the message says what it is."""

    code = "CHECKPOINT_MISMATCH"
    public_message = "The model file is not a checkpoint of this model"


class UnmatchedGraph(CheckpointMismatch):
    """A graph of a BiRefNet, of which it cannot be told what checkpoint it was made of."""

    code = "GRAPH_NOT_MATCHED"
    public_message = "The graph is not that of a checkpoint that is known"


class ChecksumMismatch(CheckpointError):
    """A file is not the one the catalogue describes."""

    code = "CHECKSUM_MISMATCH"
    public_message = "The model file is not the one the catalogue describes"


class ModelNotFound(CheckpointError):
    """A named model is neither in the catalogue nor in the store."""

    code = "MODEL_NOT_FOUND"
    public_message = "The model was not found"


class DownloadFailed(CheckpointError):
    """No source of a model could be fetched."""

    code = "DOWNLOAD_FAILED"
    public_message = "The model could not be downloaded"
    retryable = True


class EngineError(ModelError):
    """A runtime cannot be used."""

    code = "ENGINE_ERROR"
    public_message = "The inference engine cannot be used"


class EngineUnavailable(EngineError):
    """The runtime is not installed here; the message says what to install."""

    code = "ENGINE_UNAVAILABLE"
    public_message = "The inference engine is not installed"


class EngineIncompatible(EngineError):
    """The runtime is here, but does not take this model or this machine."""

    code = "ENGINE_INCOMPATIBLE"
    public_message = "The inference engine does not support this model"


class EngineNotBuilt(EngineError):
    """The runtime is here, but its engine of this model must be built first."""

    code = "ENGINE_NOT_BUILT"
    public_message = "The inference engine was not built yet"


class EngineBuildFailed(EngineError):
    """The runtime is here, but made no engine of this model."""

    code = "ENGINE_BUILD_FAILED"
    public_message = "The inference engine could not be built"


class InferenceFailed(ModelError):
    """A forward pass failed."""

    code = "INFERENCE_ERROR"
    public_message = "Model inference failed"


class NetworkOverflowed(InferenceFailed):
    """A value left its range on a picture; the device is well, and other pictures are."""

    code = "NETWORK_OVERFLOWED"
    public_message = "Model inference failed on this picture"


@dataclass(frozen=True)
class Shortage:
    """Device memory a piece of work needed on top of what was held before it, and what there was.

    Attributes:
        required: Bytes that would have let it go on from where it failed; perhaps not to its end.
        available: Bytes it had taken, and those that were still free.
    """

    required: float
    available: float

    @property
    def fields(self) -> dict[str, int]:
        """Members of a problem body, in MiB."""
        return {
            "gpu_memory_required_mb": math.ceil(self.required / _MIB),
            "gpu_memory_available_mb": math.floor(self.available / _MIB),
        }

    def __str__(self) -> str:
        required, available = self.fields.values()
        return f"{required} MB are needed, {available} MB are free"


class OutOfDeviceMemory(InferenceFailed):
    """The device had no memory left for a forward pass."""

    code = "OUT_OF_DEVICE_MEMORY"
    public_message = "Insufficient GPU memory to process request"
    retryable = True
