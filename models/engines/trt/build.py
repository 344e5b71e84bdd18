"""What is wanted on which device in, its plan out: from the cache, or built by child processes.

Two of them, one after the other: one that exports the half-precision graph with PyTorch, one that
builds the plan. Neither's memory, nor its end, is this process's.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

from filelock import FileLock

import models
from models.artifacts import GRAPH_VERSION, ModelFiles, sha256_of
from models.engines.trt.builder import Progress
from models.engines.trt.cache import PlanCache, keep, make_own_folder
from models.engines.trt.library import Library
from models.engines.trt.plan import PlanKey, PlanManifest
from models.engines.trt.ports import DeviceFacts
from models.errors import EngineBuildFailed
from models.spec import Precision

BATCHES = (1, 2, 4, 8)
# Raised whenever `models.export.half` writes another graph for the same checkpoint.
_HALF_VERSION = 1
_ROOT = Path(models.__file__).parents[1]  # where `-m models` is found, in a Bento as well
PLANS_FOLDER = "tensorrt"
_GRAPHS_FOLDER = "tensorrt-graphs"


@dataclass(frozen=True)
class PlanOrder:
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


class PlanMaker:
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

    def plan(self, order: PlanOrder) -> bytes:
        """The plan, built if need be.

        Raises:
            EngineBuildFailed: If a child process fails or is killed, or after `cancel`.
            EngineIncompatible: If the folder of graphs is open to others.
        """
        return self.cache.build_once(
            order.key,
            lambda target: self._build(order, target),
            cancelled=self._cancelled.is_set,
        )

    def forget(self, order: PlanOrder) -> None:
        """Have the next build begin with nothing, not even the exported graph."""
        self.cache.forget(order.key)
        self._exported(order).unlink(missing_ok=True)

    def cancel(self) -> None:
        """End what is being built, or waited for; nothing of it stays."""
        self._cancelled.set()

    def _build(self, order: PlanOrder, target: Path) -> PlanManifest:
        started = time.monotonic()
        graph = self._graph(order)
        graph_sha256 = sha256_of(graph)  # now: it is dropped if another plan of it fails
        command = ["models.engines.trt.builder", "--library", order.library.label]
        command += ["--graph", str(graph), "--plan", str(target)]
        command += ["--batches", *map(str, order.batches), "--parent", str(os.getpid())]
        if order.library.name == "tensorrt":
            self._timings.mkdir(mode=0o700, exist_ok=True)
            kernels = f"{order.library.label} {order.device.name}".replace(" ", "-")
            command += ["--timing-cache", str(self._timings / kernels)]
        try:
            self._run(command)
        except EngineBuildFailed:
            if not self._cancelled.is_set():  # else the graph may be what is wrong
                self._exported(order).unlink(missing_ok=True)
            raise
        return PlanManifest(
            key=order.key,
            graph_sha256=graph_sha256,
            plan_sha256=sha256_of(target),
            plan_bytes=target.stat().st_size,
            build_s=round(time.monotonic() - started, 1),
        )

    def _graph(self, order: PlanOrder) -> Path:
        """The ONNX file a plan is built from."""
        if order.files.checkpoint is None:
            return order.files.graph
        graph = self._exported(order)
        make_own_folder(self._graphs)
        # A lock of its own: plans of several devices or batch sizes are built from one graph.
        lock = FileLock(graph.with_suffix(".lock"))
        with lock.acquire(cancel_check=self._cancelled.is_set):
            if not graph.is_file():
                self._export(order, order.files.checkpoint, graph)
        return graph

    def _exported(self, order: PlanOrder) -> Path:
        """Where the graph of a checkpoint is kept; of a published graph nothing ever is."""
        return self._graphs / f"{order.source[:32]}.onnx"

    def _export(self, order: PlanOrder, checkpoint: Path, graph: Path) -> None:
        unfinished = graph.with_suffix(".part")
        shape = [str(order.height), str(order.width)]
        self._progress("export the graph", 0, 1)
        try:
            command = ["models.export.half", str(checkpoint), *shape, str(unfinished)]
            self._run([*command, str(os.getpid())])
            keep(unfinished, graph)
        finally:
            unfinished.unlink(missing_ok=True)

    def _run(self, command: Sequence[str]) -> None:
        """Run one module to its end, passing on what it says of its progress.

        Raises:
            EngineBuildFailed: With its reason, or the signal that ended it.
        """
        child = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", *command],
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        reasons: list[str] = []
        listener = Thread(target=self._listen, args=(child, reasons), daemon=True)
        listener.start()
        try:
            while child.poll() is None:
                if self._cancelled.wait(0.1):
                    raise EngineBuildFailed("the build was cancelled")
        finally:
            child.kill()
            child.wait()
            listener.join()
            if child.stdout is not None:
                child.stdout.close()
        if child.returncode:
            raise EngineBuildFailed(reasons[-1] if reasons else _how_it_ended(child.returncode))

    def _listen(self, child: subprocess.Popen[str], reasons: list[str]) -> None:
        for line in child.stdout or ():
            try:
                told = json.loads(line)
                if "failure" in told:
                    reasons.append(str(told["failure"]))
                else:
                    self._progress(told["phase"], told["done"], told["of"])
            except (ValueError, KeyError, TypeError):
                continue  # a library that prints


def _how_it_ended(code: int) -> str:
    if code < 0:
        return f"the builder was ended by signal {-code}; 9 is often a lack of memory"
    return f"the builder ended with status {code}"


def _identity(files: ModelFiles, height: int, width: int) -> str:
    """Hash of what the graph is made of, and by which recipe."""
    if files.checkpoint is None:
        return sha256_of(files.graph)
    recipe = f"half {_HALF_VERSION} graph {GRAPH_VERSION} {height}x{width}"
    return hashlib.sha256(f"{sha256_of(files.checkpoint)} {recipe}".encode()).hexdigest()
