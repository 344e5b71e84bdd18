"""Puts a float32 network into 16 bits, except for the parts that need more.

Two of them are made here: batch norms, folded while they are float32, since a running variance may
lie beyond half precision; and the end of the decoder, whose logits become alpha. The others compute
in float32 whatever they are given: where to sample and how much of it
(`models.birefnet.deform_conv`), the mean of a map (`models.birefnet.aspp`) and the sigmoid
(`models.birefnet.pictures`).

Layer norms and softmaxes are no islands: PyTorch's kernels, and ONNX's LayerNormalization by its
`stash_type`, take 16 bits and compute in 32.
"""

from __future__ import annotations

import torch
from torch import nn

from models.birefnet.folding import fold
from models.birefnet.network import BiRefNet
from models.errors import CheckpointError

#: All that `Decoder._logits` computes with.
_IN_F32 = ("decoder.conv_out1.", "decoder.ipt_blk1.")


def to_half(network: BiRefNet, dtype: torch.dtype = torch.float16) -> None:
    """Cast the weights, in place; pictures still come in float32, and logits leave in it.

    Args:
        network: The network in float32; its modules are changed, its tensors are not.
        dtype: What to compute in: float16 or bfloat16.

    Raises:
        CheckpointError: If a weight is too large.
    """
    fold(network)
    for name, weight in list(network.named_parameters()):
        if name.startswith(_IN_F32):
            continue
        cast = weight.detach().to(dtype)
        if not cast.isfinite().all():
            raise CheckpointError(f"{name} has values that {dtype} cannot hold")
        parent, _, key = name.rpartition(".")
        setattr(network.get_submodule(parent), key, nn.Parameter(cast, requires_grad=False))
