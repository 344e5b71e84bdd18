"""Folds a network: what its weights alone decide is computed once, not in every pass.

Its keys are then no longer those of a checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from models.birefnet.deform_conv import DeformableConv2d

#: Which convolution a norm stands behind, by their names; in a sequence it is the layer before.
_CONVOLUTIONS = {
    "bn": "atrous_conv.regular_conv",
    "bn1": "conv1",
    "bn2": "conv2",
    "bn3": "conv3",
    "bn_in": "conv_in",
    "bn_out": "conv_out",
}


def fold(network: nn.Module) -> None:
    """Fold every batch norm into the convolution before it, and join what looks at the same input.

    Args:
        network: The network or a part of it, in eval mode; changed in place, its tensors are not.
    """
    for module in network.modules():
        if isinstance(module, DeformableConv2d):
            module.join_predictors()
    for parent, name, convolution, norm in list(norms(network)):
        _fold_into(convolution, norm)
        setattr(parent, name, nn.Identity())


def norms(network: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Conv2d, nn.BatchNorm2d]]:
    """Every batch norm: its parent, its name there, the convolution before it, and itself."""
    for module in network.modules():
        for name, norm in module.named_children():
            if isinstance(norm, nn.BatchNorm2d):
                yield module, name, _convolution_before(name, module), norm


def _convolution_before(name: str, parent: nn.Module) -> nn.Conv2d:
    if isinstance(parent, nn.Sequential):
        layers = dict(parent.named_children())
        convolution = list(layers.values())[list(layers).index(name) - 1]
    else:
        convolution = parent.get_submodule(_CONVOLUTIONS[name])
    assert isinstance(convolution, nn.Conv2d)  # noqa: S101  for the type checker
    return convolution


def _fold_into(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None  # noqa: S101, PT018  likewise
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, mean, variance, norm.eps, norm.weight, norm.bias
    )
