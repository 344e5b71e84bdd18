"""Fills a network with reproducible weights, for where there is no checkpoint.

A network with random weights says nothing about pictures, but everything about its own arithmetic:
tests compare it with recorded outputs, and speed does not depend on what the weights are. Every
value follows from the name it has in a checkpoint, so any machine with numpy makes the same ones.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from models.birefnet.backbones.swin_v1 import relative_position_index

_Float64Array = npt.NDArray[np.float64]
_HEAD = "decoder.conv_out1.0.weight"


@torch.no_grad()
def seed_weights(model: nn.Module, *, head_scale: float = 1.0) -> None:
    """Fill every parameter and buffer of a model, in place, from its name alone.

    Nothing of what was there stays: a model built on the meta device and moved with ``to_empty``
    is as good as one initialised by its layers, and quicker to make.

    Args:
        model: The network, or a part of it under the names it has there; on any real device, of
            any float dtype (values are rounded to float32 first, as a checkpoint would hold them).
        head_scale: Factor on the last convolution. At 1, logits have a standard deviation of about
            1.5 and alpha stays grey; 4 gives mattes with opaque and clear regions.

    Raises:
        ValueError: If the model is still on the meta device.
    """
    for name, tensor in model.state_dict().items():
        if tensor.is_meta:
            raise ValueError(f"{name} is on the meta device; call to_empty() first")
        tensor.copy_(_fill(name, tuple(tensor.shape), head_scale))


def seeded_input(shape: Sequence[int]) -> npt.NDArray[np.float32]:
    """Normalised pictures to run a seeded model on.

    Args:
        shape: ``[N, 3, H, W]``.

    Returns:
        Standard normal values of that shape; the first picture does not depend on N.
    """
    return _generator("input").standard_normal(tuple(shape)).astype(np.float32)


def _fill(name: str, shape: tuple[int, ...], head_scale: float) -> torch.Tensor:
    """What belongs under a checkpoint key."""
    kind = name.rpartition(".")[2]
    if kind == "num_batches_tracked":
        return torch.zeros(shape, dtype=torch.int64)
    if kind == "relative_position_index":
        return relative_position_index(math.isqrt(shape[0]))
    values = _values(name, kind, _generator(name).standard_normal(shape))
    if name == _HEAD:
        values *= head_scale
    return torch.from_numpy(values.astype(np.float32))


def _generator(name: str) -> np.random.Generator:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    return np.random.Generator(np.random.Philox(seed))


def _values(name: str, kind: str, z: _Float64Array) -> _Float64Array:
    """Shape standard normal ``z`` so that activations neither vanish nor explode."""
    if kind == "running_mean":
        return 0.1 * z
    if kind == "running_var":
        return 1 + 0.1 * np.abs(z)
    if kind == "relative_position_bias_table":
        return 0.5 * z
    if kind == "bias":
        return (0.5 if ".offset_conv." in name else 0.02) * z
    if kind != "weight":
        raise ValueError(f"no rule for a tensor called {name}")
    if z.ndim == 1:
        # The last norm of a residual branch: many of them add up.
        return (1 + 0.1 * z) * (0.25 if name.endswith(".bn3.weight") else 1)
    return _gain(name, z.ndim) * math.sqrt(1 / math.prod(z.shape[1:])) * z


def _gain(name: str, dimensions: int) -> float:
    """How much wider than its input a layer's output is; sqrt 2 makes up for the ReLU after it."""
    if ".offset_conv." in name:
        return 1.5  # displacements of one or two pixels
    if dimensions == 4 and ".downsample." not in name:
        return math.sqrt(2)
    return 1.0
