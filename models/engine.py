"""The port every inference runtime implements: uint8 pictures in, uint8 alpha mattes out.

Engines are named here as strings and imported only when opened, so that nothing but `open_engine`
ever loads a runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from models.arrays import U8Array
from models.artifacts import ModelFiles
from models.errors import EngineUnavailable
from models.installs import TENSORRT_INSTALL, TORCH_INSTALL
from models.spec import Precision

TENSORRT = "tensorrt"

#: Told how far a build is: what it is doing, steps done, steps in all.
Progress = Callable[[str, int, int], None]


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

    @property
    def label(self) -> str:
        """Engine and precision, as health and every answer name them, such as `openvino f32`."""
        return f"{self.name} {self.precision.value}"

    @property
    def is_tensorrt(self) -> bool:
        """Whether the engine is TensorRT, which the API has a field for."""
        return self.name == TENSORRT


@dataclass(frozen=True)
class Headroom:
    """Memory of a device before a piece of work, other processes counted.

    Attributes:
        free_mb: What the engine could take now, in MiB.
        required_mb: What the work takes on top of what the engine holds already, in MiB.
    """

    free_mb: float
    required_mb: float


@dataclass(frozen=True)
class EngineConfig:
    """How to open an engine.

    Attributes:
        height: Rows of the model input, in pixels.
        width: Columns of the model input, in pixels.
        precisions: Precisions the model may run in, fastest first.
        precision: One precision to insist on, or None for the first the machine has.
        threads: Threads of the forward pass; 0 for one per core this process may use.
        max_batch: Largest batch one `predict` shall take.
        cache_dir: Where a compiled model may be kept between starts, or None for nowhere.
        device: Where to run; `auto` is CUDA where engine and machine have it.
        pin_memory: Whether pictures reach a CUDA device through pinned host memory.
        cudnn_benchmark: Whether cuDNN tries its algorithms on the first batch of each shape.
    """

    height: int
    width: int
    precisions: tuple[Precision, ...] = (Precision.F32,)
    precision: Precision | None = None
    threads: int = 0
    max_batch: int = 8
    cache_dir: Path | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    pin_memory: bool = False
    cudnn_benchmark: bool = False


@runtime_checkable
class Engine(Protocol):
    """Something that runs the network."""

    @property
    def info(self) -> EngineInfo:
        """What really runs."""

    def predict(self, batch: U8Array) -> U8Array:
        """Run one batch.

        Args:
            batch: Model inputs ``[N, H, W, 3]``, RGB, ``1 <= N <= info.max_batch``.

        Returns:
            Alpha mattes ``[N, H, W]``, 0 background, 255 foreground. The caller owns the array.

        Raises:
            InferenceFailed: If the runtime fails; `OutOfDeviceMemory` if for want of memory.
        """

    def headroom(self, batch: int) -> Headroom | None:
        """Memory the device has and a batch needs, before it is run. Any thread may ask.

        Args:
            batch: Pictures in it.

        Returns:
            Both figures, or None on a CPU and of a device that does not answer.
        """

    def close(self) -> None:
        """Give everything back. May be called twice."""


class EngineBuild(Protocol):
    """The build of something an engine needs before it can be opened, such as a TensorRT plan."""

    def run(self) -> None:
        """Build; other work goes on meanwhile.

        Raises:
            EngineUnavailable: If the machine does not have what it takes.
            EngineBuildFailed: If the build fails, or was cancelled.
        """

    def cancel(self) -> None:
        """End the build, from any thread; nothing of it stays."""


@dataclass(frozen=True)
class EngineEntry:
    """Where an engine lives and how to get it; the parts are named `module:attribute`.

    Attributes:
        target: Opens it: takes a model's files and an `EngineConfig`.
        install: Command that installs its runtime.
        why_not: Says what to install where the runtime is missing, else None; imports nothing.
        build: Makes an `EngineBuild` of files, config and `Progress`; empty if nothing is built.
        needs_checkpoint: Whether it runs a model's checkpoint rather than its graph.
    """

    target: str
    install: str
    why_not: str = ""
    build: str = ""
    needs_checkpoint: bool = False


ENGINES: Mapping[str, EngineEntry] = {
    "openvino": EngineEntry("models.engines.openvino:OpenVinoEngine", "pip install openvino"),
    "onnxruntime": EngineEntry(
        "models.engines.onnx_runtime:OnnxRuntimeEngine", "pip install onnxruntime"
    ),
    "pytorch": EngineEntry(
        "models.engines.pytorch:PyTorchEngine",
        TORCH_INSTALL,
        why_not="models.installs:why_no_torch",
        needs_checkpoint=True,
    ),
    TENSORRT: EngineEntry(
        "models.engines.trt.open:open_tensorrt",
        TENSORRT_INSTALL,
        why_not="models.engines.trt.open:why_no_tensorrt",
        build="models.engines.trt.open:TensorRtBuild",
    ),
    "fake": EngineEntry("models.engines.fake:FakeEngine", "nothing to install"),
}


def batch_sizes(most: int) -> tuple[int, ...]:
    """Powers of two up to the largest batch: sizes an engine may have something of its own for."""
    return tuple(1 << power for power in range(most.bit_length()))


# Tried in this order by `auto`.
GPU_ENGINES = (TENSORRT, "pytorch")
CPU_ENGINES = ("openvino", "onnxruntime")
_GPU_PROBE = "models.engines.trt.open:why_no_gpu"


def open_engine(name: str, files: ModelFiles, config: EngineConfig) -> Engine:
    """Open an engine on a model.

    Args:
        name: Key in `ENGINES`.
        files: What the model comes in.
        config: How to open it.

    Returns:
        An open engine; the caller closes it.

    Raises:
        EngineUnavailable: If the name or the runtime is not there; says what to install.
        EngineIncompatible: If the runtime does not take the model or the precision.
    """
    entry = ENGINES.get(name)
    if entry is None:
        raise EngineUnavailable(f"no engine is called '{name}'; there are: {', '.join(ENGINES)}")
    try:
        engine: Engine = _load(entry.target)(files, config)
    except ImportError as missing:
        raise EngineUnavailable(
            f"engine '{name}' is not installed ({missing.name}); run: {entry.install}"
        ) from missing
    return engine


def why_not(name: str) -> str | None:
    """What to install for an engine, or None where its runtime is there; nothing is imported."""
    reason: str | None = _load(ENGINES[name].why_not)() if ENGINES[name].why_not else None
    return reason


def why_no_gpu() -> str | None:
    """Why no CUDA device can be used here, or None where one can; nothing of CUDA is imported."""
    reason: str | None = _load(_GPU_PROBE)()
    return reason


def make_build(
    name: str, files: ModelFiles, config: EngineConfig, progress: Progress
) -> EngineBuild:
    """What builds an engine that raised `EngineNotBuilt`."""
    build: EngineBuild = _load(ENGINES[name].build)(files, config, progress)
    return build


def _load(target: str) -> Any:
    """What `module:attribute` names."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
