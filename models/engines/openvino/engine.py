"""OpenVINO on the CPU: uint8 pictures in, uint8 alpha mattes out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import openvino as ov

from models.arrays import U8Array
from models.artifacts import ModelFiles, sha256_of
from models.cores import usable_cores
from models.engine import EngineConfig, EngineInfo, Headroom
from models.engines.openvino import deform_conv
from models.engines.openvino.deform_conv import DEFORM_CONV, sample_rows
from models.engines.openvino.kept import MOST_BYTES, file_of, keep, open_kept
from models.errors import EngineIncompatible, InferenceFailed
from models.spec import Precision

_CAPABILITY = {Precision.F32: "FP32", Precision.BF16: "BF16", Precision.F16: "FP16"}
# Without one of these an 8-bit product is no faster than a float one.
_INT8_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})


class OpenVinoEngine:
    """A graph compiled once, in the fastest precision model and CPU allow.

    CPU pinning is off: with it, two threads shared one core of a container (measured, see
    `docs/engines.md`).

    Args:
        files: The model; one of its graphs is what runs.
        config: How to open it.

    Raises:
        EngineIncompatible: If the CPU has not the precision asked for, or the graph is refused.
    """

    def __init__(self, files: ModelFiles, config: EngineConfig) -> None:
        # The CPU plugin gives the thread that loads it a stack for signals, and takes it away in
        # the thread that unloads it; for any other thread the next signal would be fatal.
        with ThreadPoolExecutor(1) as thread:
            compiled, memory, precision = thread.submit(_compile, files, config).result()
        self._request: ov.InferRequest | None = compiled.create_infer_request()
        self._memory = memory  # of the weights; must outlive the request
        self._lock = Lock()
        self._info = EngineInfo(
            name="openvino",
            runtime=f"openvino {ov.__version__.split('-')[0]}",
            device="cpu",
            precision=precision,
            max_batch=config.max_batch,
        )

    @property
    def info(self) -> EngineInfo:
        """What really runs."""
        return self._info

    def predict(self, batch: U8Array) -> U8Array:
        """Run one batch; see `models.engine.Engine`."""
        with self._lock:
            if self._request is None:
                raise InferenceFailed("the engine is closed")
            try:
                outputs = self._request.infer({0: batch}, share_inputs=True)
            except RuntimeError as failure:
                raise InferenceFailed(f"OpenVINO: {failure}") from failure
            alpha: U8Array = np.array(outputs[0], copy=True)  # [N, H, W]; the request keeps its own
        return alpha

    def headroom(self, batch: int) -> Headroom | None:
        """Nothing to tell on a CPU."""
        return None

    def close(self) -> None:
        """Drop the compiled model. May be called twice."""
        with self._lock:
            self._request = None
            self._memory = None


def _compile(
    files: ModelFiles, config: EngineConfig
) -> tuple[ov.CompiledModel, U8Array | None, Precision]:
    """The graph compiled, the memory it runs in if it was kept, and what it computes in.

    Raises:
        EngineIncompatible: If it is refused, or the CPU does not have the precision asked for.
    """
    core = ov.Core()
    core.add_extension(DEFORM_CONV)
    precision = _choose_precision(_available_precisions(core, files), config)
    quantized = files.quantized_graph if precision is Precision.INT8 else None
    chosen = quantized or files.graph
    # What stays in floating point beside 8 bits draws the outline: f32 (docs/engines.md).
    floats = Precision.F32 if precision is Precision.INT8 else precision
    properties: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": config.threads or usable_cores(),
        "INFERENCE_PRECISION_HINT": floats.value,
        "ENABLE_CPU_PINNING": False,
    }
    try:
        kept = _kept_file(core, files, chosen, config, floats)
        if kept is None and config.cache_dir is not None:
            properties |= {"CACHE_DIR": str(config.cache_dir)}
        elif kept is not None and (opened := open_kept(core, kept, properties)):
            return *opened, precision
        compiled = core.compile_model(_read(core, chosen, config, floats), "CPU", properties)
        if kept is not None and sha256_of(chosen) == files.sha256_of(chosen):  # undamaged
            keep(compiled, kept)
    except (OSError, RuntimeError) as refused:
        raise EngineIncompatible(f"OpenVINO refuses {chosen.name}: {refused}") from refused
    return compiled, None, precision


def _kept_file(
    core: ov.Core, files: ModelFiles, graph: Path, config: EngineConfig, floats: Precision
) -> Path | None:
    """Where the compiled network is kept; None if it is not, or by OpenVINO's own cache."""
    if config.cache_dir is None or graph.stat().st_size > MOST_BYTES:
        return None
    return file_of(
        config.cache_dir,
        files.sha256_of(graph),
        (config.max_batch == 1, config.height, config.width),
        floats.value,
        ov.__version__,
        core.get_property("CPU", "FULL_DEVICE_NAME"),
        sorted(_cpu_flags()),
        sha256_of(Path(deform_conv.__file__)),  # what is rewritten before it is compiled
    )


def _read(core: ov.Core, graph: Path, config: EngineConfig, floats: Precision) -> ov.Model:
    """The network as it is compiled."""
    network = core.read_model(str(graph))
    if config.max_batch == 1:  # a fixed shape takes 40 MB less (docs/engines.md)
        network.reshape({"image": [1, config.height, config.width, 3]})
    if floats is Precision.BF16:
        sample_rows(network)
    return network


def _available_precisions(core: ov.Core, files: ModelFiles) -> frozenset[Precision]:
    """What this CPU computes fast, of what this graph comes in."""
    capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    available = {p for p, name in _CAPABILITY.items() if name in capabilities}
    if files.quantized_graph is not None and _INT8_FLAGS & _cpu_flags():
        available.add(Precision.INT8)
    return frozenset(available)


def _choose_precision(available: frozenset[Precision], config: EngineConfig) -> Precision:
    """The precision insisted on, else the first of the model's that is available."""
    if config.precision is not None:
        if config.precision not in available:
            raise EngineIncompatible(f"{config.precision.value} is not available here")
        return config.precision
    return next(p for p in (*config.precisions, Precision.F32) if p in available)


def _cpu_flags() -> set[str]:
    """Instruction sets of this CPU as Linux names them; empty elsewhere."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return set()
    flags = (line for line in cpuinfo.read_text().splitlines() if line.startswith("flags"))
    return set(next(flags, "").split())
