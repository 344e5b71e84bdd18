"""The seeded weights are the ones the goldens were recorded with, on any machine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.birefnet import build_birefnet
from models.birefnet.seeded import seed_weights, seeded_input

FINGERPRINTS = json.loads(
    (Path(__file__).parents[3] / "data/birefnet/weights_check.json").read_text()
)
HEAD = "decoder.conv_out1.0.weight"
# Not the sha256: the last bit of a normal deviate is up to the machine's mathematics library.
TOLERANCE = 1e-6


def make_seeded(backbone: str, **options: float) -> dict[str, Tensor]:
    with torch.device("meta"):
        network = build_birefnet(backbone)
    network.to_empty(device="cpu")
    seed_weights(network, **options)
    return network.state_dict()


@pytest.fixture(scope="module")
def light() -> dict[str, Tensor]:
    return make_seeded("pvt_v2_b0")


@pytest.mark.parametrize("backbone", ["swin_v1_t", "pvt_v2_b0", "resnet50"])
def test_the_weights_are_the_recorded_ones(backbone: str) -> None:
    tensors = make_seeded(backbone)
    expected = FINGERPRINTS[backbone]
    assert expected["first4"]
    for name, values in expected["first4"].items():
        np.testing.assert_allclose(tensors[name].flatten()[:4], values, rtol=0, atol=TOLERANCE)
    total = sum(tensor.double().sum().item() for tensor in tensors.values())
    assert total == pytest.approx(expected["sum_all_float64"], rel=1e-7)


def test_a_second_seeding_changes_nothing(light: dict[str, Tensor]) -> None:
    again = make_seeded("pvt_v2_b0")
    assert all(torch.equal(again[name], tensor) for name, tensor in light.items())


def test_the_head_scale_touches_the_last_convolution_only(light: dict[str, Tensor]) -> None:
    scaled = make_seeded("pvt_v2_b0", head_scale=4.0)
    torch.testing.assert_close(scaled.pop(HEAD), 4 * light[HEAD])
    assert all(torch.equal(tensor, light[name]) for name, tensor in scaled.items())


def test_a_half_precision_model_gets_the_same_weights_rounded(light: dict[str, Tensor]) -> None:
    network = build_birefnet("pvt_v2_b0").half()
    seed_weights(network)
    assert all(
        torch.equal(tensor, light[name].to(tensor.dtype))
        for name, tensor in network.state_dict().items()
    )


def test_a_model_without_memory_is_refused() -> None:
    with torch.device("meta"):
        layer = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="meta"):
        seed_weights(layer)


def test_a_tensor_no_rule_covers_is_refused() -> None:
    layer = nn.Module()
    layer.register_parameter("temperature", nn.Parameter(torch.ones(1)))
    with pytest.raises(ValueError, match="temperature"):
        seed_weights(layer)


def test_the_first_picture_is_the_recorded_one_in_any_batch() -> None:
    two = seeded_input((2, 3, 32, 64))
    assert two.dtype == np.float32
    assert two.shape == (2, 3, 32, 64)
    np.testing.assert_array_equal(two[:1], seeded_input((1, 3, 32, 64)))
    expected = FINGERPRINTS["input_first4"]
    np.testing.assert_allclose(two.flatten()[:4], expected, rtol=0, atol=TOLERANCE)
