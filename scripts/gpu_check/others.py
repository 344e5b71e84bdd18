"""Runtimes beside PyTorch: which of them this machine has, and how to open them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from models.arrays import U8Array
from models.artifacts import CHECKPOINT_FILE, GRAPH_FILE, ModelFiles
from models.birefnet import BiRefNet
from models.engine import Engine, EngineConfig, EngineInfo, Headroom
from models.engines.trt.build import PlanBuilder
from models.engines.trt.library import NAMES, Library, find_libraries
from models.engines.trt.open import MACHINE, open_requested, request_plan
from models.errors import EngineIncompatible
from models.spec import Precision

_EXPORT_NEEDS = ("onnx", "safetensors")
_CUDA = "CUDAExecutionProvider"
_ONNX_RUNTIME = "onnxruntime CUDA f16"


@dataclass(frozen=True)
class Subject:
    """A network that is to be opened on a runtime.

    Attributes:
        network: The network, on the CPU, in float32.
        folder: Where what is made on the way may lie, also for the runtime after this one.
        config: How to open it; the precision is the runtime's own.
        batches: Batch sizes it will be run at.
        note: Told what it cost to get there, in words of the report.
    """

    network: BiRefNet
    folder: Path
    config: EngineConfig
    batches: Sequence[int]
    note: Callable[..., None]


Opener = Callable[[Subject], Engine]


class OnnxRuntimeCuda:
    """TensorRT's graph on ONNX Runtime's CUDA provider, for comparison only; never served.

    Args:
        graph: ONNX file, uint8 in and uint8 alpha out.
        config: How to open it.

    Raises:
        EngineIncompatible: If the session falls back to the CPU.
    """

    def __init__(self, graph: Path, config: EngineConfig) -> None:
        import onnxruntime as ort

        self._session = ort.InferenceSession(str(graph), providers=[_CUDA, "CPUExecutionProvider"])
        if self._session.get_providers()[0] != _CUDA:
            raise EngineIncompatible("ONNX Runtime did not take the CUDA provider")
        runtime = f"onnxruntime {ort.__version__}"
        self._info = EngineInfo("onnxruntime", runtime, "cuda", Precision.F16, config.max_batch)

    @property
    def info(self) -> EngineInfo:
        """What really runs."""
        return self._info

    def predict(self, batch: U8Array) -> U8Array:
        """Run one batch; see `models.engine.Engine`."""
        return np.asarray(self._session.run(["alpha"], {"image": batch})[0], dtype=np.uint8)

    def headroom(self, batch: int) -> Headroom | None:
        """Nothing to tell on a CPU."""
        return None

    def close(self) -> None:
        """Leave the session to its last reference."""


def look_around() -> tuple[dict[str, Opener], dict[str, str]]:
    """See what there is.

    Returns:
        What can be opened, and for everything else why not.
    """
    openers: dict[str, Opener] = {}
    reasons: dict[str, str] = {}
    missing = [name for name in _EXPORT_NEEDS if find_spec(name) is None]
    reason = _why_no_onnx_runtime(missing)
    if reason:
        reasons[_ONNX_RUNTIME] = reason
    else:
        openers[_ONNX_RUNTIME] = open_onnx_runtime
    installed = {library.name: library for library in find_libraries()}
    for name in NAMES:
        reason = _why_no_tensorrt(name in installed, missing)
        if reason:
            reasons[f"{name} f16"] = reason
        else:
            openers[f"{name} f16"] = partial(build_and_open, installed[name])
    return openers, reasons


def open_onnx_runtime(subject: Subject) -> Engine:
    """Write the graph in half precision that TensorRT is built from, and open it."""
    from models.export.half import export_half

    graph, config = subject.folder / GRAPH_FILE, subject.config
    export_half(_checkpoint(subject), config.height, config.width, graph)
    return OnnxRuntimeCuda(graph, config)


def build_and_open(library: Library, subject: Subject) -> Engine:
    """Build a plan as the service would, of a checkpoint, and open it.

    Raises:
        EngineUnavailable: If there is no device or no driver for it.
        EngineBuildFailed: If the build fails.
        EngineIncompatible: If the plan does not open.
        InferenceFailed: If it opens and does not run.
    """
    folder = subject.folder
    files = ModelFiles(folder / GRAPH_FILE, checkpoint=_checkpoint(subject))
    config = replace(subject.config, precision=None, cache_dir=folder)
    request = request_plan(files, config, library, sorted(subject.batches))
    maker = PlanBuilder(folder)
    maker.plan(request)
    built = maker.cache.manifest(request.key)
    subject.note(
        library=library.label,
        build_s=built.build_s,
        plan_mb=round(built.plan_bytes / 1e6, 1),
        profiles=request.batches,
    )
    return open_requested(request, config)


def _checkpoint(subject: Subject) -> Path:
    """The file of a network, written anew for each runtime."""
    from safetensors.torch import save_file

    file = subject.folder / CHECKPOINT_FILE
    save_file(subject.network.state_dict(), file)
    return file


def _why_no_onnx_runtime(missing: list[str]) -> str | None:
    if find_spec("onnxruntime") is None:
        return "onnxruntime is not installed"
    try:
        import onnxruntime as ort
    except ImportError as broken:
        return f"onnxruntime cannot be imported: {broken}"
    if _CUDA not in ort.get_available_providers():
        return f"onnxruntime {ort.__version__} is built without CUDA"
    return f"{' and '.join(missing)} not installed: no graph to run" if missing else None


def _why_no_tensorrt(installed: bool, missing: list[str]) -> str | None:
    if not installed:
        return "not installed"
    no_device = MACHINE.probe()
    if no_device is not None:
        return no_device
    return f"{' and '.join(missing)} not installed: no graph to build from" if missing else None
