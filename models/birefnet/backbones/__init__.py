"""Every backbone by the name the catalogue and the checkpoints use; a new one is one line here.

In: normalised pictures ``[N, 3, H, W]``. Out: feature maps at strides 4, 8, 16 and 32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from models.birefnet.backbones.base import Backbone
from models.birefnet.backbones.pvt_v2 import PvtConfig, PvtV2
from models.birefnet.backbones.resnet import ResNet, ResNetConfig
from models.birefnet.backbones.swin_v1 import SwinConfig, SwinV1
from models.birefnet.backbones.vgg import Vgg16, VggConfig

_PVT_WIDE = (64, 128, 320, 512)

#: Name -> builds that backbone with untrained weights.
BACKBONES: Mapping[str, Callable[[], Backbone]] = {
    "swin_v1_t": partial(SwinV1, SwinConfig(96, (2, 2, 6, 2), (3, 6, 12, 24), window=7)),
    "swin_v1_s": partial(SwinV1, SwinConfig(96, (2, 2, 18, 2), (3, 6, 12, 24), window=7)),
    "swin_v1_b": partial(SwinV1, SwinConfig(128, (2, 2, 18, 2), (4, 8, 16, 32), window=12)),
    "swin_v1_l": partial(SwinV1, SwinConfig(192, (2, 2, 18, 2), (6, 12, 24, 48), window=12)),
    "pvt_v2_b0": partial(PvtV2, PvtConfig((32, 64, 160, 256), (2, 2, 2, 2))),
    "pvt_v2_b1": partial(PvtV2, PvtConfig(_PVT_WIDE, (2, 2, 2, 2))),
    "pvt_v2_b2": partial(PvtV2, PvtConfig(_PVT_WIDE, (3, 4, 6, 3))),
    "pvt_v2_b5": partial(PvtV2, PvtConfig(_PVT_WIDE, (3, 6, 40, 3), mlp_ratios=(4, 4, 4, 4))),
    "resnet50": partial(ResNet, ResNetConfig(64, (3, 4, 6, 3))),
    "vgg16": partial(Vgg16, VggConfig(batch_norm=False)),
    "vgg16bn": partial(Vgg16, VggConfig(batch_norm=True)),
}
