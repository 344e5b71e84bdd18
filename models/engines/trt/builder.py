"""Builds a plan of an ONNX graph with TensorRT's builder, in a process of its own.

`python -m models.engines.trt.builder` is what `build.py` starts. A build takes minutes and
gigabytes, and ends its process when it goes wrong badly: no service should share one with it. It
ends with the process that started it.
Progress goes to standard output, one JSON object per line; so does the reason of a failure.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from models.artifacts import replacing
from models.engine import Progress
from models.engines.trt.library import Complaints, find_libraries, make_logger
from models.errors import EngineBuildFailed, EngineUnavailable
from models.worker import run_main, run_telling, tell


def build_plan(
    trt: Any,
    graph: Path,
    plan: Path,
    batches: Sequence[int],
    timing_cache: Path | None,
    progress: Progress,
) -> None:
    """Parse, build and write.

    Args:
        trt: TensorRT's Python module.
        graph: ONNX file, strongly typed: its own types are the precision. One input ``[N, ...]``.
        plan: Where the serialised plan goes.
        batches: Batch size of each profile; each fixed, so that its tactics are chosen for it.
        timing_cache: What kernels took in earlier builds; read if there, and written. None for
            TensorRT-RTX, which times nothing.
        progress: Told how far it is.

    Raises:
        EngineBuildFailed: If the parser refuses the graph or the builder makes nothing of it.
    """
    errors = Complaints()
    logger = make_logger(trt, errors)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    progress("parse", 0, 1)
    if not parser.parse_from_file(str(graph)):
        refused = "; ".join(_say(parser.get_error(i)) for i in range(parser.num_errors))
        raise EngineBuildFailed(f"TensorRT does not take the graph: {refused or errors.last}")
    progress("parse", 1, 1)
    config = builder.create_builder_config()
    for batch in batches:
        config.add_optimization_profile(_fixed_profile(builder, network, batch))
    timings = timing_cache and _use_timing_cache(config, timing_cache)
    monitor = _make_monitor(trt, progress)
    config.progress_monitor = monitor
    built = builder.build_serialized_network(network, config)
    if built is None:
        raise EngineBuildFailed(f"TensorRT built nothing: {errors.last or 'it gave no reason'}")
    plan.write_bytes(memoryview(built))
    if timing_cache and timings:
        with suppress(OSError):  # they make the next build faster, no more
            _write_timing_cache(timings, timing_cache)


def _say(error: Any) -> str:
    """What a parser refuses, the operator first if it is one, in one line."""
    operator, reason = error.node_operator(), " ".join(error.desc().split())
    return f"{operator}: {reason}" if operator else reason


def _make_monitor(trt: Any, progress: Progress) -> Any:
    """A progress monitor that tells of the outermost phase."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._outermost: tuple[str, int] | None = None

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            if not parent:
                self._outermost = phase, steps
                progress(phase, 0, steps)

        def step_complete(self, phase: str, step: int) -> bool:
            if self._outermost and self._outermost[0] == phase:
                progress(phase, step + 1, self._outermost[1])
            return True

        def phase_finish(self, phase: str) -> None:
            pass

    return Monitor()


def _fixed_profile(builder: Any, network: Any, batch: int) -> Any:
    """A profile for one batch size of every input."""
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        tensor = network.get_input(i)
        shape = (batch, *tuple(tensor.shape)[1:])
        profile.set_shape(tensor.name, shape, shape, shape)
    return profile


def _use_timing_cache(config: Any, file: Path) -> Any:
    """The timing cache in use, or None where this library keeps none."""
    known = b""
    with suppress(OSError):  # most often there are none yet
        known = file.read_bytes()
    timings = config.create_timing_cache(known)
    if timings is None or not config.set_timing_cache(timings, False):
        return None
    return timings


def _write_timing_cache(timings: Any, file: Path) -> None:
    with replacing(file) as written:  # two builds may write for the same device
        written.write_bytes(memoryview(timings.serialize()))


def _build(args: argparse.Namespace) -> None:
    library = next((it for it in find_libraries() if it.label == args.library), None)
    if library is None:
        raise EngineUnavailable(f"{args.library} is not installed")
    build_plan(
        library.load(),
        args.graph,
        args.plan,
        args.batches,
        args.timing_cache,
        lambda phase, done, of: tell(phase=phase, done=done, of=of),
    )


def main(arguments: Sequence[str]) -> int:
    """Build one plan; see the module."""
    parser = argparse.ArgumentParser(prog="models.engines.trt.builder")
    parser.add_argument("--library", required=True)
    parser.add_argument("--graph", type=Path, required=True)
    parser.add_argument("--plan", type=Path, required=True)
    parser.add_argument("--timing-cache", type=Path)
    parser.add_argument("--batches", type=int, nargs="+", required=True)
    args = parser.parse_args(arguments)
    return run_telling(lambda: _build(args))


if __name__ == "__main__":
    run_main(main)
