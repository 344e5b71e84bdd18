"""A `.safetensors` file is mapped as its header says, if that is possible at all."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.errors import CheckpointMismatch
from models.weights.arrays import is_finite, widened
from models.weights.read import read_weights
from models.weights.safetensors import read_safetensors, write_safetensors


def put(folder: Path, header: object, n_bytes: int = 24) -> Path:
    """A file with that header; text is taken as it is."""
    text = header if isinstance(header, str) else json.dumps(header)
    file = folder / "given.safetensors"
    file.write_bytes(len(text).to_bytes(8, "little") + text.encode() + bytes(n_bytes))
    return file


def entry(
    start: object, end: object, shape: object = (3,), dtype: object = "F32"
) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_what_another_program_wrote_is_read_in_all_types(tmp_path: Path) -> None:
    kinds = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
    whole = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]
    tensors = {
        str(kind): torch.tensor([[0, 1, 2], [3, 4, 5]]).to(kind) for kind in (*kinds, *whole)
    }
    save_file({**tensors, "scalar": torch.tensor(7), "none": torch.zeros(0, 3)}, tmp_path / "file")
    read = read_safetensors(tmp_path / "file")
    for key, tensor in tensors.items():
        assert read[key].tolist() == tensor.tolist()
        wide = np.float32 if tensor.is_floating_point() else np.int64
        assert widened(read[key]).dtype == wide
    assert (read["scalar"].shape, read["scalar"].item()) == ((), 7)
    assert read["none"].shape == (0, 3)


def test_another_program_reads_what_is_written(tmp_path: Path) -> None:
    arrays = {
        "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "half": np.ones(3, np.float16),
        "bf16": np.ones(5, ml_dtypes.bfloat16),
        "n": np.array(7),
    }
    write_safetensors(arrays, tmp_path / "file")
    read = load_file(tmp_path / "file")
    assert {key: tensor.tolist() for key, tensor in read.items()} == {
        key: array.tolist() for key, array in arrays.items()
    }
    assert read_safetensors(tmp_path / "file").keys() == arrays.keys()


@pytest.mark.parametrize(
    "header",
    [
        {"a": entry(0, 12), "b": entry(0, 12)},
        {"a": entry(0, 12), "b": entry(8, 20)},
        {"a": entry(0, 12)},
        {"a": entry(12, 24)},
        {"a": entry(0, 12), "b": entry(12, 28, (4,))},
        {"a": entry(0, 24)},
        {"a": entry(0, 24, (2, 2))},
        {"a": entry(-12, 0), "b": entry(0, 24, (6,))},
        {"a": entry(24, 12, (-3,)), "b": entry(0, 24, (6,))},
        {"a": entry(0, 24, (-2, -3))},
        {"a": entry(0, 24, (6, True))},
        {"a": entry(0.0, 24.0, (6,))},
        {"a": entry(0, 24, "6")},
        {"a": entry(0, 24, 6)},
        {"a": entry(0, 24, (2**40, 2**40))},
        {"a": entry(0, 2**70, (2**68,))},
        {"a": entry(0, 24, [2**60] * 200_000)},
        {"a": {"dtype": "F32", "shape": [6]}},
        {"a": {"dtype": ["F32"], "shape": [6], "data_offsets": [0, 24]}},
        {"a": [0, 24]},
        '{"a":' + json.dumps(entry(0, 12)) + ',"a":' + json.dumps(entry(12, 24)) + "}",
        '{"a":' + "[" * 200_000,
        '{"a":{"dtype":"F32","shape":[6],"data_offsets":[0,' + "9" * 10_000 + "]}}",
    ],
    ids=lambda header: str(header)[:60],
)
def test_a_header_that_cannot_be_is_refused(header: object, tmp_path: Path) -> None:
    file = put(tmp_path, header)
    with pytest.raises(CheckpointMismatch, match=r"^given.safetensors is (damaged|cut short)"):
        read_weights(file)


def test_a_header_longer_than_any_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "given.safetensors"
    file.write_bytes((50_000_000).to_bytes(8, "little") + b'{"a":' + bytes(50_000_000))
    tracemalloc.start()
    with pytest.raises(CheckpointMismatch, match="is damaged"):
        read_weights(file)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_numbers_of_other_kinds_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(CheckpointMismatch, match="holds in a no plain tensor of real numbers"):
        read_weights(put(tmp_path, {"a": entry(0, 24, (3,), "C64")}))


def test_a_file_is_mapped_and_not_loaded(tmp_path: Path) -> None:
    array = np.zeros((1 << 22,), np.float32)
    write_safetensors({"a": array}, tmp_path / "file")
    tracemalloc.start()
    assert is_finite(read_safetensors(tmp_path / "file")["a"])
    assert tracemalloc.get_traced_memory()[1] < array.nbytes / 100
    tracemalloc.stop()


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_every_width_knows_its_infinities(dtype: type, value: float) -> None:
    array = np.array([1, -3e4, 0, 1e-7], dtype)
    assert is_finite(array)
    array[1] = value
    assert not is_finite(array)
    assert is_finite(np.zeros((0, 2), dtype))


def test_a_double_that_no_float_holds_counts_as_infinite() -> None:
    assert not is_finite(np.array([1e300]))
