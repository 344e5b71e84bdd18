"""The port every inference runtime implements: uint8 pictures in, uint8 alpha mattes out.

Engines are named here as strings and imported only when opened, so that nothing but `open_engine`
ever loads a runtime.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from models.errors import EngineUnavailable
from models.spec import Precision

U8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class EngineInfo:
    """What really runs; shown in health and in the log.

    Attributes:
        name: Key in `ENGINES`.
        runtime: Runtime and version, such as `openvino 2026.4.1`.
        device: `cpu` or `cuda`.
        precision: Arithmetic in use.
        max_batch: Largest batch one `predict` takes.
    """

    name: str
    runtime: str
    device: str
    precision: Precision
    max_batch: int


@dataclass(frozen=True)
class EngineConfig:
    """How to open an engine.

    Attributes:
        input_size: Side ``S`` of the model input, in pixels.
        precisions: Precisions the model may run in, fastest first.
        precision: One precision to insist on, or None for the first the machine has.
        threads: Threads of the forward pass; 0 for one per core this process may use.
        max_batch: Largest batch one `predict` shall take.
        quantized_graph: The graph with 8-bit convolutions, or None where there is none.
        cache_dir: Where a compiled model may be kept between starts, or None for nowhere.
    """

    input_size: int
    precisions: tuple[Precision, ...] = (Precision.F32,)
    precision: Precision | None = None
    threads: int = 0
    max_batch: int = 8
    quantized_graph: Path | None = None
    cache_dir: Path | None = None


@runtime_checkable
class Engine(Protocol):
    """Something that runs the network."""

    @property
    def info(self) -> EngineInfo:
        """What really runs."""

    def predict(self, batch: U8Array) -> U8Array:
        """Run one batch.

        Args:
            batch: Model inputs ``[N, S, S, 3]``, RGB, ``1 <= N <= info.max_batch``.

        Returns:
            Alpha mattes ``[N, S, S]``, 0 background, 255 foreground. The caller owns the array.

        Raises:
            InferenceFailed: If the runtime fails; `OutOfDeviceMemory` if for want of memory.
        """

    def close(self) -> None:
        """Give everything back. May be called twice."""


@dataclass(frozen=True)
class EngineEntry:
    """Where an engine lives and how to get it."""

    target: str
    install: str


ENGINES: Mapping[str, EngineEntry] = {
    "openvino": EngineEntry("models.engines.openvino:OpenVinoEngine", "pip install openvino"),
    "onnxruntime": EngineEntry(
        "models.engines.onnx_runtime:OnnxRuntimeEngine", "pip install onnxruntime"
    ),
    "fake": EngineEntry("models.engines.fake:FakeEngine", "nothing to install"),
}


def usable_cores() -> int:
    """Cores this process may use; outside Linux, cores there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# Tried in this order by `auto`.
CPU_ENGINES = ("openvino", "onnxruntime")


def open_engine(name: str, graph: Path, config: EngineConfig) -> Engine:
    """Open an engine on a graph.

    Args:
        name: Key in `ENGINES`.
        graph: ONNX file, ``image`` uint8 ``[N, S, S, 3]`` to ``alpha`` uint8 ``[N, S, S]``.
        config: How to open it.

    Returns:
        An open engine; the caller closes it.

    Raises:
        EngineUnavailable: If the name or the runtime is not there; says what to install.
        EngineIncompatible: If the runtime does not take the graph or the precision.
    """
    entry = ENGINES.get(name)
    if entry is None:
        raise EngineUnavailable(f"no engine is called '{name}'; there are: {', '.join(ENGINES)}")
    module, _, attribute = entry.target.partition(":")
    try:
        engine: Engine = getattr(import_module(module), attribute)(graph, config)
    except ImportError as missing:
        raise EngineUnavailable(
            f"engine '{name}' is not installed ({missing.name}); run: {entry.install}"
        ) from missing
    return engine
