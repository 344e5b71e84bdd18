"""A graph small enough to build a real plan of in a test, and processes that build one.

TensorRT is never loaded by the tests' own process: `PlanBuilder` builds in children of its own, and
what a library does without a driver, or when it is unloaded, ends no more than them.
"""

from __future__ import annotations

import multiprocessing
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.artifacts import ModelFiles
from models.engines.trt.build import PlanBuilder, PlanRequest
from models.engines.trt.library import Library, find_libraries
from models.engines.trt.ports import DeviceFacts
from models.errors import EngineBuildFailed

DEVICE = DeviceFacts("Tesla T4", (7, 5), 12040, "550.54.15", 16 << 30)
#: The TensorRT that builds without a device, whether it is installed or not.
RTX = next(
    (found for found in find_libraries() if found.name == "tensorrt_rtx"),
    Library("tensorrt_rtx", "tensorrt_rtx_bindings", "0"),
)
needs_rtx = pytest.mark.skipif(RTX.version == "0", reason="TensorRT-RTX is not installed")

PATIENCE_S = 60.0


def make_request(
    graph: Path, size: int, batches: tuple[int, ...] = (1, 2), checkpoint: Path | None = None
) -> PlanRequest:
    """An order for a plan that TensorRT-RTX builds."""
    return PlanRequest(ModelFiles(graph, checkpoint=checkpoint), size, size, RTX, DEVICE, batches)


def start_wanting(order: PlanRequest, folder: Path) -> tuple[BaseProcess, Connection]:
    """A process that has a plan made, and what it tells of it.

    Args:
        order: What is wanted.
        folder: Where plans are kept.

    Returns:
        The process; and where the phase of every step can be heard, and why it failed if it did.
    """
    spawning = multiprocessing.get_context("spawn")
    hears, told = spawning.Pipe(duplex=False)
    process = spawning.Process(target=_want, args=(order, folder, told))
    process.start()
    told.close()  # else its end would not be the end of what can be heard
    return process, hears


def _want(order: PlanRequest, folder: Path, told: Connection) -> None:
    try:
        PlanBuilder(folder, lambda phase, _done, _of: told.send(phase)).plan(order)
    except EngineBuildFailed as failure:
        told.send(str(failure))


def hear(hears: Connection) -> str:
    """What is told next."""
    assert hears.poll(PATIENCE_S)
    told = hears.recv()
    assert isinstance(told, str)
    return told


def hear_all(hears: Connection) -> list[str]:
    """All that is told to the end."""
    everything = []
    with suppress(EOFError):
        while True:
            everything.append(hear(hears))
    return everything


def wait_for_child(process: BaseProcess) -> psutil.Process:
    """The one process that another has started, once it has."""
    parent, deadline = psutil.Process(process.pid), time.monotonic() + PATIENCE_S
    while not parent.children():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (child,) = parent.children()
    return child


def wait_until_ended(process: psutil.Process) -> None:
    """Wait for the end of a process that may be another's child, whoever has to bury it."""
    deadline = time.monotonic() + PATIENCE_S
    with suppress(psutil.NoSuchProcess):
        while process.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def files_within(folder: Path) -> list[str]:
    """Names of the files that a folder of plans holds, its locks aside."""
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock")


def write_mean_graph(file: Path, size: int) -> Path:
    """Alpha is the mean over red, green and blue, in half precision; every matte is sound.

    Args:
        file: Where the graph goes.
        size: Rows and columns of a picture.

    Returns:
        The file.
    """
    nodes = [
        helper.make_node("Cast", ["image"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("Transpose", ["half"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "thirds"], ["mean"]),
        helper.make_node("Squeeze", ["mean", "one"], ["matte"]),
        helper.make_node("Add", ["matte", "round"], ["rounded"]),
        helper.make_node("Clip", ["rounded", "least", "most"], ["kept"]),
        helper.make_node("Cast", ["kept"], ["alpha"], to=TensorProto.UINT8),
        helper.make_node("ReduceMax", ["kept", "map"], ["peak"], keepdims=0),
        helper.make_node("Clip", ["peak", "unit", "unit"], ["flag"]),
        helper.make_node("Cast", ["flag"], ["sound"], to=TensorProto.UINT8),
    ]
    constants = {
        "thirds": np.full((1, 3, 1, 1), 1 / 3, np.float16),
        "one": np.array([1], np.int64),
        "round": np.float16(0.5),
        "least": np.float16(0),
        "most": np.float16(255),
        "map": np.array([1, 2], np.int64),
        "unit": np.float16(1),
    }
    byte = TensorProto.UINT8
    graph = helper.make_graph(
        nodes,
        "mean",
        [helper.make_tensor_value_info("image", byte, ["N", size, size, 3])],
        [
            helper.make_tensor_value_info("alpha", byte, ["N", size, size]),
            helper.make_tensor_value_info("sound", byte, ["N"]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), str(file))
    return file
