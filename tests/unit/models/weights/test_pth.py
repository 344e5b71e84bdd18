"""A pickle is read by a machine that knows tensors, and does nothing else it says."""

from __future__ import annotations

import collections
import pickle
import sys
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from models.errors import CheckpointMismatch, EngineUnavailable
from models.weights import read
from models.weights.read import read_weights
from tests.support.checkpoints import write

STORAGE = bytes(24)
HEAD = b"\x80\x02"
# A tensor of six floats over storage 0; to be changed here and there.
STORED = b"((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x06tQ"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


DOUBLED = b"K\x01\x85" + b"q\1h\1\x86" * 60  # each holds the one before twice


def tensor(
    offset: bytes = b"K\0", size: bytes = b"K\x06\x85", stride: bytes = b"K\x01\x85"
) -> bytes:
    return REBUILD + STORED + offset + size + stride + b"\x89NtR"


def state(value: bytes) -> bytes:
    return HEAD + b"}X\x01\0\0\0a" + value + b"s."


def put(folder: Path, data: bytes, packing: int = zipfile.ZIP_STORED) -> Path:
    file = folder / "given.pth"
    with zipfile.ZipFile(file, "w", packing) as archive:
        archive.writestr("given/data.pkl", data)
        archive.writestr("given/data/0", STORAGE)
    return file


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on, PyTorch is not installed."""
    return lambda: monkeypatch.setitem(sys.modules, "torch", None)


def test_the_tensor_of_the_tests_is_one(tmp_path: Path) -> None:
    assert read_weights(put(tmp_path, state(tensor())))["a"].tolist() == [0.0] * 6


def test_what_pytorch_saves_is_read_in_all_types_and_orders(tmp_path: Path) -> None:
    base = torch.arange(24).reshape(2, 3, 4)
    kinds = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64]
    kinds += [torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]
    tensors = {str(kind): base.to(kind) for kind in kinds}
    tensors |= {
        "turned": base.float().permute(2, 0, 1),
        "part": base.float()[1, ::2, 1:],
        "spread": torch.ones(()).expand(3, 4),
        "parameter": torch.nn.Parameter(base.float()),
        "scalar": torch.tensor(7),
        "none": torch.zeros(0, 3),
    }
    file = write(collections.OrderedDict(tensors), tmp_path)
    arrays = read_weights(file)
    assert list(arrays) == list(tensors)
    assert all(arrays[key].tolist() == tensors[key].tolist() for key in tensors)


def test_the_state_of_a_training_is_read_without_pytorch(
    without_torch: Callable[[], None], tmp_path: Path
) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    content = {
        "epoch": 3,
        "lr": 1e-5,
        "best": None,
        "args": ["--amp", True, (1, 2, 3, 4)],
        "big": 1 << 40,
        "model": network.state_dict(),  # carries `_metadata`
        "optimizer": torch.optim.AdamW(network.parameters()).state_dict(),
    }
    file, keys = write(content, tmp_path), list(network.state_dict())
    without_torch()
    assert list(read_weights(file)) == keys


def foreign(*names: str) -> list[bytes]:
    return [f"c{name}\n".encode() for name in names]


@pytest.mark.parametrize(
    "value",
    [
        *(
            name + b"X\x02\0\0\0ls\x85R"
            for name in foreign(
                "os\nsystem",
                "builtins\neval",
                "builtins\ngetattr",
                "numpy\nload",
                "torchx\nload",
                "collections\nOrderedDict.__init__",
            )
        ),
        b"\x93",  # STACK_GLOBAL
        b"(cos\nsystem\no",  # OBJ
        b"(X\x02\0\0\0lsios\nsystem\n",  # INST
        b"ccollections\nOrderedDict\n)\x81",  # NEWOBJ
        b"\x82\x01",  # EXT1
        b"P0\n",  # PERSID
        b"2",  # DUP
    ],
    ids=str,
)
def test_any_other_name_or_instruction_is_refused(
    value: bytes, without_torch: Callable[[], None], tmp_path: Path
) -> None:
    without_torch()
    with pytest.raises(CheckpointMismatch, match="could run code"):
        read_weights(put(tmp_path, state(value)))


@pytest.mark.parametrize(
    "value",
    [
        tensor(offset=b"K\x01"),
        tensor(offset=b"J\xff\xff\xff\xff"),
        tensor(size=b"J\xff\xff\xff\xff\x85"),
        tensor(stride=b"J\xff\xff\xff\xff\x85"),
        tensor(size=b"K\x02K\x06\x86", stride=b"K\x06K\x01\x86"),
        tensor(stride=b"K\x06K\x01\x86"),
        tensor(size=b"\x8a\x08\0\0\0\0\0\0\0\x40\x85", stride=b"K\0\x85"),  # 2^62 times the first
        tensor(size=b"X\x01\0\0\x006\x85"),
        tensor(size=b"K\x06"),
        tensor().replace(b"X\x01\0\0\x000", b"X\x01\0\0\x001"),  # no such storage
        tensor().replace(b"torch\nFloatStorage", b"torch._utils\n_rebuild_parameter"),
        tensor().replace(b"ctorch\nFloatStorage\n", b"K\x01"),
        b"ctorch\nFloatStorage\n)R",  # calls a type
        b"K\x01)R",
        tensor(size=b"\x8a\x06\0\0\0\0\0\x01\x85", stride=b"K\0\x85")
        + b")G"
        + bytes(8)
        + b"s",  # filled
        tensor() + b"K\0a",
        b"ccollections\nOrderedDict\n](K\x01K\x02e\x85R",  # with arguments, which it never has
        DOUBLED + b"K\0s",  # a key of 2^60 numbers
        tensor().replace(b"X\x01\0\0\x000", DOUBLED),
        b"t",  # no mark
        b"h\x07",  # not in the memo
        b"0",
        b"X\xff\xff\xff\x7fa",  # a text of 2 GB
        b"N",
    ],
    ids=str,
)
def test_a_pickle_that_cannot_be_is_refused(value: bytes, tmp_path: Path) -> None:
    with pytest.raises(CheckpointMismatch, match=r"given.pth (is damaged|holds|is pickled)"):
        read_weights(put(tmp_path, state(value)))


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"r\xff\xff\xff\x7f" * 10 + b".",
        HEAD + b"}r\xff\xff\xff\x7f.",  # a memo of 2^31 places, in C
        HEAD + b"]" + b"(" * 100_000 + b"t" * 100_000 + b".",
        HEAD + b"}" * 5_000_000 + b".",
        HEAD + b"]q\0" + b"h\0\x85" * 100_000 + b".",
        HEAD + b"\x8a\xff" + b"\xff" * 255 + b".",
        HEAD,
        b"",
    ],
    ids=["memo", "memo-of-one", "nested", "long", "wide", "integer", "cut", "empty"],
)
def test_a_bomb_takes_little_time_and_memory(data: bytes, tmp_path: Path) -> None:
    file = put(tmp_path, data)
    started = time.process_time()
    tracemalloc.start()
    with pytest.raises(CheckpointMismatch):
        read_weights(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400_000_000
    assert time.process_time() - started < 60


def test_a_packed_archive_says_what_to_install_and_is_not_unpacked(
    without_torch: Callable[[], None], tmp_path: Path
) -> None:
    without_torch()
    file = tmp_path / "given.pth"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("given/data.pkl", state(tensor()))
        archive.writestr("given/data/0", bytes(50_000_000))
    tracemalloc.start()
    with pytest.raises(EngineUnavailable, match=r"compressed, which only PyTorch reads, .*; run"):
        read_weights(file)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda f: torch_file(f, _use_new_zipfile_serialization=False), "before PyTorch 1.6"),
        (lambda f: write({"a": torch.eye(3).to_sparse()}, f), "_rebuild_sparse_tensor"),
    ],
)
def test_what_only_pytorch_reads_says_what_to_install(
    make: Callable[[Path], Path],
    said: str,
    without_torch: Callable[[], None],
    tmp_path: Path,
) -> None:
    file = make(tmp_path)
    without_torch()
    with pytest.raises(EngineUnavailable, match=rf"{said}.*torch is not installed; run: pip"):
        read_weights(file)


def torch_file(folder: Path, **how: bool) -> Path:
    torch.save({"a": torch.ones(2)}, folder / "given.pth", **how)
    return folder / "given.pth"


def test_numbers_in_another_byte_order_are_left_to_pytorch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = put(tmp_path, state(tensor()))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("given/byteorder", "big")
    monkeypatch.setattr(read, "_read_with_torch", lambda *_: {"left": np.zeros(1)})
    assert list(read_weights(file)) == ["left"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    file = put(tmp_path, state(tensor()))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("given/data/0", bytes(24))
    with pytest.raises(CheckpointMismatch, match="is damaged"):
        read_weights(file)


def test_a_member_that_lies_elsewhere_is_refused(tmp_path: Path) -> None:
    file = put(tmp_path, state(tensor()))
    content = bytearray(file.read_bytes())
    place = content.rindex(b"PK\x01\x02") + 42  # where the last member begins
    for offset in (7, 10**9):
        content[place : place + 4] = offset.to_bytes(4, "little")
        file.write_bytes(content)
        with pytest.raises(CheckpointMismatch, match=r"is (damaged|cut short)"):
            read_weights(file)


def test_a_member_longer_than_the_file_is_refused(tmp_path: Path) -> None:
    file = put(tmp_path, state(tensor()))
    content = bytearray(file.read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 20 : entry + 28] = (2**31).to_bytes(4, "little") * 2
    file.write_bytes(content)
    with pytest.raises(CheckpointMismatch, match="is damaged"):
        read_weights(file)


def test_a_pickle_beside_pytorchs_own_is_no_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "given.pth"
    file.write_bytes(pickle.dumps({"a": 1}, protocol=2))
    with pytest.raises(CheckpointMismatch, match=r"given\.pth"):
        read_weights(file)
