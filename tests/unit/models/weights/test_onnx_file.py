"""An ONNX file is read as far as its own lengths are true, and none of it is believed before."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.errors import CheckpointMismatch
from models.weights.onnx_file import read_onnx
from tests.support.graphs import make_network

DAMAGED = "damaged or cut short"


def put(folder: Path, content: bytes) -> Path:
    file = folder / "given.onnx"
    file.write_bytes(content)
    return file


def with_tensor(tensor: TensorProto) -> bytes:
    model = make_network()
    model.graph.initializer.append(tensor)
    return model.SerializeToString()


def test_tensors_are_mapped_and_the_rest_is_as_it_was(tmp_path: Path) -> None:
    model = make_network()
    arrays = {
        "half": np.arange(6, dtype=np.float16).reshape(2, 3),
        "whole": np.arange(4, dtype=np.int64),
        "scalar": np.float32(7),
        "none": np.zeros((0, 3), np.float32),
    }
    for name, array in arrays.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    model.graph.initializer.append(helper.make_tensor("listed", TensorProto.FLOAT, [2], [1.5, 2.5]))
    read = read_onnx(put(tmp_path, model.SerializeToString()))
    for name, array in arrays.items():
        assert read.tensors[name].dtype == np.asarray(array).dtype
        np.testing.assert_array_equal(read.tensors[name], array)
    assert read.tensors["listed"].tolist() == [1.5, 2.5]
    assert read.tensors["weights"].shape == (1, 3, 1, 1)
    del model.graph.initializer[:]
    assert read.model == model


def test_large_tensors_are_not_read_into_memory(tmp_path: Path) -> None:
    large = numpy_helper.from_array(np.zeros(20_000_000, np.float32), "large")
    file = put(tmp_path, with_tensor(large))
    tracemalloc.start()
    read = read_onnx(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert read.tensors["large"].size == 20_000_000
    assert peak < 2_000_000


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = make_network().SerializeToString()
    opset = len(onnx.ModelProto(opset_import=make_network().opset_import).SerializeToString())
    for length in range(len(whole)):
        if length == len(whole) - opset:  # all but its last field
            continue
        with pytest.raises(CheckpointMismatch, match=DAMAGED):
            read_onnx(put(tmp_path, whole[:length]))


def test_any_bytes_are_read_or_refused(tmp_path: Path) -> None:
    whole = bytearray(make_network().SerializeToString())
    draw = np.random.default_rng(13)
    for _ in range(200):
        content = bytearray(whole)
        for at in draw.integers(0, len(content), 3):
            content[at] = draw.integers(256)
        try:
            read_onnx(put(tmp_path, bytes(content)))
        except CheckpointMismatch:
            continue


def shaped(*dims: int, data: bytes = bytes(24), kind: int = TensorProto.FLOAT) -> TensorProto:
    return TensorProto(name="hostile", dims=dims, data_type=kind, raw_data=data)


@pytest.mark.parametrize(
    "tensor",
    [
        shaped(1 << 40, 1 << 40),
        shaped(-1, -6),
        shaped(7),
        shaped(*[1] * 9, 6),
        shaped(6, kind=TensorProto.STRING),
        shaped(6, kind=999),
        TensorProto(name="hostile", dims=[1 << 40], data_type=1, float_data=[1.0]),
    ],
    ids=["huge", "negative", "short", "sides", "text", "unknown", "listed"],
)
def test_a_shape_that_its_numbers_do_not_have_is_refused(
    tensor: TensorProto, tmp_path: Path
) -> None:
    file = put(tmp_path, with_tensor(tensor))
    tracemalloc.start()
    with pytest.raises(CheckpointMismatch, match=DAMAGED):
        read_onnx(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


@pytest.mark.parametrize(
    "content",
    [
        b"\x08\x08\x3a\xff\xff\xff\xff\x0f",  # a graph of 4 GB
        b"\x08\x08\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",  # a length without end
        b"\x08\x08\x3a\x02\x2a\x7f",  # a tensor that ends beyond its graph
        b"\x08\x08\x3a\x00\x3a\x00",  # two graphs
        b"\x08\x08\x12\x00",  # none
        b"\x08\x08\x3b\x3c",  # groups, which nobody writes
        b"\x08\x08" + b"\x12\x00" * 200_000,  # fields without end
    ],
    ids=["4GB", "endless", "beyond", "two", "none", "groups", "many"],
)
def test_lengths_that_lie_are_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(CheckpointMismatch, match=DAMAGED):
        read_onnx(put(tmp_path, content))


def test_weights_in_another_file_are_not_looked_for(tmp_path: Path) -> None:
    model = make_network()
    onnx.save(
        model,
        str(tmp_path / "given.onnx"),
        save_as_external_data=True,
        location="secret",
        size_threshold=0,
    )
    with pytest.raises(CheckpointMismatch, match=r"given.onnx keeps its weights in another file"):
        read_onnx(tmp_path / "given.onnx")


def test_two_tensors_of_one_name_are_refused(tmp_path: Path) -> None:
    twice = numpy_helper.from_array(np.zeros(3, np.float32), "weights")
    with pytest.raises(CheckpointMismatch, match=DAMAGED):
        read_onnx(put(tmp_path, with_tensor(twice)))
