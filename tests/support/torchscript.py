"""BiRefNets exported as the published graphs were: by PyTorch's older exporter, of official code.

That exporter has no deformable convolution. Here it samples with GridSample, and then convolves as
the public conversion does: samples side by side, and a stride of the kernel's size.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from types import MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.birefnet.aspp import DeformablePyramid
from models.birefnet.blocks import resize
from models.birefnet.decoder import Decoder
from models.birefnet.deform_conv import DeformableConv2d, deform_conv2d
from models.birefnet.network import BiRefNet

_OPSET = 17
_LIBRARY = torch.library.Library("published", "DEF")
_LIBRARY.define(
    "deform_conv2d(Tensor x, Tensor offset, Tensor share, Tensor weight, Tensor bias, "
    "int height, int width) -> Tensor"
)
_LIBRARY.impl(
    "deform_conv2d", lambda *inputs: deform_conv2d(*inputs[:5]), "CompositeExplicitAutograd"
)


def export_published(network: BiRefNet, file: Path, side: int = 1024) -> Path:
    """Write the graph of a network, whose modules are changed."""
    for module in network.modules():
        if isinstance(module, DeformableConv2d):
            module.forward = MethodType(_convolve, module)  # type: ignore[method-assign]
        elif isinstance(module, DeformablePyramid):
            module.forward = MethodType(_look_around, module)  # type: ignore[method-assign]
            module.global_avg_pool[0] = nn.AdaptiveAvgPool2d((1, 1))
        elif isinstance(module, Decoder):
            module._logits = MethodType(_logits, module)  # type: ignore[method-assign]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.register_custom_op_symbolic("published::deform_conv2d", _written, _OPSET)
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, side, side),),
            str(file),
            opset_version=_OPSET,
            input_names=["input_image"],
            output_names=["output_image"],
            dynamo=False,
        )
    return file


def _convolve(self: Any, x: Tensor) -> Tensor:
    share, kernel = 2.0 * torch.sigmoid(self.modulator_conv(x)), self.regular_conv.weight
    bias = torch.zeros(kernel.shape[0])
    out: Tensor = torch.ops.published.deform_conv2d(
        x, self.offset_conv(x), share, kernel, bias, *map(int, x.shape[2:])
    )
    return out


def _look_around(self: Any, x: Tensor) -> Tensor:
    branches = [branch(x) for branch in (self.aspp1, *self.aspp_deforms)]
    mean = functional.interpolate(
        self.global_avg_pool(x), size=x.shape[2:], mode="bilinear", align_corners=True
    )
    out: Tensor = self.bn1(self.conv1(torch.cat([*branches, mean], 1))).relu()
    return out


def _logits(self: Any, p1: Tensor, image: Tensor) -> Tensor:
    wide = resize(p1, *image.shape[-2:])
    out: Tensor = self.conv_out1(torch.cat([wide, self.ipt_blk1(image)], 1))
    return out


def _written(  # type: ignore[no-untyped-def]
    g: Any, x: Any, offset: Any, share: Any, weight: Any, bias: Any, height: Any, width: Any
):
    """The nodes of one deformable convolution."""
    h, w = (int(value.node().t("value")) for value in (height, width))
    channels, size = weight.type().sizes()[1:3]
    taps, pad = size * size, size // 2

    def constant(values: Any, kind: torch.dtype = torch.int64) -> Any:
        return g.op("Constant", value_t=torch.as_tensor(values, dtype=kind))

    def shaped(value: Any, *shape: int) -> Any:
        return g.op("Reshape", value, constant(shape))

    t = np.arange(taps)
    y = np.arange(h)[:, None] + (t // size - pad)[:, None, None] + np.zeros((1, 1, w))
    x0 = np.arange(w)[None] + (t % size - pad)[:, None, None] + np.zeros((1, h, 1))
    there = g.op("Add", shaped(offset, taps, 2, h, w), constant(np.stack([y, x0], 1), torch.float))
    scale = np.array([2 / (h - 1), 2 / (w - 1)]).reshape(1, 2, 1, 1)
    there = g.op("Mul", there, constant(scale, torch.float))
    there = g.op("Sub", there, constant(1.0, torch.float))
    there = g.op("Gather", there, constant([1, 0]), axis_i=1)  # x before y
    grid = shaped(g.op("Transpose", there, perm_i=[0, 2, 3, 1]), 1, taps * h, w, 2)
    samples = g.op("GridSample", x, grid, align_corners_i=1, mode_s="bilinear")
    samples = g.op("Mul", samples, shaped(share, 1, 1, taps * h, w))
    samples = shaped(samples, 1, channels, size, size, h, w)
    samples = g.op("Transpose", samples, perm_i=[0, 1, 4, 2, 5, 3])
    samples = shaped(samples, 1, channels, h * size, w * size)
    sides = [size, size]
    out = g.op("Conv", samples, weight, kernel_shape_i=sides, strides_i=sides)
    return g.op("Add", out, g.op("Unsqueeze", bias, constant([0, 2, 3])))
