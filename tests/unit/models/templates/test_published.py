"""A published graph is read as its checkpoint, whatever way it was written, or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.catalog import custom_birefnet, find
from models.checkpoints.download import adopt
from models.errors import CheckpointMismatch, UnmatchedGraph
from models.templates.check import read_birefnet
from models.templates.published import read_published
from models.templates.template import backbones
from tests.support.graphs import make_network
from tests.support.published import layers_only, random_state

QUICK = "pvt_v2_b0"


def used(key: str) -> bool:
    return not key.startswith(("decoder.conv_ms_spvn_", "decoder.gdt_convs_pred_"))


def test_batch_norms_that_are_there_come_back_as_they_were(tmp_path: Path) -> None:
    state = random_state(QUICK)
    file = layers_only(QUICK, state, fold=False).save(tmp_path / "given.onnx")
    read = read_birefnet(file)
    assert read.backbone == QUICK
    for key, array in state.items():
        np.testing.assert_array_equal(read.tensors[key], array if used(key) else 0 * array)


@pytest.mark.parametrize(("named", "copies"), [(True, False), (False, True)])
def test_folded_batch_norms_come_back_as_what_does_nothing(
    named: bool, copies: bool, tmp_path: Path
) -> None:
    state = random_state(QUICK)
    graph = layers_only(QUICK, state, named=named, copies=copies)
    read = read_birefnet(graph.save(tmp_path / "given.onnx"), custom_birefnet(QUICK)).tensors
    np.testing.assert_array_equal(read["bb.norm2.weight"], state["bb.norm2.weight"])
    block = "decoder.decoder_block3"
    kept = f"{block}.dec_att.aspp_deforms.2.bn.running_var"
    np.testing.assert_array_equal(read[kept], state[kept])
    scale = state[f"{block}.bn_in.weight"] / np.sqrt(state[f"{block}.bn_in.running_var"] + 1e-5)
    np.testing.assert_allclose(
        read[f"{block}.conv_in.weight"],
        state[f"{block}.conv_in.weight"] * scale[:, None, None, None],
        rtol=1e-5,
    )
    deviation = np.sqrt(read[f"{block}.bn_in.running_var"] + np.float32(1e-5))
    assert (deviation == 1).all()
    assert not read[f"{block}.conv_in.bias"].any()


def test_relative_positions_come_back_as_their_table(tmp_path: Path) -> None:
    state = random_state("swin_v1_t")
    file = layers_only("swin_v1_t", state).save(tmp_path / "given.onnx")
    read = read_birefnet(file, find("BiRefNet-general-lite"))
    assert adopt(find("BiRefNet-general-lite"), file, tmp_path).suffix == ".onnx"
    key = "bb.layers.2.blocks.3.attn.relative_position_bias_table"
    np.testing.assert_array_equal(read.tensors[key], state[key])


@pytest.mark.full
@pytest.mark.parametrize("backbone", backbones())
def test_every_backbone_is_recognised(backbone: str, tmp_path: Path) -> None:
    file = layers_only(backbone, random_state(backbone), fold=False).save(tmp_path / "given.onnx")
    assert read_birefnet(file).backbone == backbone


def test_the_graph_of_a_sibling_is_refused_by_name(tmp_path: Path) -> None:
    file = layers_only(QUICK, random_state(QUICK)).save(tmp_path / "given.onnx")
    with pytest.raises(
        CheckpointMismatch, match="has the backbone pvt_v2_b0, and BiRefNet-general"
    ):
        read_birefnet(file, find("BiRefNet-general-lite"))


def test_a_layer_too_few_or_under_anothers_name_is_not_guessed_at(tmp_path: Path) -> None:
    graph = layers_only(QUICK, random_state(QUICK))
    norm = next(node for node in graph.nodes if node.op_type == "LayerNormalization")
    graph.nodes.remove(norm)
    with pytest.raises(UnmatchedGraph, match="layers of the kind and shape of bb"):
        read_published(graph.save(tmp_path / "few.onnx"))

    swapped = {"bb.norm1.weight": "bb.patch_embed1.norm.weight"}
    swapped |= {new: old for old, new in swapped.items()}
    graph = layers_only(QUICK, random_state(QUICK), rename=lambda key: swapped.get(key, key))
    with pytest.raises(UnmatchedGraph, match=r"bb.norm1.weight stands where bb.patch_embed1.norm"):
        read_published(graph.save(tmp_path / "swapped.onnx"))


def test_copies_that_differ_are_not_taken_for_copies(tmp_path: Path) -> None:
    graph = layers_only(QUICK, random_state(QUICK), named=False, copies=True)
    shape = random_state(QUICK)["bb.patch_embed2.proj.weight"].shape
    second = [name for name, array in graph.tensors.items() if array.shape == shape][1]
    graph.tensors[second] = graph.tensors[second] + 1
    with pytest.raises(UnmatchedGraph, match="2 layers of the kind and shape of bb"):
        read_published(graph.save(tmp_path / "given.onnx"))


def test_nan_is_refused(tmp_path: Path) -> None:
    state = dict(random_state(QUICK))
    state["bb.norm4.bias"] = state["bb.norm4.bias"] * np.float32("nan")
    file = layers_only(QUICK, state).save(tmp_path / "given.onnx")
    with pytest.raises(CheckpointMismatch, match=r"holds NaN or infinity in bb\.norm4\.bias"):
        read_published(file)


def u2net() -> onnx.ModelProto:
    """Seven maps of one picture."""
    model = make_network()
    names = [f"d{i}" for i in range(7)]
    del model.graph.output[:]
    for name in names:
        model.graph.node.append(helper.make_node("Identity", ["logits"], [name]))
        model.graph.output.append(helper.make_tensor_value_info(name, 1, [1, 1, 64, 64]))
    return model


def classifier() -> onnx.ModelProto:
    weights = numpy_helper.from_array(np.zeros((12288, 10), np.float32), "weights")
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["scores"]),
    ]
    values = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
        for name, shape in (("pixels", [1, 3, 64, 64]), ("scores", [1, 10]))
    ]
    return helper.make_model(helper.make_graph(nodes, "classifier", *values, [weights]))


@pytest.mark.parametrize(
    ("model", "what"),
    [
        (u2net, r"of a U-2-Net or an IS-Net, not of a BiRefNet: \[N, 3, 64, 64\] to \[1, 1, 64"),
        (classifier, r"of a classifier, not of a BiRefNet: \[1, 3, 64, 64\] to \[1, 10\]"),
        (make_network, "of something else than a BiRefNet"),
    ],
)
def test_another_network_is_refused_by_name(model, what: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    onnx.save(model(), str(tmp_path / "given.onnx"))
    with pytest.raises(CheckpointMismatch, match=f"given.onnx is an ONNX graph {what}"):
        read_published(tmp_path / "given.onnx")


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointMismatch, match="is not there"):
        read_birefnet(tmp_path / "nothing.onnx")


def test_a_graph_that_is_nonsense_is_refused(tmp_path: Path) -> None:
    model = make_network()
    model.graph.node.append(helper.make_node("Transpose", ["weights"], ["t"], perm=[7, 8]))
    onnx.save(model, str(tmp_path / "given.onnx"))
    with pytest.raises(CheckpointMismatch, match="damaged"):
        read_published(tmp_path / "given.onnx")
