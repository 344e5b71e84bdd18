"""In 16 bits a network computes the same but for rounding, and what would not is refused."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from models.birefnet.network import BiRefNet
from models.birefnet.precision import to_half
from models.birefnet.seeded import seeded_input
from models.errors import CheckpointError
from tests.support.birefnet import make_tiny_birefnet

HALVES = {torch.float16: 0.01, torch.bfloat16: 0.1}


def logits_of(network: BiRefNet) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = network(torch.from_numpy(seeded_input((2, 3, 64, 96))))
    return logits


@pytest.fixture(scope="module")
def expected() -> Tensor:
    return logits_of(make_tiny_birefnet())


@pytest.mark.parametrize("dtype", HALVES)
def test_logits_are_those_of_float32_and_leave_in_float32(
    dtype: torch.dtype, expected: Tensor
) -> None:
    network = make_tiny_birefnet()
    to_half(network, dtype)
    logits = logits_of(network)
    assert logits.dtype == torch.float32
    assert (logits - expected).abs().mean() < HALVES[dtype] * expected.std()


def test_all_weights_are_cast_but_those_of_the_last_convolutions() -> None:
    network = make_tiny_birefnet()
    to_half(network)
    exact = {n.rpartition(".")[0] for n, p in network.named_parameters() if p.dtype != torch.half}
    assert exact == {
        "decoder.conv_out1.0",
        "decoder.ipt_blk1.conv1",
        "decoder.ipt_blk1.conv_out",
    }
    assert not [name for name, b in network.named_buffers() if b.is_floating_point()]


def test_a_variance_beyond_half_precision_does_not_kill_its_channel(expected: Tensor) -> None:
    network = make_tiny_birefnet()
    block = network.decoder.decoder_block1
    for tensor in (block.conv_in.weight, block.conv_in.bias, block.bn_in.running_mean):
        tensor.mul_(300)
    block.bn_in.running_var.mul_(300**2)  # the same network, from 90000 on
    assert block.bn_in.running_var.min() > torch.finfo(torch.half).max
    to_half(network)
    assert (logits_of(network) - expected).abs().mean() < 0.01 * expected.std()


def test_a_weight_that_is_too_large_is_named() -> None:
    network = make_tiny_birefnet()
    network.bb.layers[0].blocks[0].mlp.fc1.weight[3, 1] = 1e5
    with pytest.raises(CheckpointError, match=r"bb\.layers\.0\.blocks\.0\.mlp\.fc1\.weight"):
        to_half(network)


def test_the_tensors_of_the_network_stay_as_they_were() -> None:
    network = make_tiny_birefnet()
    kept = network.state_dict()
    before = copy.deepcopy(kept)
    to_half(network)
    assert all(torch.equal(kept[name], before[name]) for name in before)
