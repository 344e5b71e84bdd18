"""A TensorRT to build with, by the names `models.engines.trt.builder` calls: it makes fake plans.

Written into a folder of a process's path it is found as the module `tensorrt`, in the way a real
one is; what it builds runs on `tests.support.fake_cuda.FakePlanRuntime`. A file `build` in that
folder says what becomes of a build, at any time: `refuse` or `nothing` and what is said of it,
`die`, or `wait` for as long as it is there.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path

import onnx
import pytest

from models.engines.trt.library import Library
from tests.support.fake_cuda import make_fake_plan

VERSION = "99.0"
LIBRARY = Library("tensorrt", "tensorrt", VERSION)

#: Where it was found, and whether its plans compute what their graph does; set as it is imported.
folder = Path()
computes = False


def write_fake_tensorrt(target: Path, *, computes: bool = False) -> None:
    """Write it.

    Args:
        target: A folder that is, or will be, on the path of the processes that shall find it.
        computes: Whether its plans compute what their graph does, or a mean.
    """
    described = target / f"tensorrt-{VERSION}.dist-info"
    described.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: tensorrt\nVersion: {VERSION}\n"
    (described / "METADATA").write_text(metadata)
    lines = ["import tests.support.fake_tensorrt as fake"]
    lines += [f"fake.folder, fake.computes = fake.Path({str(target)!r}), {computes}"]
    lines += ["from tests.support.fake_tensorrt import *", ""]
    (target / "tensorrt.py").write_text("\n".join(lines))


def install_fake_tensorrt(
    monkeypatch: pytest.MonkeyPatch, target: Path, refuses: str = ""
) -> Library:
    """Install it for this process and those it starts, until the test is over.

    Args:
        monkeypatch: Takes it out again.
        target: Where it goes; must not be there.
        refuses: What it says of every graph instead of building.
    """
    write_fake_tensorrt(target)
    if refuses:
        (target / "build").write_text(f"nothing {refuses}")
    monkeypatch.syspath_prepend(target)
    monkeypatch.setenv("PYTHONPATH", str(target))
    return LIBRARY


class ILogger:
    """What is told of errors."""

    class Severity(IntEnum):
        INTERNAL_ERROR = 0
        ERROR = 1
        INFO = 3

    def log(self, severity: Severity, message: str) -> None:
        """Be told."""
        raise NotImplementedError


class IProgressMonitor:
    """What is told of progress, and may end a build."""

    def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
        """Be told that a phase begins."""
        raise NotImplementedError

    def step_complete(self, phase: str, step: int) -> bool:
        """Be told of a step; false ends the build."""
        raise NotImplementedError

    def phase_finish(self, phase: str) -> None:
        """Be told that a phase is over."""
        raise NotImplementedError


class NetworkDefinitionCreationFlag(IntEnum):
    STRONGLY_TYPED = 3


class Tensor:
    """An input of a network; dimensions that vary are -1."""

    def __init__(self, value: onnx.ValueInfoProto) -> None:
        dimensions = value.type.tensor_type.shape.dim
        self.name = value.name
        self.shape = tuple(-1 if d.dim_param else d.dim_value for d in dimensions)


class Network:
    """A graph that was parsed."""

    file = Path()
    graph = onnx.GraphProto()

    @property
    def num_inputs(self) -> int:
        return len(self.graph.input)

    def get_input(self, index: int) -> Tensor:
        return Tensor(self.graph.input[index])


class ParserError:
    def __init__(self, text: str) -> None:
        self._text = text

    def desc(self) -> str:
        return self._text

    def node_operator(self) -> str:
        return ""


class OnnxParser:
    """Takes what ONNX takes."""

    def __init__(self, network: Network, logger: ILogger) -> None:
        self._network = network
        self._errors: list[ParserError] = []

    def parse_from_file(self, path: str) -> bool:
        outcome, said = _wanted()
        if outcome == "refuse":
            self._errors.append(ParserError(said))
        try:
            self._network.file = Path(path)
            self._network.graph = onnx.load(path).graph
        except Exception:
            self._errors.append(ParserError("ModelImporter: this is no ONNX"))
        return not self._errors

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> ParserError:
        return self._errors[index]


class Profile:
    batch = 0

    def set_shape(self, name: str, least: Sequence[int], best: Sequence[int], most: object) -> None:
        assert tuple(least) == tuple(best) == tuple(most)  # type: ignore[call-overload]
        self.batch = least[0]


class TimingCache:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def serialize(self) -> bytes:
        return self._content + b"a kernel;"


class Config:
    progress_monitor: IProgressMonitor | None = None

    def __init__(self) -> None:
        self.profiles: list[Profile] = []

    def add_optimization_profile(self, profile: Profile) -> int:
        self.profiles.append(profile)
        return len(self.profiles) - 1

    def create_timing_cache(self, content: bytes) -> TimingCache:
        return TimingCache(content)

    def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool:
        return True


class Builder:
    def __init__(self, logger: ILogger) -> None:
        self._logger = logger

    def create_network(self, flags: int) -> Network:
        assert flags == 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED
        return Network()

    def create_builder_config(self) -> Config:
        return Config()

    def create_optimization_profile(self) -> Profile:
        return Profile()

    def build_serialized_network(self, network: Network, config: Config) -> bytes | None:
        """A fake plan for pictures of the graph's size; none of a graph that takes no pictures."""
        image = network.get_input(0)
        if image.name != "image" or len(image.shape) != 4:
            self._logger.log(ILogger.Severity.ERROR, f"no pictures in {image.name}")
            return None
        if not self._goes_on(config.progress_monitor):
            return None
        outcome, said = _wanted()
        if outcome == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if outcome == "nothing":
            self._logger.log(ILogger.Severity.ERROR, said)
            return None
        outputs = {output.name for output in network.graph.output}
        _, height, width, _ = image.shape
        return make_fake_plan(
            [profile.batch for profile in config.profiles],
            height,
            width,
            sound="sound" in outputs,
            graph=network.file.resolve() if computes else None,
        )

    def _goes_on(self, monitor: IProgressMonitor | None) -> bool:
        """Take the time that is wanted, unless the monitor ends it."""
        steps, step = 100, 0
        if monitor is None:
            return True
        monitor.phase_start("Build Engine", None, steps)
        while True:
            if not monitor.step_complete("Build Engine", step):
                return False
            if _wanted()[0] != "wait":
                break
            time.sleep(0.05)
            step = min(step + 1, steps - 1)
        monitor.phase_finish("Build Engine")
        return True


def _wanted() -> tuple[str, str]:
    """What shall become of a build, and what is said of it."""
    file = folder / "build"
    outcome, _, said = (file.read_text() if file.is_file() else "").partition(" ")
    return outcome, said
