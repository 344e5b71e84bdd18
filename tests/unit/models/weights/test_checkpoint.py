"""A checkpoint is recognised by its tensors, or the message says what the file is instead."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from models.birefnet.checkpoint import load_birefnet
from models.catalog import find
from models.errors import CheckpointError, CheckpointMismatch
from models.templates.check import read_birefnet
from models.weights.arrays import shapes_of, widened
from models.weights.backbone import backbone_of
from models.weights.read import read_weights
from tests.support.checkpoints import key_list, make_state, write
from tests.support.graphs import write_graph

BACKBONES = [
    "swin_v1_t",
    "swin_v1_s",
    "swin_v1_b",
    "swin_v1_l",
    "pvt_v2_b0",
    "pvt_v2_b1",
    "pvt_v2_b2",
    "pvt_v2_b5",
    "resnet50",
    "vgg16",
    "vgg16bn",
]
SMALL = {"one": torch.ones(2, 3), "two.bias": torch.zeros(3), "n": torch.tensor(7)}
# The quickest to build, for what does not depend on the backbone.
QUICK = "pvt_v2_b0"


def refused(file: Path, model: str | None = None) -> str:
    with pytest.raises(CheckpointMismatch) as fault:
        read_birefnet(file, model and find(model))
    assert file.name in str(fault.value)
    assert "\n" not in str(fault.value)
    return str(fault.value)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_backbone_is_recognised_by_its_shapes(backbone: str) -> None:
    assert backbone_of(shapes_of(make_state(backbone))) == backbone


@pytest.mark.parametrize("backbone", ["swin_v1_t", QUICK])
def test_a_checkpoint_becomes_the_network_it_was_made_for(backbone: str, tmp_path: Path) -> None:
    state = make_state(backbone)
    state["decoder.conv_out1.0.bias"] = torch.tensor([0.25])
    network = load_birefnet(write(state, tmp_path))
    loaded = network.state_dict()
    assert {key: (tuple(t.shape), t.dtype) for key, t in loaded.items()} == {
        key: (shape, getattr(torch, dtype)) for key, shape, dtype in key_list(backbone)
    }
    assert loaded["decoder.conv_out1.0.bias"].item() == 0.25
    assert not network.training
    assert not any(p.requires_grad or p.is_meta for p in network.parameters())
    assert not any(buffer.is_meta for buffer in network.buffers())


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."]
)
def test_the_prefixes_of_training_tools_are_dropped(prefix: str, tmp_path: Path) -> None:
    file = write({prefix + key: tensor for key, tensor in SMALL.items()}, tmp_path)
    assert list(read_weights(file)) == list(SMALL)


@pytest.mark.parametrize("container", ["state_dict", "model"])
def test_weights_inside_a_training_state_are_found(container: str, tmp_path: Path) -> None:
    file = write({"epoch": 3, container: SMALL, "optimizer": {"lr": 1e-5}}, tmp_path)
    assert read_weights(file).keys() == SMALL.keys()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before-1.6"])
def test_both_formats_of_pytorch_are_read(zipped: bool, tmp_path: Path) -> None:
    file = tmp_path / "given.pth"
    torch.save(SMALL, file, _use_new_zipfile_serialization=zipped)
    assert np.array_equal(read_weights(file)["one"], SMALL["one"])


def test_the_content_decides_and_not_the_name(tmp_path: Path) -> None:
    save_file(SMALL, tmp_path / "given.pth")
    torch.save(SMALL, tmp_path / "given.safetensors")
    for file in tmp_path.iterdir():
        assert read_weights(file).keys() == SMALL.keys()


def test_half_precision_is_widened_and_whole_numbers_stay(tmp_path: Path) -> None:
    half = {key: t.half() if t.is_floating_point() else t for key, t in SMALL.items()}
    save_file(half, tmp_path / "half.safetensors")
    read = read_weights(tmp_path / "half.safetensors")
    state = {key: widened(array) for key, array in read.items()}
    assert [t.dtype for t in state.values()].count(np.float32) == 2
    assert state["n"].dtype == np.int64
    assert state["n"].item() == 7


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_a_nan_or_an_infinity_among_the_weights_is_refused(
    value: float, dtype: torch.dtype, tmp_path: Path
) -> None:
    spoilt = torch.ones(4, dtype=dtype)
    spoilt[2] = value
    file = write({**SMALL, "spoilt": spoilt}, tmp_path)
    with pytest.raises(CheckpointMismatch, match="NaN or infinity in spoilt"):
        read_weights(file)


class Trap:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before-1.6"])
def test_code_in_a_checkpoint_is_never_run(zipped: bool, tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    file = tmp_path / "trap.pth"
    torch.save({**SMALL, "x": Trap(mark)}, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointMismatch, match=r"could run code; save `model.state_dict\(\)`"):
        read_weights(file)
    assert not mark.exists()


def write_safetensors(folder: Path) -> Path:
    file = folder / "given.safetensors"
    save_file(SMALL, file)
    return file


def cut(file: Path, n_bytes: int) -> Path:
    file.write_bytes(file.read_bytes()[:n_bytes])
    return file


def put(content: bytes) -> Callable[[Path], Path]:
    def write_it(folder: Path) -> Path:
        file = folder / "given.safetensors"
        file.write_bytes(content)
        return file

    return write_it


def make_header(header: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header


def spoil_directory(file: Path) -> Path:
    """Keep the end of a zip archive, which says where its directory is, and break that."""
    content = file.read_bytes()
    file.write_bytes(content.replace(b"PK\x01\x02", b"PK\xff\xff"))
    return file


def write_torchscript(folder: Path) -> Path:
    """What `torch.jit.save` names the members of its archive."""
    file = folder / "given.pth"
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"given/{name}", b"")
    return file


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "nothing.pth", "is not there"),
        (put(b""), "is empty"),
        (put(b"version https://git-lfs.github.com/spec/v1\noid sha256:0"), "git lfs pull"),
        (put(b"\n<!DOCTYPE html><title>Sign in</title>"), "is a web page"),
        (put(b"<html>"), "is a web page"),
        (put(b'{"error": "Repository not found"}'), "is a JSON text"),
        (put(b"GIF89a" * 9), r"neither a .safetensors nor a .pth"),
        (write_graph, "is an ONNX graph, which is not read here"),
        (put(b"\x08\x0a\x12\x07pytorch\x1a\x052.5.0"), "is an ONNX graph"),
        (put(b"\x08\x07\x42\x04\x0a\x00\x10\x11\x3a\x80"), "is an ONNX graph"),
        (put(b"\x08\x08\x28\x01\x3a\x80"), "is an ONNX graph"),
        (lambda folder: cut(write(SMALL, folder), 900), "is cut short"),
        (lambda folder: cut(write_safetensors(folder), 12), "is cut short"),
        (lambda folder: cut(write_safetensors(folder), 220), r"cut short: it has 220 of \d+ bytes"),
        (put(b"\x08\0\0\0\0\0\0\0{broken}"), "is damaged"),
        (put(pickle.dumps({"a": 1}, protocol=2)[:6]), "is damaged"),
        (put(make_header(b'{"a":' + b"[" * 200_000)), "is damaged"),
        (put(make_header(b'{"a":{"data_offsets":[0,"x"]}}')), "is damaged"),
        (put(make_header(b'{"a":{"data_offsets":[0,null]}}')), "is damaged"),
        (put(make_header(b'{"a":{"data_offsets":null}}')), "is damaged"),
        (put((10**9).to_bytes(8, "little") + b"{}"), "is damaged"),
        (lambda folder: spoil_directory(write(SMALL, folder)), "is damaged"),
        (write_torchscript, "is a TorchScript program"),
        (lambda folder: write([1, 2], folder), "no dictionary of tensors but: list"),
        (lambda folder: write({"epoch": 3}, folder), "no dictionary of tensors but: epoch"),
        (lambda folder: write({}, folder), "no dictionary of tensors"),
    ],
)
def test_a_file_that_is_no_checkpoint_says_what_it_is(
    make: Callable[[Path], Path], said: str, tmp_path: Path
) -> None:
    file = make(tmp_path)
    with pytest.raises(CheckpointMismatch, match=said) as fault:
        read_weights(file)
    assert str(fault.value).startswith(file.name)


def test_a_zip_archive_without_tensors_says_so(tmp_path: Path) -> None:
    file = tmp_path / "given.pth"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "is a zip archive without a checkpoint" in refused(file)


def test_the_checkpoint_of_a_sibling_is_refused_by_name(tmp_path: Path) -> None:
    file = write(make_state("swin_v1_t"), tmp_path)
    said = refused(file, "BiRefNet-general")
    assert "has the backbone swin_v1_t, and BiRefNet-general has swin_v1_l" in said
    assert "BiRefNet-general-lite" in said.split(": that is a file for ")[1]


def test_a_birefnet_is_no_light_model(tmp_path: Path) -> None:
    assert "is a BiRefNet, not u2net" in refused(write(make_state(QUICK), tmp_path), "u2net")


def make_early_2024(backbone: str = QUICK) -> dict[str, Tensor]:
    """As the first published decoder had it: no fifth source reference, no coarsest gate."""
    gone = ("decoder.ipt_blk5.", "decoder.gdt_convs_4.", "decoder.gdt_convs_pred_4.")
    state = make_state(backbone)
    kept = {
        key: tensor
        for key, tensor in state.items()
        if not key.startswith((*gone, "decoder.gdt_convs_attn_4."))
    }
    kept["decoder.decoder_block4.conv_in.weight"] = torch.zeros(64, 512, 3, 3)
    return kept


def test_the_architecture_of_early_2024_is_told_apart(tmp_path: Path) -> None:
    said = refused(write(make_early_2024(), tmp_path))
    assert "the architecture of early 2024 (BiRefNet-ep480" in said
    assert "take a model of the catalogue" in said


def test_the_architecture_of_early_2024_is_never_called_a_sibling(tmp_path: Path) -> None:
    said = refused(write(make_early_2024("swin_v1_t"), tmp_path), "BiRefNet-general")
    assert "the architecture of early 2024" in said
    assert "that is a file for" not in said


def test_counters_that_only_training_reads_may_be_missing(tmp_path: Path) -> None:
    state = make_state(QUICK)
    kept = {key: t for key, t in state.items() if not key.endswith(".num_batches_tracked")}
    assert len(kept) < len(state)
    assert read_birefnet(write(kept, tmp_path)).tensors.keys() == state.keys()


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_that_was_packed_again_is_read_as_it_was(packing: int, tmp_path: Path) -> None:
    file = write({"one": torch.arange(1000.0)}, tmp_path)
    again = tmp_path / "again.pth"
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(again, "w", packing) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert np.array_equal(read_weights(again)["one"], np.arange(1000.0))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before-1.6"])
def test_a_pickle_of_a_later_protocol_is_told_from_one_with_objects(
    zipped: bool, tmp_path: Path
) -> None:
    file = tmp_path / "given.pth"
    torch.save(SMALL, file, pickle_protocol=4, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointMismatch, match="save it again without `pickle_protocol`"):
        read_weights(file)


@pytest.mark.filterwarnings("ignore")  # PyTorch's own, of kinds of tensors that it gives up
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: torch.empty(3, device="meta"), "no plain tensor"),
        (lambda: torch.eye(3).to_sparse(), "no plain tensor"),
        (lambda: torch.ones(2, dtype=torch.complex64), "no plain tensor"),
        (lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8), "no plain tensor"),
        (lambda: torch.ones((), dtype=torch.half).expand(10**12), "more numbers than any"),
        (lambda: torch.ones(()).expand(10**12), "more numbers than any"),
    ],
    ids=["meta", "sparse", "complex", "quantized", "huge-half", "huge-float"],
)
def test_a_tensor_that_is_no_array_of_numbers_is_refused(
    make: Callable[[], Tensor], said: str, tmp_path: Path
) -> None:
    file = write({**SMALL, "odd": make()}, tmp_path)
    with pytest.raises(CheckpointMismatch, match=said):
        read_weights(file)


def test_a_network_built_without_batch_norm_is_told_apart(tmp_path: Path) -> None:
    state = make_state(QUICK)
    norms = {key.removesuffix(".running_mean") for key in state if key.endswith(".running_mean")}
    kept = {key: t for key, t in state.items() if key.rpartition(".")[0] not in norms}
    assert len(kept) < len(state)
    said = refused(write(kept, tmp_path))
    assert "built with batch size 1" in said
    assert "squeeze_module.0.dec_att.aspp1.bn.weight" in said


def test_anything_else_is_reported_by_its_first_keys(tmp_path: Path) -> None:
    state = make_state(QUICK)
    del state["decoder.conv_out1.0.bias"]
    state["decoder.extra"] = torch.zeros(1)
    state["decoder.conv_out1.0.weight"] = torch.zeros(1, 7, 1, 1)
    said = refused(write(state, tmp_path))
    assert "1 missing (decoder.conv_out1.0.bias)" in said
    assert "1 unexpected (decoder.extra)" in said
    assert "1 of another shape (decoder.conv_out1.0.weight is [1, 7, 1, 1], not [1, " in said


def test_a_report_shows_five_keys_and_counts_all(tmp_path: Path) -> None:
    state = make_state(QUICK) | {f"extra.{i}": torch.zeros(1) for i in range(9)}
    said = refused(write(state, tmp_path))
    assert "9 unexpected (extra.0, extra.1, extra.2, extra.3, extra.4, ...)" in said


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (SMALL, r"is no BiRefNet: its 3 tensors begin with one, two.bias, n"),
        ({"bb.model.cls_token": torch.zeros(1)}, "DINOv3"),
        ({"bb.stem.weight": torch.zeros(1)}, "backbone of another width or depth"),
    ],
)
def test_another_network_is_no_birefnet(
    state: dict[str, Tensor], said: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=said):
        read_birefnet(write(state, tmp_path))
