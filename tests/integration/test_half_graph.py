"""What plans are built from: a checkpoint's half-precision graph, as its process writes it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto
from safetensors.torch import save_file

from models.birefnet import BiRefNet, build_birefnet
from models.birefnet.pictures import PictureMatting
from models.birefnet.seeded import seed_weights
from models.catalog import IMAGENET_MEAN, IMAGENET_STD
from models.export.half import main
from tests.support.checkpoints import make_state, write

HEIGHT, WIDTH = 64, 96  # not square, so that a swap shows
U8Array = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def network() -> BiRefNet:
    network = build_birefnet("pvt_v2_b0")
    seed_weights(network, head_scale=2.0)
    return network.requires_grad_(False).eval()


@pytest.fixture(scope="module")
def graph(network: BiRefNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("half")
    checkpoint, graph = folder / "weights.safetensors", folder / "graph.onnx"
    save_file(network.state_dict(), checkpoint)
    assert main([str(checkpoint), str(HEIGHT), str(WIDTH), str(graph)]) == 0
    return graph


@pytest.fixture(scope="module")
def model(graph: Path) -> onnx.ModelProto:
    return onnx.shape_inference.infer_shapes(onnx.load(str(graph)), strict_mode=True)


@pytest.fixture(scope="module")
def batch() -> U8Array:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    disc = (y - 30) ** 2 + (x - 50) ** 2 < 400
    noise = np.random.default_rng(0).integers(0, 60, (2, HEIGHT, WIDTH, 3))
    return (noise + np.where(disc, 180, 40)[..., None]).astype(np.uint8)


@pytest.mark.slow
def test_pictures_go_in_as_bytes_and_mattes_come_out_as_bytes(model: onnx.ModelProto) -> None:
    def described(values: list[onnx.ValueInfoProto]) -> dict[str, tuple[int, list[object]]]:
        types = {value.name: value.type.tensor_type for value in values}
        return {
            name: (it.elem_type, [d.dim_param or d.dim_value for d in it.shape.dim])
            for name, it in types.items()
        }

    byte = TensorProto.UINT8
    assert described(model.graph.input) == {"image": (byte, ["N", HEIGHT, WIDTH, 3])}
    assert described(model.graph.output) == {
        "alpha": (byte, ["N", HEIGHT, WIDTH]),
        "sound": (byte, ["N"]),
    }


@pytest.mark.slow
def test_the_weights_are_halves_and_what_must_be_exact_is_not(model: onnx.ModelProto) -> None:
    weights = Counter[int]()
    for tensor in model.graph.initializer:
        weights[tensor.data_type] += int(np.prod(tensor.dims))
    assert weights[TensorProto.FLOAT16] > 50 * weights[TensorProto.FLOAT] > 0
    types = {v.name: v.type.tensor_type.elem_type for v in model.graph.value_info}
    computed = {
        (node.op_type, types.get(node.output[0])) for node in model.graph.node if node.output
    }
    assert ("Conv", TensorProto.FLOAT16) in computed
    assert ("Floor", TensorProto.FLOAT) in computed  # sampling positions
    assert ("Floor", TensorProto.FLOAT16) not in computed
    assert not {"DeformConv", "GridSample"} & {kind for kind, _ in computed}


@pytest.mark.slow
def test_it_computes_what_pytorch_computes_in_float32(
    graph: Path, network: BiRefNet, batch: U8Array
) -> None:
    with torch.inference_mode():
        matting = PictureMatting(network, IMAGENET_MEAN, IMAGENET_STD)
        expected = matting(torch.from_numpy(batch))[0].numpy()
    assert expected.std() > 10
    alpha, sound = ort.InferenceSession(graph).run(["alpha", "sound"], {"image": batch})
    off = np.abs(alpha.astype(int) - expected)
    assert off.mean() < 1
    assert off.max() <= 16
    assert sound.tolist() == [1, 1]


@pytest.mark.slow
def test_no_path_of_this_machine_is_written_into_it(graph: Path) -> None:
    content = graph.read_bytes()
    assert str(graph.parent).encode() not in content
    assert str(Path(__file__).parents[2]).encode() not in content


def failure(capsys: pytest.CaptureFixture[str]) -> str:
    """The reason on standard output, all there is."""
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert list(told) == ["failure"]
    return str(told["failure"])


@pytest.mark.parametrize("content", [b"no tensors", b""], ids=["something else", "empty"])
def test_a_file_that_is_no_checkpoint_is_told(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.pth").write_bytes(content)
    assert main([str(tmp_path / "mine.pth"), "64", "64", str(tmp_path / "graph.onnx")]) == 1
    assert "mine.pth" in failure(capsys)
    assert not (tmp_path / "graph.onnx").exists()


def test_a_checkpoint_of_another_network_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = write({"fc.weight": torch.ones(2, 2)}, tmp_path)
    assert main([str(checkpoint), "64", "64", str(tmp_path / "graph.onnx")]) == 1
    assert "is no BiRefNet" in failure(capsys)


def test_a_weight_beyond_the_range_of_halves_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = make_state("pvt_v2_b0")
    name = next(key for key in state if key.endswith("patch_embed1.proj.weight"))
    state[name] = torch.full(state[name].shape, 1e6)
    assert main([str(write(state, tmp_path)), "64", "64", str(tmp_path / "graph.onnx")]) == 1
    assert "float16" in failure(capsys)
    assert not (tmp_path / "graph.onnx").exists()
