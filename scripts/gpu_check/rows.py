"""What `scripts.gpu_check` measures, row after row; a row that fails leaves the next its turn."""

from __future__ import annotations

import argparse
import copy
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from models.arrays import U8Array
from models.birefnet import BiRefNet
from models.engine import Engine, EngineConfig
from models.engines.pytorch import PyTorchEngine
from models.spec import Precision
from scripts.gpu_check.measure import (
    held_memory_mb,
    matrix_peaks,
    release_cache,
    run_forward,
    time_forward,
    time_predict,
)
from scripts.gpu_check.others import Opener, Subject, look_around
from scripts.gpu_check.plan import COMPILED, EAGER, EAGER_S, REFERENCE, Case, share_of_peak
from scripts.gpu_check.profile import profile_operators, time_parts
from scripts.gpu_check.report import Report, Row
from scripts.gpu_check.service import FIRST, LATER, ServedCase
from scripts.gpu_check.turns import ROW_S, Turns
from scripts.measuring.errors import error_of
from scripts.measuring.seeded_network import make_scenes, seeded_network

# An export and what is built from it; cut short, it leaves nothing.
_BUILD_S = 75.0
FULL_SIDE = 1024  # of the networks whose multiply-adds are known


class Check:
    """Measures row after row until the time is over.

    Args:
        report: Where rows go.
        options: The command line.
        deadline: When to stop, on the monotonic clock.

    Attributes:
        networks: By name, on the CPU, in float32.
    """

    def __init__(self, report: Report, options: argparse.Namespace, deadline: float) -> None:
        self._report, self._turns = report, Turns(report, deadline)
        self._side, self._batches = options.side, tuple(options.batches)
        self._enough_s = options.enough_s
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._pictures = make_scenes(max(self._batches), self._side, self._side)
        self.networks = {name: seeded_network(name) for name in options.models}
        self._references: dict[str, U8Array] = {}

    def run(
        self,
        look: Callable[[], tuple[dict[str, Opener], dict[str, str]]] = look_around,
        serve: Callable[[Sequence[ServedCase]], None] = lambda cases: None,
    ) -> None:
        """All of it, what matters most first; what compiles takes what time is left.

        Args:
            look: Finds the runtimes beside PyTorch.
            serve: Measures services; see `scripts.gpu_check.service`.

        Raises:
            DeviceBroken: If a row broke the device for this process; it is in the report.
        """
        if "peaks_tflops" not in self._report.facts:
            side = 8192 if self._device == "cuda" else 256
            peaks = matrix_peaks(self._device, side, self._enough_s / 2)
            self._report.note(peaks_tflops=peaks)
        self._measure_cases(EAGER[:1])
        release_cache()
        serve(FIRST)
        self._measure_cases(EAGER[1:])
        openers, reasons = look()
        self._report.note(not_run=reasons)
        for name in self.networks:
            self._measure_others(name, openers)
        for name in self.networks:
            self._profile(name, EAGER[0] if self._device == "cuda" else REFERENCE)
        release_cache()
        serve(LATER)
        self._measure_cases(COMPILED)

    def _measure_cases(self, cases: Sequence[Case]) -> None:
        for case in cases:
            for name in self.networks:
                self._measure_case(name, case)

    def _measure_case(self, name: str, case: Case) -> None:
        """One network in one way, at every batch size."""
        rows = [Row(name, case.name, batch) for batch in case.batches(self._batches)]
        if case.needs_cuda and self._device != "cuda":
            rows = [replace(row, status="skipped: needs CUDA") for row in rows]
        rows = self._turns.to_do(rows, case.needs_s)
        if not rows:
            return
        with self._turns.guard(*rows):
            reference = self._reference(name)  # before the engine: it has settings of its own
            with self._open(name, case) as (engine, _):
                for row in rows:
                    if self._turns.to_do([row], case.needs_s):
                        with self._turns.guard(row, limit_s=max(ROW_S, 3 * case.needs_s)):
                            self._measure(engine, row, case.peak, reference)

    def _measure_others(self, name: str, openers: Mapping[str, Opener]) -> None:
        """One network on the runtimes beside PyTorch that are here."""
        with tempfile.TemporaryDirectory() as folder:
            for label, opener in openers.items():
                rows = [Row(name, label, batch) for batch in self._batches]
                self._measure_other(self._turns.to_do(rows, _BUILD_S), opener, Path(folder))

    def _measure_other(self, rows: Sequence[Row], opener: Opener, folder: Path) -> None:
        """One network on one of them; what it takes to open it has a limit of its own."""
        if not rows:
            return
        name, label = rows[0].model, rows[0].case
        with self._turns.guard(*rows, limit_s=3 * _BUILD_S):
            reference = self._reference(name)
            release_cache()  # a builder times its kernels beside what we hold
            config, note = self._config(None), partial(self._report.note_build, f"{name}, {label}")
            subject = Subject(self.networks[name], folder, config, self._batches, note)
            with closing(opener(subject)) as engine:
                for row in rows:
                    if self._turns.to_do([row], EAGER_S):
                        with self._turns.guard(row):
                            self._measure(engine, row, engine.info.precision.value, reference)

    def _measure(self, engine: Engine, row: Row, peak: str, reference: U8Array) -> None:
        """Fill one row and put it into the report."""
        pictures = self._pictures[: row.batch]
        started = time.monotonic()
        if isinstance(engine, PyTorchEngine):  # here, where the clock can end a compilation
            run_forward(engine, pictures)
        error = error_of(engine.predict(pictures), reference[: row.batch])
        first_s = time.monotonic() - started
        release_cache()
        forward = None
        if isinstance(engine, PyTorchEngine):
            forward = time_forward(engine, pictures, self._enough_s)
        predict = time_predict(engine, pictures, self._enough_s)
        best = forward or predict
        self._report.add(
            replace(
                row,
                forward_ms=forward.median_ms if forward else None,
                forward_min_ms=forward.min_ms if forward else None,
                predict_ms=predict.median_ms,
                repeats=best.repeats,
                images_per_s=row.batch / best.median_ms * 1e3,
                peak_share=self._peak_share(row, peak, best.median_ms),
                memory_mb=held_memory_mb() if forward else None,
                error_max=error.max,
                error_mean=error.mean,
                error_relative=error.relative,
                first_s=first_s,
            )
        )

    def _peak_share(self, row: Row, peak: str, ms: float) -> float | None:
        """Multiply-adds per second, of what a matrix product reached in the same precision."""
        reached = self._report.facts["peaks_tflops"].get(peak)
        known = reached is not None and self._side == FULL_SIDE
        return share_of_peak(row.model, row.batch, ms, reached) if known else None

    def _profile(self, name: str, case: Case) -> None:
        """Where the time of one picture goes."""
        known = self._report.facts.get("profiles", {})
        row = Row(name, f"profile of {case.name}", 1)  # in the report if it failed
        if name in known or self._report.has(*row.key) or self._turns.left_s() < EAGER_S:
            return
        with self._turns.guard(row):
            with self._open(name, case) as (engine, network):
                parts = time_parts(engine, network, self._pictures[:1])
                operators = profile_operators(engine, self._pictures[:1])
            found = {"case": case.name, "parts_ms": parts, **operators}
            self._report.note(profiles={**known, name: found})

    def _reference(self, name: str) -> U8Array:
        """Mattes of plain float32 on this device, one picture at a time."""
        if name not in self._references:
            with self._open(name, REFERENCE) as (engine, _):
                mattes = [engine.predict(picture[None]) for picture in self._pictures]
            self._references[name] = np.concatenate(mattes)
        return self._references[name]

    @contextmanager
    def _open(self, name: str, case: Case) -> Iterator[tuple[PyTorchEngine, BiRefNet]]:
        """An engine on a copy of a network, closed at the end."""
        network = copy.deepcopy(self.networks[name])
        engine = PyTorchEngine.on_network(network, self._config(case.precision), case.variant)
        try:
            yield engine, network
        finally:
            engine.close()

    def _config(self, precision: Precision | None) -> EngineConfig:
        return EngineConfig(
            height=self._side,
            width=self._side,
            precision=precision,
            max_batch=max(self._batches),
            pin_memory=True,
            cudnn_benchmark=True,
        )
