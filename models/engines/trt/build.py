"""Finds a plan in the cache, or has child processes build it.

Two of them, one after the other: one that exports the half-precision graph with PyTorch, one that
builds the plan. Neither's memory, nor its end, is this process's.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from filelock import FileLock

from models.artifacts import GRAPH_VERSION, ModelFiles, sha256_of
from models.engine import Progress
from models.engines.trt.cache import PlanCache, keep, make_own_folder
from models.engines.trt.library import Library
from models.engines.trt.plan import PlanKey, PlanManifest
from models.engines.trt.ports import DeviceFacts
from models.errors import EngineBuildFailed
from models.spec import Precision
from models.worker import WorkerFailed, run_worker

BATCHES = (1, 2, 4, 8)
# Raised whenever `models.export.half` writes another graph for the same checkpoint.
_HALF_VERSION = 1
PLANS_FOLDER = "tensorrt"
_GRAPHS_FOLDER = "tensorrt-graphs"


@dataclass(frozen=True)
class PlanRequest:
    """A plan somebody wants.

    Attributes:
        files: The model. A BiRefNet runs in half precision, made of its checkpoint; a published
            graph runs as it is, in f32.
        height: Rows of the model input, in pixels.
        width: Columns of the model input, in pixels.
        library: What shall build and run it.
        device: What it shall run on.
        batches: Batch size of each profile.
    """

    files: ModelFiles
    height: int
    width: int
    library: Library
    device: DeviceFacts
    batches: tuple[int, ...] = BATCHES
    source: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", _identity(self.files, self.height, self.width))

    @property
    def precision(self) -> Precision:
        """What the plan computes in."""
        return Precision.F16 if self.files.checkpoint else Precision.F32

    @property
    def key(self) -> PlanKey:
        """Everything the plan depends on."""
        return PlanKey.of(
            self.source, self.library.label, self.device, self.precision, self.batches
        )


class PlanBuilder:
    """Finds plans in a folder and builds those that are missing.

    Args:
        folder: Where plans and graphs are kept.
        progress: Told how far a build is.

    Raises:
        EngineIncompatible: If the folder of plans is open to others.
    """

    def __init__(self, folder: Path, progress: Progress = lambda _phase, _done, _of: None) -> None:
        self.cache = PlanCache(folder / PLANS_FOLDER)
        self._graphs = folder / _GRAPHS_FOLDER
        self._timings = folder / PLANS_FOLDER / "timings"
        self._progress = progress
        self._cancelled = Event()

    def plan(self, request: PlanRequest) -> bytes:
        """The plan, built if need be.

        Raises:
            EngineBuildFailed: If a child process fails or is killed, or after `cancel`.
            EngineIncompatible: If the folder of graphs is open to others.
        """
        return self.cache.build_once(
            request.key,
            lambda target: self._build(request, target),
            cancelled=self._cancelled.is_set,
        )

    def forget(self, request: PlanRequest) -> None:
        """Have the next build begin with nothing, not even the exported graph."""
        self.cache.forget(request.key)
        self._exported(request).unlink(missing_ok=True)

    def cancel(self) -> None:
        """End what is being built, or waited for; nothing of it stays."""
        self._cancelled.set()

    def _build(self, request: PlanRequest, target: Path) -> PlanManifest:
        started = time.monotonic()
        graph = self._graph(request)
        graph_sha256 = sha256_of(graph)  # now: it is dropped if another plan of it fails
        command = ["--library", request.library.label]
        command += ["--graph", str(graph), "--plan", str(target)]
        command += ["--batches", *map(str, request.batches)]
        if request.library.name == "tensorrt":
            self._timings.mkdir(mode=0o700, exist_ok=True)
            kernels = f"{request.library.label} {request.device.name}".replace(" ", "-")
            command += ["--timing-cache", str(self._timings / kernels)]
        try:
            self._run("models.engines.trt.builder", command)
        except EngineBuildFailed:
            if not self._cancelled.is_set():  # else the graph may be what is wrong
                self._exported(request).unlink(missing_ok=True)
            raise
        return PlanManifest(
            key=request.key,
            graph_sha256=graph_sha256,
            plan_sha256=sha256_of(target),
            plan_bytes=target.stat().st_size,
            build_s=round(time.monotonic() - started, 1),
        )

    def _graph(self, request: PlanRequest) -> Path:
        """The ONNX file a plan is built from."""
        if request.files.checkpoint is None:
            return request.files.graph
        graph = self._exported(request)
        make_own_folder(self._graphs)
        # A lock of its own: plans of several devices or batch sizes are built from one graph.
        lock = FileLock(graph.with_suffix(".lock"))
        with lock.acquire(cancel_check=self._cancelled.is_set):
            if not graph.is_file():
                self._export(request, request.files.checkpoint, graph)
        return graph

    def _exported(self, request: PlanRequest) -> Path:
        """Where the graph of a checkpoint is kept; of a published graph nothing ever is."""
        return self._graphs / f"{request.source[:32]}.onnx"

    def _export(self, request: PlanRequest, checkpoint: Path, graph: Path) -> None:
        unfinished = graph.with_suffix(".part")
        shape = [str(request.height), str(request.width)]
        self._progress("export the graph", 0, 1)
        try:
            self._run("models.export.half", [str(checkpoint), *shape, str(unfinished)])
            keep(unfinished, graph)
        finally:
            unfinished.unlink(missing_ok=True)

    def _run(self, module: str, arguments: Sequence[str]) -> None:
        """Run one module to its end, passing on what it says of its progress.

        Raises:
            EngineBuildFailed: With its reason, or the signal that ended it.
        """

        def pass_on(told: Mapping[str, Any]) -> None:
            self._progress(told["phase"], told["done"], told["of"])

        try:
            run_worker("the build", module, arguments, pass_on, self._cancelled)
        except WorkerFailed as failed:
            raise EngineBuildFailed(str(failed)) from failed


def _identity(files: ModelFiles, height: int, width: int) -> str:
    """Hash of what the graph is made of, and by which recipe."""
    if files.checkpoint is None:
        return files.sha256_of(files.graph)
    recipe = f"half {_HALF_VERSION} graph {GRAPH_VERSION} {height}x{width}"
    return hashlib.sha256(f"{files.sha256_of(files.checkpoint)} {recipe}".encode()).hexdigest()
