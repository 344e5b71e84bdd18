"""A filled template is, byte by byte, what PyTorch exports of the same checkpoint."""

from __future__ import annotations

import lzma
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from safetensors.torch import save_file

from models.artifacts import GRAPH_FILE, GRAPH_VERSION
from models.birefnet import BiRefNet, build_birefnet
from models.birefnet.backbones import BACKBONES
from models.birefnet.seeded import seed_weights
from models.catalog import IMAGENET_MEAN, IMAGENET_STD
from models.errors import CheckpointError, CheckpointMismatch
from models.export.birefnet import DeformForm, export_birefnet
from models.export.make_template import template_of
from models.spec import InputSpec
from models.templates.check import read_birefnet
from models.templates.fill import evaluate, fill
from models.templates.template import (
    FOLDER,
    Form,
    Header,
    Template,
    expected_tensors,
    read_template,
    template_file,
)
from scripts.make_templates import wanted
from tests.support.checkpoints import key_list, make_state, write

ROOT = Path(__file__).parents[2]
QUICK = "pvt_v2_b0"
ALL = [(*size, form) for size in wanted(list(BACKBONES)) for form in Form]
# Half a minute to a minute for each export.
FULL = [pytest.mark.full, pytest.mark.timeout(1200)]
# Made anew: the smallest of every family of backbones, and the other form of two; within a family
# only counts and widths differ. `python -m scripts.make_templates` makes all of them anew, in half
# an hour; what differs then shows in the repository.
SMALLEST = (QUICK, "swin_v1_t", "resnet50", "vgg16")
REBUILT = [
    *((backbone, 1024, 1024, Form.OPERATOR) for backbone in SMALLEST),
    *((backbone, 1024, 1024, Form.HALF) for backbone in (QUICK, "swin_v1_t")),
]
# Of these what is filled is compared with an export of its own, too; how a template is filled does
# not depend on its network.
COMPARED = [
    *((QUICK, 1024, 1024, form) for form in Form),
    ("swin_v1_t", 1024, 1024, Form.OPERATOR),
]


def name_of(size: tuple[str, int, int, Form]) -> str:
    return template_file(*size).stem


def seeded(backbone: str) -> BiRefNet:
    with torch.device("meta"):
        network = build_birefnet(backbone)
    network.to_empty(device="cpu")
    seed_weights(network)
    return network.requires_grad_(False).eval()


def arrays_of(network: BiRefNet) -> dict[str, np.ndarray]:
    return {key: tensor.numpy() for key, tensor in network.state_dict().items()}


def test_there_is_one_for_all_that_can_be_registered_and_no_other() -> None:
    there = {file.name for file in FOLDER.glob("*.xz")}
    assert there == {template_file(*size).name for size in ALL}
    assert sum(file.stat().st_size for file in FOLDER.glob("*.xz")) < 5_000_000


@pytest.mark.parametrize("backbone", BACKBONES)
def test_it_lists_the_tensors_of_the_published_checkpoints(backbone: str) -> None:
    listed = expected_tensors(backbone).tensors
    assert list(listed.items()) == [(key, shape) for key, shape, _ in key_list(backbone)]


@pytest.mark.parametrize("size", ALL, ids=name_of)
def test_it_is_whole_and_of_todays_version(size: tuple[str, int, int, Form]) -> None:
    template = read_template(template_file(*size))
    header, graph = template.header, template.model.graph
    assert header.graph_version == GRAPH_VERSION
    names = Counter(output for node in graph.node for output in node.output)
    names.update(tensor.name for tensor in graph.initializer)
    names.update(value.name for value in graph.input)
    assert max(names.values()) == 1
    assert all(name in names for node in graph.node for name in node.input if name)
    left_out = {t.name for t in graph.initializer if not t.HasField("raw_data")}
    assert left_out == header.recipe.keys()
    assert not template.model.metadata_props


@pytest.mark.parametrize("size", [pytest.param(size, marks=FULL) for size in REBUILT], ids=name_of)
def test_it_is_what_pytorch_makes_today(size: tuple[str, int, int, Form]) -> None:
    made = template_of(seeded(size[0]), *size[1:])
    assert lzma.decompress(made.packed()) == lzma.decompress(template_file(*size).read_bytes())


@pytest.mark.parametrize("size", [pytest.param(size, marks=FULL) for size in COMPARED], ids=name_of)
def test_filled_it_is_what_pytorch_exports(
    size: tuple[str, int, int, Form], tmp_path: Path
) -> None:
    backbone, height, width, form = size
    network, half = seeded(backbone), form is Form.HALF
    kept = template_file(*size)
    exported, filled = tmp_path / "exported.onnx", tmp_path / "filled.onnx"
    kind = DeformForm.DECOMPOSED if half else DeformForm.OPERATOR
    spec = InputSpec(height, width, IMAGENET_MEAN, IMAGENET_STD)
    export_birefnet(network, spec, exported, kind, half=half, sound=half)
    fill(read_template(kept), arrays_of(network), filled)
    assert filled.read_bytes() == exported.read_bytes()


# Registers the file in the environment as it is, but for what is imported.
WITHOUT_TORCH = """
import resource, sys
for name in ("torch", "safetensors", "onnxscript", "onnx_ir"):
    sys.modules[name] = None
from pathlib import Path
import models.export.graphs
from models.store.register import identify, register
from tests.support.fake_machine import model_store
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with model_store(Path(sys.argv[2])):
    print(register(identify(Path(sys.argv[1]))).files.graph)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_a_checkpoint_is_registered_without_pytorch_in_little_memory(
    suffix: str, tmp_path: Path
) -> None:
    network, file = seeded(QUICK), tmp_path / f"given.{suffix}"
    save = save_file if suffix == "safetensors" else torch.save
    save(network.state_dict(), file)
    program = [sys.executable, "-c", WITHOUT_TORCH, str(file), str(tmp_path / "home")]
    ran = subprocess.run(program, capture_output=True, text=True, cwd=ROOT, check=False)
    assert ran.returncode == 0, ran.stderr
    graph, peak = ran.stdout.splitlines()
    fill(read_template(template_file(*ALL_OF_QUICK)), arrays_of(network), tmp_path / GRAPH_FILE)
    assert Path(graph).read_bytes() == (tmp_path / GRAPH_FILE).read_bytes()
    assert int(peak) < file.stat().st_size + 1.2 * Path(graph).stat().st_size
    onnx.checker.check_model(graph)


ALL_OF_QUICK = (QUICK, 1024, 1024, Form.OPERATOR)


def test_halves_are_widened_before_they_are_folded(tmp_path: Path) -> None:
    network = seeded(QUICK)
    wide, narrow = tmp_path / "wide.safetensors", tmp_path / "narrow.safetensors"
    for dtype in (torch.float16, torch.bfloat16):
        half = {
            key: tensor.to(dtype) if tensor.is_floating_point() else tensor
            for key, tensor in network.state_dict().items()
        }
        save_file(half, narrow)
        save_file({k: t.float() if t.is_floating_point() else t for k, t in half.items()}, wide)
        for file in (wide, narrow):
            template = read_template(template_file(*ALL_OF_QUICK))
            fill(template, read_birefnet(file).tensors, file.with_suffix(".onnx"))
        assert wide.with_suffix(".onnx").read_bytes() == narrow.with_suffix(".onnx").read_bytes()


def test_an_index_that_is_not_the_networks_own_is_refused(tmp_path: Path) -> None:
    state = make_state("swin_v1_t")
    key = "bb.layers.1.blocks.1.attn.relative_position_index"
    state[key] = state[key].clone()
    state[key][3, 5] = 10**6
    file = write(state, tmp_path)
    with pytest.raises(CheckpointMismatch, match=rf"other values in {key} than every swin_v1_t"):
        read_birefnet(file)


@pytest.mark.parametrize("variance", [-1.0, 3e38])
def test_a_norm_that_folds_to_no_number_is_refused_and_nothing_is_left(
    variance: float, tmp_path: Path
) -> None:
    weights = arrays_of(seeded(QUICK))
    norm = "decoder.decoder_block1.bn_in"
    weights[f"{norm}.running_var"][3] = variance
    weights[f"{norm}.weight"][3] = 3e38 if variance > 0 else 1
    if variance > 0:
        weights[f"{norm}.running_mean"][3], weights[f"{norm}.running_var"][3] = 3e38, 0
    with pytest.raises(CheckpointError, match=r"folding the batch norm .* NaN or infinity"):
        fill(read_template(template_file(*ALL_OF_QUICK)), weights, tmp_path / "graph.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_graph_beyond_what_a_file_may_hold_is_refused_by_its_size(tmp_path: Path) -> None:
    model = onnx.ModelProto()
    huge = TensorProto(name="w", dims=[1 << 15, 1 << 15], data_type=TensorProto.FLOAT)
    model.graph.initializer.append(huge)
    template = Template(Header(GRAPH_VERSION, {}, {}, {"w": ["copy", "w"]}), model)
    with pytest.raises(CheckpointError, match=r"would have 4\.3 GB, and an ONNX file has"):
        fill(template, {}, tmp_path / "graph.onnx")
    assert list(tmp_path.iterdir()) == []


def test_operations_on_weights_are_those_of_onnx() -> None:
    array = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
    weights, copy = {"a": array}, ["copy", "a"]
    assert evaluate(["slice", [[1, 3, 1], [4, 0, 2, -2]], copy], weights).tolist() == (
        array[:, 1:3, 4:0:-2].tolist()
    )
    assert evaluate(["gather", 0, copy, 1], weights).shape == (3, 4)
    assert evaluate(["unsqueeze", [0, 4], copy], weights).shape == (1, 2, 3, 4, 1)
