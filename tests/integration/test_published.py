"""A published graph is registered as what its weights make, or as it is if that is not certain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, numpy_helper

from models.artifacts import ModelFiles
from models.birefnet import BiRefNet, build_birefnet
from models.birefnet.seeded import seed_weights
from models.catalog import CUSTOM_NAME, custom_birefnet, find
from models.engine import EngineConfig, open_engine
from models.errors import CheckpointError, CheckpointMismatch
from models.export.graphs import export
from models.export.published import difference, keep_published
from models.store.register import identify
from models.store.registered import resolve_file
from scripts.register_model import main as register_model
from tests.support.fake_machine import model_store
from tests.support.published import SIDE, layers_only, random_state, unknown_birefnet
from tests.support.torchscript import export_published

SPEC = custom_birefnet("")
LIGHT, DARK = 240, 20


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    with model_store(tmp_path / "home"):
        yield tmp_path / "home"


def pictures() -> np.ndarray:
    batch = np.full((2, SIDE, SIDE, 3), DARK, np.uint8)
    batch[0, :300], batch[1, :, :500] = LIGHT, LIGHT
    return batch


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_graph_that_is_kept_takes_pictures_one_by_one(engine: str, tmp_path: Path) -> None:
    published = unknown_birefnet().save(tmp_path / "given.onnx")
    onnx.save(keep_published(published, SPEC), str(tmp_path / "graph.onnx"))
    config = EngineConfig(height=SIDE, width=SIDE, max_batch=2)
    opened = open_engine(engine, ModelFiles.within(tmp_path), config)
    alpha = opened.predict(pictures())
    opened.close()
    assert alpha.shape == (2, SIDE, SIDE)
    assert (alpha[0, :300] > 250).all()
    assert (alpha[0, 300:] < 5).all()
    assert (alpha[1, :, :500] > 250).all()
    assert (alpha[1, :, 500:] < 5).all()


def test_opacity_is_not_put_through_a_sigmoid_again(tmp_path: Path) -> None:
    mattes = []
    for sigmoid in (False, True):
        published = unknown_birefnet(sigmoid=sigmoid).save(tmp_path / "given.onnx")
        onnx.save(keep_published(published, SPEC), str(tmp_path / "graph.onnx"))
        session = ort.InferenceSession(str(tmp_path / "graph.onnx"))
        mattes.append(session.run(["alpha"], {"image": pictures()})[0])
    np.testing.assert_array_equal(*mattes)


def test_a_graph_in_float16_takes_and_gives_what_others_do(tmp_path: Path) -> None:
    model = onnx.load(unknown_birefnet().save(tmp_path / "given.onnx"))
    for tensor in model.graph.initializer:
        half = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    onnx.save(model, str(tmp_path / "given.onnx"))
    onnx.save(keep_published(tmp_path / "given.onnx", SPEC), str(tmp_path / "graph.onnx"))
    session = ort.InferenceSession(str(tmp_path / "graph.onnx"))
    alpha = session.run(["alpha"], {"image": pictures()})[0]
    assert (alpha[0, :300] > 250).all()
    assert (alpha[0, 300:] < 5).all()


def test_names_of_ours_in_the_graph_do_no_harm(tmp_path: Path) -> None:
    graph = unknown_birefnet().save(tmp_path / "given.onnx")
    model = onnx.load(graph)
    renamed = {"input_image": "image", "output_image": "alpha"}
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [renamed.get(name, name) for name in names]
    model.graph.input[0].name, model.graph.output[0].name = renamed.values()
    onnx.save(model, str(graph))
    onnx.save(keep_published(graph, SPEC), str(tmp_path / "graph.onnx"))
    session = ort.InferenceSession(str(tmp_path / "graph.onnx"))
    assert session.run(["alpha"], {"image": pictures()})[0][0, 0, 0] > 250


def test_a_graph_of_another_size_is_refused_by_name(tmp_path: Path) -> None:
    published = unknown_birefnet().save(tmp_path / "given.onnx")
    with pytest.raises(
        CheckpointMismatch,
        match=r"takes \[1, 3, 1024, 1024\], and BiRefNet-512 one picture \[1, 3, 5",
    ):
        keep_published(published, find("BiRefNet-512"))


def test_an_output_that_could_be_two_is_not_guessed_at(tmp_path: Path) -> None:
    model = onnx.load(unknown_birefnet().save(tmp_path / "given.onnx"))
    model.graph.output.append(model.graph.output[0])
    onnx.save(model, str(tmp_path / "given.onnx"))
    with pytest.raises(CheckpointMismatch, match="2 outputs that could be the matte"):
        keep_published(tmp_path / "given.onnx", SPEC)


def test_a_graph_with_a_loop_is_refused(tmp_path: Path) -> None:
    published = unknown_birefnet().save(tmp_path / "given.onnx")
    onnx.save(keep_published(published, SPEC), str(tmp_path / "loop.onnx"))
    model = onnx.load(tmp_path / "loop.onnx")
    given = onnx.load(published)
    given.graph.node.extend(model.graph.node)
    onnx.save(given, str(published))
    with pytest.raises(CheckpointMismatch, match="has loops or branches"):
        keep_published(published, SPEC)


def test_graphs_that_differ_are_told_apart_and_equal_ones_are_not(tmp_path: Path) -> None:
    published = unknown_birefnet().save(tmp_path / "given.onnx")
    onnx.save(keep_published(published, SPEC), str(tmp_path / "one.onnx"))
    graph = unknown_birefnet()
    graph.tensors = {name: 1.2 * array for name, array in graph.tensors.items()}
    other = graph.save(tmp_path / "other.onnx")
    onnx.save(keep_published(other, SPEC), str(tmp_path / "two.onnx"))
    one, two = tmp_path / "one.onnx", tmp_path / "two.onnx"
    assert difference(one, one, SPEC, half=False) is None
    assert "its own alpha differs by" in str(difference(two, one, SPEC, half=False))
    with pytest.raises(CheckpointError, match="does not run here"):
        difference(one, published, SPEC, half=False)


def test_what_cannot_be_recognised_is_registered_as_it_is_and_told(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    published = unknown_birefnet().save(tmp_path / "mine.onnx")
    assert register_model(["--from-file", str(published)]) == 0
    assert "mine.onnx is served as it was published, slower and on CPUs only" in caplog.text
    registered = resolve_file(published)
    assert registered is not None
    assert registered.spec.name == CUSTOM_NAME
    assert registered.files.checkpoint is None
    assert [file.name for file in registered.files.graph.parent.glob("*.onnx")] == ["graph.onnx"]


def test_a_file_of_a_published_name_is_that_model(tmp_path: Path) -> None:
    names = {
        "BiRefNet-general-epoch_244.onnx": "BiRefNet-general",
        "BiRefNet-general-bb_swin_v1_tiny-epoch_232.onnx": "BiRefNet-general-lite",
        "birefnet-portrait.onnx": "BiRefNet-portrait",
        "BiRefNet-HRSOD_DHU-epoch_115.onnx": "BiRefNet-HRSOD",
    }
    for name, model in names.items():
        assert identify(unknown_birefnet().save(tmp_path / name)).spec is find(model)
        assert find(name.removesuffix(".onnx")) is find(model)


def test_a_graph_whose_layers_fit_but_that_does_not_run_is_not_registered(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published = layers_only("pvt_v2_b0", random_state("pvt_v2_b0")).save(tmp_path / "given.onnx")
    with pytest.raises(CheckpointError, match="does not run here"):
        export(published, custom_birefnet("pvt_v2_b0"), tmp_path)
    assert register_model(["--from-file", str(published)]) == 1
    assert "does not run here" in capsys.readouterr().err
    assert resolve_file(published) is None


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_what_pytorch_exported_is_registered_as_our_graph(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The published graph has GridSample in 20 places, ours DeformConv; alpha agrees."""
    network = seeded("pvt_v2_b0")
    published = export_published(network, tmp_path / "mine.onnx")
    assert register_model(["--from-file", str(published)]) == 0
    assert "as it was published" not in caplog.text
    registered = resolve_file(published)
    assert registered is not None
    assert registered.files.checkpoint is not None
    operators = {node.op_type for node in onnx.load(registered.files.graph).graph.node}
    assert "DeformConv" in operators
    assert not operators & {"GridSample", "Scan"}


def seeded(backbone: str) -> BiRefNet:
    with torch.device("meta"):
        network = build_birefnet(backbone)
    network.to_empty(device="cpu")
    seed_weights(network, head_scale=4.0)
    return network.requires_grad_(False).eval()
