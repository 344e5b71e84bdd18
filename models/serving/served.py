"""The engines a model is served with: opened, compared with the reference, built meanwhile.

The order is TensorRT, PyTorch on the same device, the CPU. What is better than what serves, but not
built yet, is built in a process of its own and takes over between two batches.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from threading import Event, Thread

from models.arrays import U8Array
from models.engine import (
    CPU_ENGINES,
    ENGINES,
    GPU_ENGINES,
    TENSORRT,
    Engine,
    EngineBuild,
    EngineConfig,
    make_build,
    open_engine,
    why_no_gpu,
    why_not,
)
from models.errors import (
    EngineBuildFailed,
    EngineIncompatible,
    EngineNotBuilt,
    EngineUnavailable,
    InferenceFailed,
    ModelError,
)
from models.serving.acceptance import (
    check_engine,
    reference_file,
    reference_mattes,
    reference_pictures,
)
from models.serving.cpu_precision import CpuPrecision
from models.serving.failover import BatchOutcome, FailoverPredictor, open_on_cpu
from models.serving.options import EngineOptions
from models.serving.status import EngineStatus
from models.spec import Precision
from models.store.registered import RegisteredModel

log = logging.getLogger(__name__)

FAKE_NOTE = "BIREFNET_ENGINE=fake: no model runs, mattes are made up"
_END_OF_BUILD_S = 10.0  # a build that takes longer to end is not waited for


class ServedEngines:
    """The engines of one model.

    Args:
        options: What the operator wants.
        model: The model.
        prove: Whether every engine runs once before it serves. Without that, a CPU's is proven by
            its first batch: where it fails, the next engine makes the same batch.

    Raises:
        EngineUnavailable: If no engine opens; says why, one after the other.
    """

    def __init__(
        self, options: EngineOptions, model: RegisteredModel, *, prove: bool = True
    ) -> None:
        self._options, self._model = options, model
        self._prove = self._is_proven = prove
        self._notes = [FAKE_NOTE] if options.engine == "fake" else []
        self._stands_in = False
        self._building: str | None = None
        self._build: EngineBuild | None = None
        self._closing = Event()
        self._builder: Thread | None = None
        options.cache_dir.mkdir(parents=True, exist_ok=True)
        self._precision = CpuPrecision(options, model)
        self._untried = self._candidates()
        self._predictor = self._open_best()
        if self._building is not None:
            self._builder = Thread(target=self._build_and_take_over, name="build", daemon=True)
            self._builder.start()

    @property
    def engine(self) -> Engine:
        """What serves now."""
        return self._predictor.engine

    def predict(self, batch: U8Array) -> BatchOutcome:
        """Make mattes; see `models.serving.failover.FailoverPredictor`.

        Raises:
            EngineUnavailable: If no engine makes the first batch; so will all others.
        """
        try:
            return self._predictor.predict(batch) if self._is_proven else self._prove_by(batch)
        finally:
            self._precision.batch_ended()

    def try_faster_precision(self, has_room: Callable[[], bool]) -> None:
        """See `models.serving.cpu_precision.CpuPrecision.try_faster`."""
        self._precision.try_faster(self._predictor, has_room)

    def describe(self) -> EngineStatus:
        """What really runs, and why it is not what was asked for."""
        engine = self.engine  # one and the same, whatever takes over meanwhile
        info, headroom = engine.info, engine.headroom(1)
        building = None if info.is_tensorrt else self._building
        meanwhile = [f"{building}; {info.name} serves meanwhile"] if building else []
        return EngineStatus(
            engine=info,
            failures_in_a_row=self._predictor.failures_in_a_row,
            gpu_memory_free_mb=round(headroom.free_mb, 1) if headroom else 0.0,
            graph_present=self._model.files.graph.is_file(),
            notes=(*self._notes, *self._predictor.notes, *meanwhile),
            precision_reason=self._precision.reason(info),
        )

    def close(self) -> None:
        """End a build, close every engine."""
        self._closing.set()
        self._precision.close()
        if self._build is not None:
            self._build.cancel()
        if self._builder is not None:
            self._builder.join(_END_OF_BUILD_S)
        self._predictor.close()

    def _prove_by(self, batch: U8Array) -> BatchOutcome:
        """Make mattes with the first engine that can; it serves from now on."""
        while True:
            try:
                made = self._predictor.predict(batch)
                self._is_proven = True
                return made
            except InferenceFailed as refused:
                self._note_refusal(self.engine.info.name, refused)
                self._predictor.close()
                self._predictor = self._open_best()

    def _candidates(self) -> Iterator[str]:
        """Engines to try, best first."""
        options = self._options
        if options.engine not in ("auto", TENSORRT):
            yield options.engine
            return
        wants_tensorrt = options.engine == TENSORRT or options.use_tensorrt is True
        problem = "BIREFNET_DEVICE=cpu" if options.device == "cpu" else why_no_gpu()
        if problem is None:
            yield from self._gpu_candidates(wants_tensorrt)
            self._notes.append("a GPU is here, and no engine for it opened")
        elif wants_tensorrt or options.device == "cuda":
            self._notes.append(f"no GPU is used: {problem}")
        self._stands_in = bool(self._notes)  # for a GPU that is here or was asked for
        yield from CPU_ENGINES

    def _gpu_candidates(self, wants_tensorrt: bool) -> Iterator[str]:
        """Those that are installed, not forbidden, and run what the model comes in."""
        lacking = []
        for name in GPU_ENGINES:
            if ENGINES[name].needs_checkpoint and self._model.files.checkpoint is None:
                continue
            if name == TENSORRT and self._options.use_tensorrt is False:
                continue
            reason = why_not(name)
            if reason is None:
                yield name
            elif name == TENSORRT and wants_tensorrt:
                self._notes.append(reason)
            elif name == TENSORRT:  # worth a note only where nothing else runs on the GPU
                lacking.append(reason)
        self._notes += lacking

    def _open_best(self) -> FailoverPredictor:
        """A predictor that begins with the best engine that was not tried yet and opens now."""
        for name in self._untried:
            try:
                return self._predictor_of(self._open_or_build(name))
            except EngineNotBuilt as missing:
                log.warning("%s", missing)
                self._plan_a_build()
            except Exception as refused:  # whatever a device and its libraries may raise
                self._note_refusal(name, refused)
        if not self._stands_in or self._options.precision is None:
            raise EngineUnavailable(f"no engine could be opened: {'; '.join(self._notes)}")
        self._notes.append(f"BIREFNET_PRECISION={self._options.precision.value} needs the GPU")
        self._prove = True  # nothing is left to try
        return self._predictor_of(self._open_fallback())

    def _predictor_of(self, engine: Engine) -> FailoverPredictor:
        size = self._model.spec.input
        # A build would take over between the first batch and another engine's.
        may_wait = engine.info.device == "cpu" and self._building is None
        self._is_proven = self._prove or not may_wait
        return FailoverPredictor(
            engine, self._open_fallback, size.height, size.width, warm=self._is_proven
        )

    def _open_or_build(self, name: str) -> Engine:
        """One engine, built first if `BIREFNET_BUILD_ENGINE` says that all shall wait for it."""
        try:
            return self._open(name)
        except EngineNotBuilt:
            if self._options.build_engine != "block":
                raise
        try:
            return self._build_engine()
        finally:
            self._building = None

    def _open(self, name: str) -> Engine:
        """One engine; a GPU's only if its mattes are right."""
        on_cpu = name in CPU_ENGINES or self._options.device == "cpu" or why_no_gpu() is not None
        engine = open_engine(name, self._model.files, self._config(on_cpu))
        if engine.info.device == "cuda":
            try:
                self._check(engine)
            except BaseException:
                engine.close()
                raise
        return engine

    def _open_fallback(self) -> Engine:
        """The CPU engine that stands in for a GPU's, in a precision the CPU has."""
        return open_on_cpu(self._model.files, self._config(on_cpu=True), None)

    def _check(self, engine: Engine) -> None:
        """Let an engine that is wrong not serve.

        Raises:
            EngineIncompatible: If its mattes are not the reference's.
            InferenceFailed: If it fails.
        """
        files, config = self._model.files, self._config(on_cpu=True)
        made_of = files.sha256_of(files.checkpoint or files.graph)
        pictures = reference_pictures(config.height, config.width)
        kept = reference_file(self._options.cache_dir / "reference", made_of, pictures)
        reference = reference_mattes(
            pictures, lambda: open_on_cpu(files, config, Precision.F32), kept
        )
        try:
            report = check_engine(engine, pictures, reference)
        except EngineIncompatible as wrong:
            self._notes.append(str(wrong))
            raise
        log.info("%s passes its reference pictures: %s", engine.info.name, report)

    def _plan_a_build(self) -> None:
        """Have a missing engine built later, or say how to."""
        if self._options.build_engine == "background":
            self._building = "a TensorRT engine is being built"
        else:
            command = "python -m scripts.build_engine"
            self._notes.append(f"no TensorRT engine was built for this GPU; run: {command}")

    def _build_and_take_over(self) -> None:
        """In a thread of its own, while another engine serves; nothing escapes into it."""
        try:
            engine = self._build_engine()
            if self._closing.is_set():
                engine.close()
                return
            self._predictor.swap(engine)
        except Exception as failure:
            if not self._closing.is_set():
                self._note_refusal(TENSORRT, failure)
        else:
            self._notes = []  # what they explained is over
            log.info("TensorRT took over")
        finally:
            self._building = None

    def _build_engine(self) -> Engine:
        """Build and open."""
        config = self._config(on_cpu=False)
        self._build = make_build(TENSORRT, self._model.files, config, self._tell_progress)
        if self._closing.is_set():
            self._build.cancel()
        self._build.run()
        return self._open(TENSORRT)

    def _note_refusal(self, name: str, refused: Exception) -> None:
        """The whole story to the log; to health, which anybody may read, what it is about."""
        log.error("engine %s: %s", name, refused, exc_info=not isinstance(refused, ModelError))
        what = "built" if isinstance(refused, EngineBuildFailed) else "opened"
        self._notes.append(f"engine {name} could not be {what}; the log says why")
        fields = refused.fields if isinstance(refused, ModelError) else {}
        if needed := fields.get("gpu_memory_required_mb"):
            free = fields.get("gpu_memory_available_mb")
            self._notes.append(f"it needs {needed} MB of GPU memory, and {free} MB are free")

    def _tell_progress(self, phase: str, done: int, of: int) -> None:
        self._building = f"a TensorRT engine is being built ({phase}, {done} of {of})"
        if done == 0:
            log.info("%s", self._building)

    def _config(self, on_cpu: bool) -> EngineConfig:
        return self._precision.config if on_cpu else self._options.config(self._model.spec, False)
