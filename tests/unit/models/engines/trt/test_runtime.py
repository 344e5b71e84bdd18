"""Running plans with a real TensorRT library, as far as that goes without a device.

In processes of their own: a TensorRT that misses its driver may end the one it is in.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import models.engines.trt.runtime as runtime_module
from models.engines.trt.driver import probe
from models.engines.trt.library import Library, find_libraries
from models.engines.trt.runtime import open_runtime
from models.errors import EngineUnavailable
from tests.support.plans import write_mean_graph

ROOT = Path(__file__).parents[5]
SIZE = 32
LIBRARIES = find_libraries()
needs_tensorrt = pytest.mark.skipif(not LIBRARIES, reason="no TensorRT is installed")
needs_no_device = pytest.mark.skipif(probe() is None, reason="there is a CUDA device")
# What a call of ours on one of the library's objects looks like.
_OBJECTS = {"_engine": "ICudaEngine", "_context": "IExecutionContext", "_runtime": "Runtime"}

LOAD = """
import sys
from pathlib import Path
from models.engines.trt.library import find_libraries
from models.engines.trt.runtime import TensorRtRuntime
from models.errors import ModelError
library = find_libraries()[0]
try:
    runtime = TensorRtRuntime(library)
    assert runtime.name == library.label
    print("loaded", runtime.load(Path(sys.argv[1]).read_bytes()).batches)
except ModelError as refused:
    print(type(refused).__name__, refused)
"""
ATTRIBUTES = """
import sys
from models.engines.trt.library import find_libraries
trt = find_libraries()[0].load()
for path in sys.argv[1:]:
    found = trt
    for name in path.split("."):
        found = getattr(found, name, None)
    if found is None:
        print(path)
"""


def run(program: str, *arguments: str) -> str:
    """Standard output of a Python program that must end well."""
    ran = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, (ran.returncode, ran.stderr)
    return ran.stdout.strip()


def called_on_the_library() -> set[str]:
    """Every attribute of the library's objects that the runtime uses, as `Class.attribute`."""
    used = set()
    for node in ast.walk(ast.parse(Path(runtime_module.__file__).read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            owner = _OBJECTS.get(node.value.attr)
            if owner:
                used.add(f"{owner}.{node.attr}")
    return used


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real plan of a tiny graph."""
    folder = tmp_path_factory.mktemp("plan")
    graph = write_mean_graph(folder / "graph.onnx", SIZE)
    command = ["models.engines.trt.builder", "--library", LIBRARIES[0].label]
    command += ["--graph", str(graph), "--plan", str(folder / "plan"), "--batches", "1", "2"]
    command += [str(os.getpid())]
    subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True, timeout=240)
    return folder / "plan"


@needs_no_device
def test_without_a_device_no_library_is_even_loaded() -> None:
    missing = Library("tensorrt", "a_module_that_is_not_there", "1")
    with pytest.raises(EngineUnavailable, match=r"libcuda|driver"):
        open_runtime(missing)


def test_a_library_of_which_parts_are_missing_is_unavailable() -> None:
    missing = Library("tensorrt", "a_module_that_is_not_there", "1")
    with pytest.raises(EngineUnavailable, match="pip install"):
        runtime_module.TensorRtRuntime(missing)


@pytest.mark.tensorrt
@needs_tensorrt
def test_the_library_has_everything_the_runtime_calls() -> None:
    used = called_on_the_library()
    assert "IExecutionContext.execute_async_v3" in used
    assert "ICudaEngine.get_tensor_profile_shape" in used
    others = ["ExecutionContextAllocationStrategy.USER_MANAGED", "DataType.UINT8"]
    if LIBRARIES[0].name == "tensorrt_rtx":
        others += ["DynamicShapesKernelSpecializationStrategy.EAGER"]
        others += ["IRuntimeConfig.set_execution_context_allocation_strategy"]
        others += ["IRuntimeConfig.dynamic_shapes_kernel_specialization_strategy"]
    else:
        used.discard("ICudaEngine.create_runtime_config")
    assert run(ATTRIBUTES, *sorted(used), *others) == ""


@pytest.mark.tensorrt
@pytest.mark.slow
@needs_tensorrt
@needs_no_device
def test_a_real_plan_without_a_device_is_refused_in_words(plan: Path) -> None:
    assert plan.stat().st_size > 1000
    assert run(LOAD, str(plan)).startswith(("EngineIncompatible", "EngineUnavailable"))


@pytest.mark.tensorrt
@pytest.mark.slow
@needs_tensorrt
def test_bytes_that_are_no_plan_are_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "plan").write_bytes(b"no plan" * 1000)
    said = run(LOAD, str(tmp_path / "plan"))
    assert said.startswith(("EngineIncompatible", "EngineUnavailable"))


@pytest.mark.gpu
@pytest.mark.tensorrt
@pytest.mark.slow
@needs_tensorrt
@pytest.mark.skipif(probe() is not None, reason="there is no CUDA device")
def test_a_real_plan_on_a_real_device_says_what_it_takes(plan: Path) -> None:
    assert run(LOAD, str(plan)) == "loaded (1, 2)"
