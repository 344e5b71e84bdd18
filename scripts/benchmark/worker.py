"""One row of the benchmark in a process of its own: opens an engine, then times batch after batch.

It runs one batch for every line it reads, so that whoever started several can let them take turns;
see `scripts.measuring.child`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.artifacts import ModelFiles
from models.engine import Engine, EngineConfig, open_engine
from models.errors import BackgroundRemovalError
from models.spec import Precision
from scripts.command import run_command

Opener = Callable[[ModelFiles, EngineConfig], Engine]

_KIB = 1024


def _open_contiguous(files: ModelFiles, config: EngineConfig) -> Engine:
    from models.engines.pytorch import PyTorchEngine, TorchVariant

    return PyTorchEngine(files, config, TorchVariant(channels_last=False))


def _open_stock(files: ModelFiles, config: EngineConfig) -> Engine:
    """OpenVINO with its own kernel for deformable convolution, which computes in f32 always."""
    from models.engines.openvino import engine

    names = vars(engine)  # this process does nothing else
    kept, names["sample_rows"] = names["sample_rows"], lambda network: 0
    try:
        return engine.OpenVinoEngine(files, config)
    finally:
        names["sample_rows"] = kept


#: Ways to open an engine other than the one that serves, by engine and name.
VARIANTS: Mapping[tuple[str, str], Opener] = {
    ("openvino", "stock"): _open_stock,
    ("pytorch", "contiguous"): _open_contiguous,
}


def main() -> int:
    """Read the task from the command line, then take turns."""
    parser = argparse.ArgumentParser(description="One row of scripts.benchmark, which starts it.")
    parser.add_argument("task", type=json.loads, help="what to open and run, as JSON")
    task = parser.parse_args().task
    # Libraries print; what we say must not be between it.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    try:
        engine, opened = _open(task)
    except BackgroundRemovalError as refused:
        _say(answers, {"failure": str(refused)})
        return 1
    pictures = np.load(task["pictures"])
    _forget_peak()
    np.save(task["alpha"], engine.predict(pictures))  # warms up as well
    _say(answers, {**opened, "idle_mb": _memory_mb("VmRSS")})
    for _ in sys.stdin:
        _say(answers, _run(engine, pictures))
    engine.close()
    return 0


def _open(task: dict[str, Any]) -> tuple[Engine, dict[str, Any]]:
    """Open what the task names."""
    named = {name: Path(file) for name, file in task["files"].items() if file}
    graph, quantized, checkpoint = map(named.get, ("graph", "quantized_graph", "checkpoint"))
    files = ModelFiles(graph or Path(), quantized, checkpoint)
    settings = dict(task["config"])
    settings["precisions"] = tuple(Precision(name) for name in settings["precisions"])
    settings["precision"] = settings["precision"] and Precision(settings["precision"])
    config, started = EngineConfig(**settings), time.perf_counter()
    if task["variant"]:
        engine = VARIANTS[task["engine"], task["variant"]](files, config)
    else:
        engine = open_engine(task["engine"], files, config)
    return engine, {
        "runtime": engine.info.runtime,
        "device": engine.info.device,
        "precision": engine.info.precision.value,
        "open_s": time.perf_counter() - started,
        "open_peak_mb": _memory_mb("VmHWM"),
    }


def _run(engine: Engine, pictures: np.ndarray[Any, np.dtype[np.uint8]]) -> dict[str, Any]:
    cpu, started = time.process_time(), time.perf_counter()
    engine.predict(pictures)
    return {
        "ms": (time.perf_counter() - started) * 1e3,
        "cpu_ms": (time.process_time() - cpu) * 1e3,
        "peak_mb": _memory_mb("VmHWM"),
    }


def _memory_mb(kind: str) -> float:
    """`VmRSS` now or `VmHWM`, the most since it was last forgotten, in MB of 10^6 bytes."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB / 1e6
    line = next(line for line in status.read_text().splitlines() if line.startswith(f"{kind}:"))
    return int(line.split()[1]) * _KIB / 1e6


def _forget_peak() -> None:
    """Let `VmHWM` begin anew where the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _say(answers: Any, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    run_command(main)
