"""What every engine promises, whatever runs inside it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from models.artifacts import GRAPH_FILE, QUANTIZED_GRAPH_FILE, ModelFiles
from models.catalog import find
from models.engine import ENGINES, Engine, EngineConfig, open_engine
from models.errors import EngineIncompatible, EngineUnavailable, InferenceFailed
from models.export.onnx import attach_uint8_io
from models.spec import Precision
from tests.support.graphs import SIZE, expected_alpha, write_graph

MAX_BATCH = 4
# What runs any graph; the PyTorch engine runs a BiRefNet's checkpoint.
# TensorRT runs plans: its own tests are in tests/unit/models/engines/trt.
ON_GRAPHS = [name for name in ENGINES if name not in ("pytorch", "tensorrt")]
REAL = Path(__file__).parents[2] / "data/models/u2netp.onnx"
# bf16 keeps 8 bits of a number; through a sigmoid that is a few levels of 255.
TOLERANCE = {Precision.F32: 1, Precision.BF16: 6, Precision.F16: 3}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    return ModelFiles(write_graph(tmp_path_factory.mktemp("graph")))


@pytest.fixture(params=ON_GRAPHS)
def engine(request: pytest.FixtureRequest, files: ModelFiles) -> Iterator[Engine]:
    opened = open_engine(
        request.param, files, EngineConfig(SIZE, SIZE, max_batch=MAX_BATCH, threads=2)
    )
    yield opened
    opened.close()


def make_batch(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, SIZE, SIZE, 3), dtype=np.uint8)


def test_it_is_an_engine_and_says_which(engine: Engine) -> None:
    assert isinstance(engine, Engine)
    assert engine.info.name in ENGINES
    assert engine.info.device in ("cpu", "cuda")
    assert engine.info.max_batch == MAX_BATCH
    assert engine.info.runtime


@pytest.mark.parametrize("n", range(1, MAX_BATCH + 1))
def test_a_batch_gives_one_byte_per_pixel(engine: Engine, n: int) -> None:
    alpha = engine.predict(make_batch(n))
    assert alpha.shape == (n, SIZE, SIZE)
    assert alpha.dtype == np.uint8


def test_a_batch_gives_what_its_items_give_alone(engine: Engine) -> None:
    batch = make_batch(MAX_BATCH)
    together = engine.predict(batch).astype(int)
    alone = np.concatenate([engine.predict(batch[i : i + 1]) for i in range(MAX_BATCH)])
    assert np.abs(together - alone).max() <= 1


def test_the_same_picture_gives_the_same_matte(engine: Engine) -> None:
    batch = make_batch(1)
    assert np.array_equal(engine.predict(batch), engine.predict(batch))


def test_the_callers_pictures_are_left_alone(engine: Engine) -> None:
    batch = make_batch(2)
    before = batch.copy()
    engine.predict(batch)
    assert np.array_equal(batch, before)


def test_the_caller_owns_the_mattes(engine: Engine) -> None:
    first = engine.predict(make_batch(1, seed=1))
    kept = first.copy()
    first[0, 0, 0] ^= 255
    kept[0, 0, 0] ^= 255
    engine.predict(make_batch(1, seed=2))
    assert np.array_equal(first, kept)


def test_a_black_picture_is_not_stretched_to_the_whole_range(engine: Engine) -> None:
    assert engine.predict(np.zeros((1, SIZE, SIZE, 3), np.uint8)).max() <= 2


def test_a_white_picture_is_foreground(engine: Engine) -> None:
    assert engine.predict(np.full((1, SIZE, SIZE, 3), 255, np.uint8)).min() >= 253


def test_a_closed_engine_fails_and_may_be_closed_again(engine: Engine) -> None:
    engine.close()
    engine.close()
    with pytest.raises(InferenceFailed):
        engine.predict(make_batch(1))


@pytest.mark.parametrize("name", [name for name in ON_GRAPHS if name != "fake"])
@pytest.mark.parametrize("opset", [11, 17])
def test_a_runtime_computes_what_the_network_says(name: str, opset: int, tmp_path: Path) -> None:
    opened = open_engine(name, ModelFiles(write_graph(tmp_path, opset)), EngineConfig(SIZE, SIZE))
    batch = make_batch(2)
    off = np.abs(opened.predict(batch).astype(int) - expected_alpha(batch))
    opened.close()
    assert off.max() <= TOLERANCE[opened.info.precision]


@pytest.mark.parametrize("name", [name for name in ON_GRAPHS if name != "fake"])
def test_a_file_that_is_no_graph_is_refused(name: str, tmp_path: Path) -> None:
    broken = tmp_path / "graph.onnx"
    broken.write_bytes(b"not a graph")
    with pytest.raises(EngineIncompatible):
        open_engine(name, ModelFiles(broken), EngineConfig(SIZE, SIZE))


@pytest.mark.parametrize(
    ("precision", "named"),
    [(Precision.INT8, r"graph\.int8\.onnx"), (Precision.F32, r"graph\.onnx")],
)
def test_openvino_names_the_graph_it_refuses(
    precision: Precision, named: str, tmp_path: Path
) -> None:
    for name in (GRAPH_FILE, QUANTIZED_GRAPH_FILE):
        (tmp_path / name).write_bytes(b"not a graph")
    files = ModelFiles.within(tmp_path)
    with pytest.raises(EngineIncompatible) as refused:
        open_engine("openvino", files, EngineConfig(SIZE, SIZE, precision=precision))
    if "not available here" in str(refused.value):
        pytest.skip("this CPU is no faster in 8 bits")
    assert re.match(rf"OpenVINO refuses {named}:", str(refused.value))


@pytest.mark.parametrize("name", [name for name in ON_GRAPHS if name != "fake"])
def test_pictures_of_another_size_fail_and_the_engine_goes_on(name: str, files: ModelFiles) -> None:
    opened = open_engine(name, files, EngineConfig(SIZE, SIZE))
    with pytest.raises(InferenceFailed):
        opened.predict(np.zeros((1, SIZE + 2, SIZE, 3), np.uint8))
    assert opened.predict(make_batch(1)).shape == (1, SIZE, SIZE)
    opened.close()


def test_the_fastest_precision_this_cpu_has_is_taken(files: ModelFiles) -> None:
    config = EngineConfig(SIZE, SIZE, precisions=(Precision.BF16, Precision.F32))
    opened = open_engine("openvino", files, config)
    batch = make_batch(2)
    off = np.abs(opened.predict(batch).astype(int) - expected_alpha(batch))
    opened.close()
    assert opened.info.precision in (Precision.BF16, Precision.F32)
    assert off.max() <= TOLERANCE[opened.info.precision]


def test_a_precision_can_be_insisted_on(files: ModelFiles) -> None:
    config = EngineConfig(SIZE, SIZE, (Precision.BF16, Precision.F32), precision=Precision.F32)
    opened = open_engine("openvino", files, config)
    opened.close()
    assert opened.info.precision is Precision.F32


def test_onnx_runtime_refuses_a_precision_it_has_not(files: ModelFiles) -> None:
    config = EngineConfig(SIZE, SIZE, precision=Precision.BF16)
    with pytest.raises(EngineIncompatible):
        open_engine("onnxruntime", files, config)


def test_an_unknown_engine_is_refused_with_the_names_there_are(files: ModelFiles) -> None:
    with pytest.raises(EngineUnavailable, match="openvino, onnxruntime, pytorch, tensorrt, fake"):
        open_engine("tensorflow", files, EngineConfig(SIZE, SIZE))


@pytest.mark.weights
@pytest.mark.parametrize("name", [name for name in ON_GRAPHS if name != "fake"])
def test_a_real_network_sees_no_subject_in_black(name: str, tmp_path: Path) -> None:
    if not REAL.is_file():
        pytest.skip(f"{REAL.name} is not here; run: make model MODEL=u2netp")
    spec = find("u2netp")
    file = tmp_path / "graph.onnx"
    onnx.save(attach_uint8_io(REAL, spec), str(file))
    opened = open_engine(name, ModelFiles(file), EngineConfig(spec.input.height, spec.input.width))
    size = spec.input.height
    y, x = np.mgrid[0:size, 0:size]
    disc = (x - size / 2) ** 2 + (y - size / 2) ** 2 < (size / 4) ** 2
    scene = np.where(disc[..., None], (220, 60, 40), (70, 110, 160)).astype(np.uint8)
    black, seen = (opened.predict(p[None])[0] for p in (np.zeros_like(scene), scene))
    opened.close()
    assert black.mean() < 10
    assert seen[disc].mean() > 150
    assert seen[~disc].mean() < 60


# Says how the stack for signals of its main thread is: 2 is SS_DISABLE, none.
OPENING = """
import ctypes, sys
from pathlib import Path
from models.artifacts import ModelFiles
from models.engine import EngineConfig, open_engine
from models.errors import EngineIncompatible

class SignalStack(ctypes.Structure):
    _fields_ = (("at", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))

try:
    opened = open_engine("openvino", ModelFiles(Path(sys.argv[1])), EngineConfig(64, 64))
except EngineIncompatible:
    print("refused")
stack = SignalStack()
ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
print(stack.flags)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
@pytest.mark.parametrize(("content", "told"), [(None, "2"), (b"no graph", "refused 2")])
def test_openvino_leaves_the_main_thread_no_stack_for_signals_that_it_may_unmap(
    content: bytes | None, told: str, tmp_path: Path, root: Path
) -> None:
    graph = write_graph(tmp_path)
    if content is not None:
        graph.write_bytes(content)
    command = [sys.executable, "-c", OPENING, str(graph)]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == told.split()
