"""A TensorRT that builds fake plans: all that `models.engines.trt.builder` asks of the real one.

What a build comes to is in a file of the machine's folder; see `tests.support.machine`.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import onnx

from tests.support.fake_cuda import make_fake_plan
from tests.support.machine import machine_folder


class NetworkDefinitionCreationFlag:
    """Flags of a network."""

    STRONGLY_TYPED = 1


class ILogger:
    """Where the library complains."""

    class Severity:
        """From the worst on."""

        INTERNAL_ERROR, ERROR, WARNING = range(3)


class IProgressMonitor:
    """Told how far a build is; may end it."""


class Profile:
    """Shapes a plan is for."""

    def set_shape(self, name: str, least: Any, best: Any, most: Any) -> None:
        """Of one input."""
        assert least == best == most
        self.shape = tuple(least)


class Config:
    """How to build."""

    progress_monitor: Any = None

    def __init__(self) -> None:
        self.profiles: list[Profile] = []

    def add_optimization_profile(self, profile: Profile) -> None:
        """One more batch size."""
        self.profiles.append(profile)

    def create_timing_cache(self, known: bytes) -> None:
        """This library times nothing."""


class Tensor:
    """An input of a network."""

    def __init__(self, value: onnx.ValueInfoProto) -> None:
        self.name = value.name
        self.shape = [dimension.dim_value or -1 for dimension in value.type.tensor_type.shape.dim]


class Network:
    """What a parser fills."""

    graph: Path
    num_inputs = 1

    def get_input(self, index: int) -> Tensor:
        """The picture."""
        return Tensor(onnx.load(self.graph).graph.input[index])


class ParserError:
    """Why a graph is refused."""

    def desc(self) -> str:
        """In words."""
        return "no importer for the operator DeformConv"


class OnnxParser:
    """Reads a graph into a network."""

    num_errors = 1

    def __init__(self, network: Network, logger: ILogger) -> None:
        self._network = network

    def parse_from_file(self, graph: str) -> bool:
        """Whether it could."""
        self._network.graph = Path(graph)
        return _wanted() != "refuse"

    def get_error(self, index: int) -> ParserError:
        """Why not."""
        return ParserError()


class Builder:
    """Makes plans of networks."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def create_network(self, flags: int) -> Network:
        """An empty one."""
        assert flags == 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED
        return Network()

    def create_builder_config(self) -> Config:
        """An empty one."""
        return Config()

    def create_optimization_profile(self) -> Profile:
        """An empty one."""
        return Profile()

    def build_serialized_network(self, network: Network, config: Config) -> bytes | None:
        """A fake plan that computes what the graph does."""
        monitor = config.progress_monitor
        monitor.phase_start("Build engine", None, 100)
        step = 0
        while _wanted() == "wait":
            time.sleep(0.05)
            step = min(step + 1, 98)
            if not monitor.step_complete("Build engine", step):
                return None
        monitor.phase_finish("Build engine")
        if _wanted() == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if _wanted() == "nothing":
            self._logger.log(ILogger.Severity.ERROR, "could not find any implementation for node")
            return None
        _, height, width, _ = config.profiles[0].shape
        batches = [profile.shape[0] for profile in config.profiles]
        return make_fake_plan(batches, height, width, graph=network.graph.resolve())


def _wanted() -> str:
    """What this build shall come to."""
    file = machine_folder() / "build"
    return file.read_text() if file.is_file() else ""
