"""The CUDA drivers: what is said without one, and the real packages on a driver in host memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import pytest

from models.engines.trt.driver import open_driver, probe, read_kernel_driver_version
from models.errors import EngineUnavailable

ROOT = Path(__file__).parents[5]
HAS_DEVICE = probe() is None


def _has(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


HAS_BINDINGS, HAS_PYCUDA = _has("cuda.bindings"), _has("pycuda")
needs_compiler = pytest.mark.skipif(which("cc") is None, reason="no C compiler is installed")
needs_pycuda = pytest.mark.skipif(not HAS_PYCUDA, reason="no pycuda is installed")
needs_bindings = pytest.mark.skipif(not HAS_BINDINGS, reason="no cuda-bindings installed")

PROBE = "from models.engines.trt.driver import probe; print(probe())"
OPEN = """
from models.engines.trt.driver import open_driver
from models.errors import EngineUnavailable
try:
    opened = open_driver()
except EngineUnavailable as refused:
    print("refused:", refused)
else:
    opened.close()
    print("opened")
"""
# Everything a driver does, with what it says as JSON.
USE = """
import ctypes, json, os, sys, threading
import numpy as np
from models.engines.trt.ports import CudaError

sys.setdlopenflags(os.RTLD_LAZY)  # pycuda is linked against more of CUDA than we call
if sys.argv[1] == "pycuda":
    from models.engines.trt.pycuda_driver import PyCudaDriver as Driver
else:
    from models.engines.trt.cuda_bindings_driver import CudaBindingsDriver as Driver
driver, said, faults = Driver(), {}, []

def attempt(name, work):
    try:
        said[name] = work()
    except CudaError as failure:
        faults.append([name, failure.code, str(failure)])

said["facts"] = [driver.facts.name, driver.facts.compute_capability, driver.facts.cuda_version]
with driver.current():
    address, stream = driver.allocate(64), driver.create_stream()
    source, target = driver.pinned((2, 5)), np.zeros((2, 5), np.uint8)
    source[:] = 7
    driver.upload(address, source, stream)
    driver.download(target, address, stream)
    driver.synchronize(stream)
    said["copied"] = target.tolist()
    recording = driver.record(stream, lambda: driver.upload(address, source, stream))
    said["recorded"] = recording is not None
    if recording is not None:
        source[:] = 9
        recording.replay(stream)
        driver.download(target, address, stream)
        driver.synchronize(stream)
        said["replayed"] = target.tolist()
        recording.close()
        recording.close()

    def fail():
        raise CudaError("enqueueV3", 999, "no")

    said["unrecordable"] = driver.record(stream, fail) is None
    driver.upload(address, source, stream)  # the stream is no worse for it
    driver.synchronize(stream)
    attempt("too much", lambda: driver.allocate(1 << 50))
    attempt("nothing", lambda: driver.allocate(0))
    seen = []
    other = threading.Thread(target=lambda: seen.append(driver.memory()))
    other.start()
    other.join()
    said["memory"] = [seen[0].free_bytes < seen[0].total_bytes, seen[0].total_bytes]
    driver.free(address)
attempt("outside", lambda: driver.allocate(64))
driver.close()
driver.close()
attempt("closed", driver.memory)
said["faults"] = faults
library = ctypes.CDLL("libcuda.so.1")
if hasattr(library, "stub_live"):
    said["left"] = [library.stub_live(), library.stub_retained(), library.stub_depth()]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def libcuda(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a `libcuda.so.1` that works in host memory."""
    folder = tmp_path_factory.mktemp("libcuda")
    source, library = ROOT / "tests/support/libcuda.c", folder / "libcuda.so.1"
    command = ["cc", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", str(library)]
    subprocess.run([*command, str(source), "-ldl"], check=True, capture_output=True)
    return folder


def run(program: str, libcuda: Path | None = None, argument: str = "", **environment: str) -> str:
    """Standard output of a Python program on this driver; it must end well."""
    paths = {} if libcuda is None else {"LD_LIBRARY_PATH": str(libcuda)}
    ran = subprocess.run(
        [sys.executable, "-c", program, argument],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **paths, **environment},
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, (ran.returncode, ran.stderr)
    return ran.stdout.strip()


@pytest.mark.skipif(HAS_DEVICE, reason="there is a CUDA device")
def test_a_machine_without_a_device_is_told_so_in_words() -> None:
    reason = probe()
    assert reason is not None
    assert "NVIDIA driver" in reason
    with pytest.raises(EngineUnavailable) as refused:
        open_driver()
    assert str(refused.value) == reason


def test_probing_imports_nothing_of_cuda() -> None:
    modules = run(f"{PROBE}; import sys; print(*sys.modules)").splitlines()[-1].split()
    roots = {name.partition(".")[0] for name in modules}
    assert not roots & {"cuda", "pycuda", "tensorrt", "tensorrt_rtx", "torch"}


@pytest.mark.parametrize("name", ["cuda_bindings_driver", "pycuda_driver"])
def test_a_driver_is_imported_without_its_package(name: str) -> None:
    program = f"import sys, models.engines.trt.{name}; print('pycuda' in sys.modules)"
    assert run(program) == "False"


@needs_compiler
@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "None"),
        ({"STUB_DEVICES": "0"}, "sees no device"),
        ({"STUB_INIT": "100"}, "sees no device"),
        ({"STUB_INIT": "803"}, "different versions"),
        ({"STUB_INIT": "34"}, "stub"),
        ({"STUB_INIT": "3"}, "CUDA error 3"),
    ],
)
def test_what_the_driver_answers_becomes_a_reason(
    libcuda: Path, environment: dict[str, str], said: str
) -> None:
    assert said in run(PROBE, libcuda, **environment)


@needs_compiler
def test_a_libcuda_that_is_none_is_no_driver(tmp_path: Path) -> None:
    (tmp_path / "libcuda.so.1").write_bytes(b"not a library")
    assert "no NVIDIA driver" in run(PROBE, tmp_path)


@needs_compiler
@pytest.mark.skipif(HAS_BINDINGS or HAS_PYCUDA, reason="a package for it is installed")
def test_a_device_without_a_package_for_it_says_what_to_install(libcuda: Path) -> None:
    said = run(OPEN, libcuda)
    assert "neither cuda-bindings nor pycuda can be used" in said
    assert "pip install" in said


@needs_compiler
@needs_bindings
@pytest.mark.parametrize(
    ("call", "code"),
    [("cuDevicePrimaryCtxRetain", 2), ("cuDeviceGet", 101), ("cuDeviceGetName", 999)],
)
def test_a_device_that_does_not_open_is_unavailable(libcuda: Path, call: str, code: int) -> None:
    said = run(OPEN, libcuda, STUB_FAIL=call, STUB_CODE=str(code))
    assert said.startswith("refused:")
    assert call in said
    assert f"({code})" in said


@needs_compiler
@needs_bindings
def test_cuda_bindings_does_what_the_port_says_and_gives_everything_back(libcuda: Path) -> None:
    said = json.loads(run(USE, libcuda, "cuda-bindings"))
    assert said["facts"] == ["Stub T4", [7, 5], 13000]
    assert said["copied"] == [[7] * 5] * 2
    assert said["recorded"]
    assert said["replayed"] == [[9] * 5] * 2
    assert said["unrecordable"]
    assert said["memory"] == [True, 1 << 30]
    assert [(name, code) for name, code, _ in said["faults"]] == [
        ("too much", 2),
        ("nothing", 1),
        ("outside", 201),
        ("closed", 709),
    ]
    assert "cuMemAlloc: out of memory (2)" in said["faults"][0]
    assert said["left"] == [0, 0, 0]


@needs_compiler
@needs_pycuda
def test_pycuda_does_what_the_port_says_and_gives_everything_back(libcuda: Path) -> None:
    said = json.loads(run(USE, libcuda, "pycuda"))
    assert said["facts"] == ["Stub T4", [7, 5], 13000]
    assert said["copied"] == [[7] * 5] * 2
    assert not said["recorded"]
    assert said["memory"] == [True, 1 << 30]
    # Of its faults only the lack of memory has a class of its own.
    assert [fault[:2] for fault in said["faults"]] == [
        ["too much", 2],
        ["nothing", 999],
        ["outside", 999],
        ["closed", 709],
    ]
    assert said["left"] == [0, 0, 0]


@needs_compiler
@needs_bindings
@pytest.mark.parametrize(
    "call", ["cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphInstantiateWithFlags"]
)
def test_what_cannot_be_recorded_is_no_fault(libcuda: Path, call: str) -> None:
    said = json.loads(run(USE, libcuda, "cuda-bindings", STUB_FAIL=call, STUB_CODE="901"))
    assert not said["recorded"]
    assert said["unrecordable"]


@needs_compiler
@needs_bindings
@pytest.mark.parametrize("call", ["cuStreamDestroy", "cuMemFreeHost", "cuGraphDestroy"])
def test_what_cannot_be_given_back_does_not_keep_the_rest(libcuda: Path, call: str) -> None:
    said = json.loads(run(USE, libcuda, "cuda-bindings", STUB_FAIL=call, STUB_CODE="999"))
    assert said["left"][1:] == [0, 0]


@pytest.mark.gpu
@pytest.mark.skipif(not HAS_DEVICE, reason="there is no CUDA device")
@pytest.mark.parametrize(
    "package",
    [
        pytest.param("cuda-bindings", marks=needs_bindings),
        pytest.param("pycuda", marks=needs_pycuda),
    ],
)
def test_a_real_device_does_what_the_port_says(package: str) -> None:
    said = json.loads(run(USE, None, package))
    assert said["copied"] == [[7] * 5] * 2
    assert not said["recorded"] or said["replayed"] == [[9] * 5] * 2
    assert ["too much", 2] in [fault[:2] for fault in said["faults"]]


@pytest.mark.parametrize(
    ("said", "version"),
    [
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15\n"
            "GCC version:  gcc version 12.3.0 (Ubuntu)\n",
            "535.104.05",
        ),
        (
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\n",
            "580.65.06",
        ),
        ("something else\n", ""),
    ],
)
def test_the_version_of_the_kernel_driver_is_read(tmp_path: Path, said: str, version: str) -> None:
    file = tmp_path / "version"
    file.write_text(said)
    assert read_kernel_driver_version(file) == version


def test_a_machine_without_a_kernel_driver_has_no_version_of_it(tmp_path: Path) -> None:
    assert read_kernel_driver_version(tmp_path / "missing") == ""
