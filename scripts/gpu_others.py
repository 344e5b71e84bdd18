"""Runtimes beside PyTorch: which of them this machine has, and an open engine of each that it has.

A runtime that gets an engine of its own in `models.engine` is measured without a change here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.birefnet import BiRefNet
from models.catalog import IMAGENET_MEAN, IMAGENET_STD
from models.engine import (
    ENGINES,
    Engine,
    EngineConfig,
    EngineInfo,
    Headroom,
    ModelFiles,
    open_engine,
)
from models.errors import EngineIncompatible
from models.spec import InputSpec, Precision

U8Array = npt.NDArray[np.uint8]
Opener = Callable[[Path, EngineConfig], Engine]
GraphWriter = Callable[[BiRefNet, Path, int, int], None]

_EXPORT_NEEDS = ("onnx", "onnxscript")
_CUDA = "CUDAExecutionProvider"
# Their packages by the names under which they are looked for.
_TENSORRT = {"tensorrt": ("tensorrt",), "tensorrt_rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings")}


class OnnxRuntimeCuda:
    """The decomposed graph on ONNX Runtime's CUDA provider, for comparison only; never served.

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
        self._info = EngineInfo("onnxruntime", runtime, "cuda", Precision.F32, config.max_batch)

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
        reasons["onnxruntime CUDA f32"] = reason
    else:
        openers["onnxruntime CUDA f32"] = OnnxRuntimeCuda
    for name, packages in _TENSORRT.items():
        reason = _why_no_tensorrt(name, packages, missing)
        if reason:
            reasons[name] = reason
        else:
            openers[name] = _opener_of(name)
    return openers, reasons


def export_graph(network: BiRefNet, file: Path, height: int, width: int) -> None:
    """Write the decomposed graph, the form every runtime takes.

    Args:
        network: The network, on the CPU, in float32.
        file: Where it goes.
        height: Rows of the model input.
        width: Columns of the model input.
    """
    from models.export.birefnet import DeformForm, export_birefnet

    spec = InputSpec(height, width, IMAGENET_MEAN, IMAGENET_STD)
    export_birefnet(network, spec, file, DeformForm.DECOMPOSED)


def _opener_of(name: str) -> Opener:
    return lambda graph, config: open_engine(name, ModelFiles(graph), config)


def _why_no_onnx_runtime(missing: list[str]) -> str | None:
    if find_spec("onnxruntime") is None:
        return "onnxruntime is not installed"
    import onnxruntime as ort

    if _CUDA not in ort.get_available_providers():
        return f"onnxruntime {ort.__version__} is built without CUDA"
    return f"{' and '.join(missing)} not installed: no graph to run" if missing else None


def _why_no_tensorrt(name: str, packages: tuple[str, ...], missing: list[str]) -> str | None:
    if not any(find_spec(package) for package in packages):
        return "not installed"
    engines: Mapping[str, object] = ENGINES
    if name not in engines:
        return "installed, but there is no engine for it yet"
    return f"{' and '.join(missing)} not installed: no graph to run" if missing else None
