"""CPU milliseconds of all that lies around the network, stage by stage.

CPU time of one core with the network left out, so that neither the engine nor other work on the
machine counts: ours through the remover with a client that knows the matte, rembg's through its
`remove()` with a session that does.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import httpx
import numpy as np

from models.arrays import U8Array
from models.catalog import find
from models.engine import EngineInfo
from models.serving.status import EngineStatus
from models.spec import InputSpec, ModelSpec, Precision
from scripts.measuring.environments import run
from service.imaging.guard import ImageLimits, inspect
from service.removal import pipeline
from service.removal.bounds import RemoverConfig
from service.removal.options import RemovalOptions
from service.removal.pipeline import Removal
from service.removal.ports import InferenceStatus, Matte, ServedModel
from service.removal.remover import BackgroundRemover
from service.removal.threads import StageClock


@dataclass(frozen=True)
class StageTimes:
    """What a picture costs around the network, in CPU milliseconds: medians, of one or averaged.

    Attributes:
        stages_ms: Ours by stage.
        ours_ms: Ours in all, through `BackgroundRemover.remove`.
        rembg_ms: rembg's in all.
        repeats: How often each was measured.
    """

    stages_ms: dict[str, float]
    ours_ms: float
    rembg_ms: float
    repeats: int


def mean_of(times: Sequence[StageTimes]) -> StageTimes:
    """Mean over pictures: what a PNG costs depends on how much of the picture is kept."""
    return StageTimes(
        stages_ms={
            name: statistics.fmean(t.stages_ms[name] for t in times) for name in times[0].stages_ms
        },
        ours_ms=statistics.fmean(t.ours_ms for t in times),
        rembg_ms=statistics.fmean(t.rembg_ms for t in times),
        repeats=times[0].repeats,
    )


class KnownMatte:
    """A matting port that knows the answer."""

    def __init__(self, alpha: U8Array) -> None:
        self._engine = EngineInfo("known", "none", "cpu", Precision.F32, 1)
        self._matte = Matte(alpha, self._engine, 0.0)

    async def predict(self, model_input: U8Array) -> Matte:
        """The matte, whatever is asked."""
        return self._matte

    async def describe(self) -> InferenceStatus:
        """Nothing runs but this process."""
        status = EngineStatus(self._engine, 0, 0.0, graph_present=True, notes=())
        return InferenceStatus(status, os.getpid(), 0.0, {})


def measure_stages(
    model: str, picture: Path, matte: U8Array, rembg_python: Path, repeats: int
) -> StageTimes:
    """Measure ours and rembg's on one file with what the network made of it, ``[S, S]``."""
    ours_ms, stages_ms = asyncio.run(_measure_ours(find(model), picture, matte, repeats))
    return StageTimes(
        stages_ms=stages_ms,
        ours_ms=ours_ms,
        rembg_ms=_measure_rembg(model, picture, matte, rembg_python, repeats),
        repeats=repeats,
    )


async def _measure_ours(
    spec: ModelSpec, picture: Path, matte: U8Array, repeats: int
) -> tuple[float, dict[str, float]]:
    """The whole, and stage by stage; medians."""
    data = picture.read_bytes()
    remover = BackgroundRemover([ServedModel(spec, KnownMatte(matte))], RemoverConfig(workers=1))
    wholes, stages = [], []
    for _ in range(repeats + 1):  # the first only warms up
        started = time.process_time()
        await remover.remove(data, RemovalOptions())
        wholes.append((time.process_time() - started) * 1e3)
        stages.append(_stages_of(data, spec, matte))
    await remover.close()
    medians = {name: statistics.median(s[name] for s in stages[1:]) for name in stages[0]}
    return statistics.median(wholes[1:]), medians


def _stages_of(data: bytes, spec: ModelSpec, matte: U8Array) -> dict[str, float]:
    """CPU milliseconds of each stage, run in this thread."""
    clock = StageClock(600, time.thread_time)
    with clock.stage("guard"):
        header = inspect(data, ImageLimits())
    removal = Removal(data, header, RemovalOptions(), spec)
    pipeline.run(pipeline.PREPARE, removal, clock)
    removal.alpha = matte
    pipeline.run(pipeline.FINISH, removal, clock)
    return clock.stages_ms


def fetch_matte(url: str, picture: Path, wanted: InputSpec) -> U8Array:
    """What a running service's network makes of a file: a matte of the size of the model input."""
    file = {"image": (picture.name, picture.read_bytes())}
    answer = httpx.post(url, files=file, data={"smoothing": "false"}, timeout=60)
    answer.raise_for_status()
    encoded = np.frombuffer(answer.content, np.uint8)
    rgba = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    if rgba is None:
        raise ValueError("the service did not answer with a picture")
    alpha = np.ascontiguousarray(rgba[:, :, 3])
    columns_rows = (wanted.width, wanted.height)
    return np.asarray(cv2.resize(alpha, columns_rows, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _measure_rembg(model: str, picture: Path, matte: U8Array, python: Path, repeats: int) -> float:
    """The same of rembg, in its own environment."""
    file = picture.with_suffix(".matte.npy")
    np.save(file, matte)
    worker = Path(__file__).with_name("bench_worker.py")
    told = run(python, [worker, model, picture, file, str(repeats)])
    return float(json.loads(told.splitlines()[-1])["median_ms"])
