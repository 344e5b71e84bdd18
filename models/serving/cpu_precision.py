"""Which precision a model runs in on a CPU: asked for, measured by the catalogue, or tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from models.engine import EngineConfig, EngineInfo, open_engine
from models.serving.failover import FailoverPredictor
from models.serving.options import EngineOptions
from models.serving.precision import Verdict, keep_verdict, read_verdict, verdict_file
from models.serving.trial import CANDIDATE, PrecisionTrial
from models.spec import EDGE_ERROR_LIMIT, Precision
from models.store.registered import RegisteredModel

_ENGINE = "openvino"  # the only one with a precision to choose on a CPU


class CpuPrecision:
    """The precisions one model may run in on this machine's CPU, and why.

    Args:
        options: What the operator asks of the engines.
        model: The model.
    """

    def __init__(self, options: EngineOptions, model: RegisteredModel) -> None:
        self._options, self._model = options, model
        made_of = model.files.checkpoint or model.files.graph
        self._file = verdict_file(options.cache_dir / "precision", model.files.sha256_of(made_of))
        # What the catalogue measured, on more and better pictures, wins.
        self._is_open = options.precision is None and CANDIDATE not in model.spec.precisions
        self._verdict = read_verdict(self._file) if self._is_open else None
        self._trial: PrecisionTrial | None = None

    @property
    def config(self) -> EngineConfig:
        """How to open a CPU engine of the model."""
        config = self._options.config(self._model.spec, on_cpu=True)
        if self._verdict is not None:
            return replace(config, precisions=(self._verdict.precision, Precision.F32))
        return config

    def reason(self, engine: EngineInfo) -> str:
        """Why this engine runs in its precision; empty where there was nothing to choose."""
        if engine.name != _ENGINE:
            return ""
        if self._options.precision is not None:
            return f"asked for by BIREFNET_PRECISION={self._options.precision.value}"
        if self._verdict is not None:
            return self._verdict.reason
        if self._trial is not None:
            return self._trial.note
        measured = self._model.spec.precisions.items()
        figures = [f"{one.value} {more:+.1%}" for one, more in measured if one is not Precision.F32]
        told = f"{', '.join(figures)} of error at the edges (limit {EDGE_ERROR_LIMIT:+.0%})"
        return f"the catalogue's figures: {told}" if figures else ""

    def try_faster(self, predictor: FailoverPredictor, has_room: Callable[[], bool]) -> None:
        """Try a faster precision in the background, if nobody knows about it yet.

        Args:
            predictor: What serves; a faster engine takes over in it.
            has_room: Whether the machine has the memory for a second engine.
        """
        serves = predictor.engine.info
        is_slow = serves.name == _ENGINE and serves.precision is Precision.F32
        if not self._is_open or self._verdict is not None or not is_slow:
            return
        candidate = replace(self.config, precision=CANDIDATE)
        self._trial = PrecisionTrial(
            predictor,
            lambda: open_engine(_ENGINE, self._model.files, candidate),
            has_room,
            self._keep,
            (candidate.height, candidate.width),
        )
        self._trial.start()

    def batch_ended(self) -> None:
        """Hear that somebody was waiting until now."""
        if self._trial is not None:
            self._trial.batch_ended()

    def close(self) -> None:
        """End a trial."""
        if self._trial is not None:
            self._trial.close()

    def _keep(self, verdict: Verdict) -> None:
        keep_verdict(self._file, verdict)
        self._verdict = verdict
