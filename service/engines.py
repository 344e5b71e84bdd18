"""Settings and a model in, the engines it is served with out: opened, gated, built meanwhile.

The order is TensorRT, PyTorch on the same device, the CPU. What is better than what serves, but not
built yet, is built in a process of its own and takes over between two batches.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Thread
from typing import Any, Literal

from models.chain import EngineChain, Outcome
from models.engine import CPU_ENGINES, Engine, EngineConfig, U8Array, open_engine
from models.engines.trt.build import PlanMaker
from models.engines.trt.library import find_libraries
from models.engines.trt.opening import MACHINE, build_tensorrt
from models.errors import EngineError, EngineNotBuilt, EngineUnavailable, InferenceFailed
from models.gate import check_engine, golden_mattes, golden_pictures
from models.provenance import sha256_of
from models.spec import Precision
from models.store import RegisteredModel
from service.settings import Settings

log = logging.getLogger(__name__)

# A CPU gains 6% from a batch of four and pays for it in memory: larger batches only share the hop.
_CPU_BATCH = 1
FAKE_NOTE = "BIREFNET_ENGINE=fake: no model runs, mattes are made up"
CUDA_BATCH = 8
# Half precision where the gate lets it pass, whatever a CPU makes of the model.
_CUDA_PRECISIONS = (Precision.F16, Precision.F32)


@dataclass(frozen=True)
class EngineWishes:
    """What an operator wants of engines.

    Attributes:
        engine: Key in `models.engine.ENGINES`, or `auto`.
        device: Where to run.
        precision: One to insist on, or None.
        use_tensorrt: True asks for it, False forbids it, None takes it where it is.
        build: When a missing TensorRT engine is built: `never`, in the `background`, or before the
            start is over (`block`).
        batch_size: Largest batch, or None for what suits the engine.
        pin_memory: Pinned host buffers for a CUDA device.
        cudnn_benchmark: Whether cuDNN searches.
        cache_dir: Folder for compiled models.
    """

    engine: str
    device: Literal["auto", "cpu", "cuda"]
    precision: Precision | None
    use_tensorrt: bool | None
    build: Literal["never", "background", "block"]
    batch_size: int | None
    pin_memory: bool
    cudnn_benchmark: bool
    cache_dir: Path


def wishes_of(settings: Settings) -> EngineWishes:
    """What the settings say of engines."""
    return EngineWishes(
        engine=settings.engine,
        device=settings.device,
        precision=None if settings.precision == "auto" else Precision(settings.precision),
        use_tensorrt=settings.use_tensorrt,
        build=settings.build_engine,
        batch_size=settings.batch_size,
        pin_memory=settings.pin_memory,
        cudnn_benchmark=settings.cudnn_benchmark,
        cache_dir=settings.cache_dir,
    )


class ServedEngines:
    """The engines of one model.

    Args:
        wishes: What the operator wants.
        model: The model.

    Raises:
        EngineUnavailable: If no engine opens; says why, one after the other.
    """

    def __init__(self, wishes: EngineWishes, model: RegisteredModel) -> None:
        self._wishes, self._model = wishes, model
        self._notes = [FAKE_NOTE] if wishes.engine == "fake" else []
        self._building: str | None = None
        self._maker = PlanMaker(wishes.cache_dir, self._tell_progress)
        self._closing = Event()
        self._builder: Thread | None = None
        wishes.cache_dir.mkdir(parents=True, exist_ok=True)
        size = model.spec.input
        self._chain = EngineChain(self._open_first(), self._open_cpu, size.height, size.width)
        if self._building is not None:
            self._builder = Thread(target=self._build_and_take_over, name="build")
            self._builder.start()

    @property
    def engine(self) -> Engine:
        """What serves now."""
        return self._chain.engine

    def predict(self, batch: U8Array) -> Outcome:
        """Make mattes; see `models.chain.EngineChain`."""
        return self._chain.predict(batch)

    def describe(self) -> dict[str, Any]:
        """What really runs, and why it is not what was asked for."""
        info, headroom = self.engine.info, self.engine.headroom(1)
        building = [f"{self._building}; {info.name} serves meanwhile"] if self._building else []
        return {
            "engine": info.name,
            "runtime": info.runtime,
            "device": info.device,
            "precision": info.precision.value,
            "failures_in_a_row": self._chain.failures_in_a_row,
            "gpu_memory_free_mb": round(headroom.free_mb, 1) if headroom else 0.0,
            "graph_present": self._model.files.graph.is_file(),
            "notes": [*self._notes, *self._chain.notes, *building],
        }

    def close(self) -> None:
        """End a build, close every engine."""
        self._closing.set()
        self._maker.cancel()
        if self._builder is not None:
            self._builder.join()
        self._chain.close()

    def _candidates(self) -> Iterator[str]:
        """Engines to try, best first."""
        wishes = self._wishes
        if wishes.engine not in ("auto", "tensorrt"):
            yield wishes.engine
            return
        wants_tensorrt = wishes.engine == "tensorrt" or wishes.use_tensorrt is True
        problem = "BIREFNET_DEVICE=cpu" if wishes.device == "cpu" else MACHINE.probe()
        if problem is None:
            if wants_tensorrt or (wishes.use_tensorrt is None and find_libraries()):
                yield "tensorrt"
            if self._model.files.checkpoint is not None and find_spec("torch") is not None:
                yield "pytorch"
            self._notes.append("a GPU is here, and no engine for it opened")
        elif wants_tensorrt or wishes.device == "cuda":
            self._notes.append(f"no GPU is used: {problem}")
        yield from CPU_ENGINES

    def _open_first(self) -> Engine:
        """The best engine that opens now."""
        for name in self._candidates():
            try:
                return self._open(name)
            except EngineNotBuilt as missing:
                log.warning("%s", missing)
                engine = self._build_now_or_later()
                if engine is not None:
                    return engine
            except (EngineError, InferenceFailed) as refused:
                log.error("engine %s: %s", name, refused)
                self._notes.append(f"engine {name} could not be opened")
        raise EngineUnavailable(f"no engine could be opened: {'; '.join(self._notes)}")

    def _open(self, name: str) -> Engine:
        """One engine; a GPU's only if its mattes are right."""
        on_cpu = name in CPU_ENGINES or self._wishes.device == "cpu" or MACHINE.probe() is not None
        engine = open_engine(name, self._model.files, self._config(on_cpu))
        if engine.info.device == "cuda":
            try:
                self._check(engine)
            except BaseException:
                engine.close()
                raise
        return engine

    def _open_cpu(self) -> Engine:
        """The CPU engine that stands in for a GPU's."""
        failures = []
        config = replace(self._config(on_cpu=True), precision=None)  # what a GPU has, a CPU may not
        for name in CPU_ENGINES:
            try:
                return open_engine(name, self._model.files, config)
            except EngineError as refused:
                failures.append(f"{name}: {refused}")
        raise EngineUnavailable("; ".join(failures))

    def _check(self, engine: Engine) -> None:
        """Let an engine that is wrong not serve.

        Raises:
            EngineIncompatible: If its mattes are not the reference's.
            InferenceFailed: If it fails.
        """
        files, size = self._model.files, self._model.spec.input
        made_of = sha256_of(files.checkpoint or files.graph)
        kept = self._wishes.cache_dir / "golden" / f"{made_of}-{size.height}x{size.width}.npy"
        pictures = golden_pictures(size.height, size.width)
        report = check_engine(engine, pictures, golden_mattes(pictures, self._open_reference, kept))
        log.info("%s passes its golden pictures: %s", engine.info.name, report)

    def _open_reference(self) -> Engine:
        """The model in float32 on the CPU."""
        config = replace(self._config(on_cpu=True), precision=Precision.F32)
        return open_engine(CPU_ENGINES[0], self._model.files, config)

    def _build_now_or_later(self) -> Engine | None:
        """What `BIREFNET_BUILD_ENGINE` says is to be done about an engine that was not built."""
        if self._wishes.build == "never":
            self._notes.append(
                "no TensorRT engine was built for this GPU; run: python -m scripts.build_engine"
            )
            return None
        self._building = "a TensorRT engine is being built"
        return self._build_engine() if self._wishes.build == "block" else None

    def _build_and_take_over(self) -> None:
        """In a thread of its own, while another engine serves."""
        engine = self._build_engine()
        if engine is None:
            return
        if self._closing.is_set():
            engine.close()
            return
        try:
            self._chain.swap(engine)
        except InferenceFailed as failure:
            log.error("the new TensorRT engine failed its first picture: %s", failure)
            self._notes.append("the new TensorRT engine failed its first picture")
        else:
            log.info("TensorRT took over")

    def _build_engine(self) -> Engine | None:
        """Build and open; None with a note where that fails. Nothing may escape into a thread."""
        try:
            build_tensorrt(self._model.files, self._config(on_cpu=False), self._maker)
            return self._open("tensorrt")
        except Exception as failure:
            if not self._closing.is_set():
                log.exception("the TensorRT engine: %s", failure)
                self._notes.append("the TensorRT engine could not be built; the log says why")
            return None
        finally:
            self._building = None

    def _tell_progress(self, phase: str, done: int, of: int) -> None:
        self._building = f"a TensorRT engine is being built ({phase}, {done} of {of})"

    def _config(self, on_cpu: bool) -> EngineConfig:
        wishes, spec = self._wishes, self._model.spec
        return EngineConfig(
            height=spec.input.height,
            width=spec.input.width,
            precisions=tuple(spec.precisions) if on_cpu else _CUDA_PRECISIONS,
            precision=wishes.precision,
            max_batch=_CPU_BATCH if on_cpu else wishes.batch_size or CUDA_BATCH,
            cache_dir=wishes.cache_dir,
            device="cpu" if on_cpu else "cuda",
            pin_memory=wishes.pin_memory,
            cudnn_benchmark=wishes.cudnn_benchmark,
        )
