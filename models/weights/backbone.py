"""Recognises the backbone of a checkpoint by the shapes of its tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping

from models.errors import CheckpointMismatch
from models.weights.arrays import Shape

# By width of the first stage, blocks in the third, and window.
_SWIN = {
    (96, 6, 7): "swin_v1_t",
    (96, 18, 7): "swin_v1_s",
    (128, 18, 12): "swin_v1_b",
    (192, 18, 12): "swin_v1_l",
}
# By width of the first stage and blocks in each.
_PVT = {
    (32, (2, 2, 2, 2)): "pvt_v2_b0",
    (64, (2, 2, 2, 2)): "pvt_v2_b1",
    (64, (3, 4, 6, 3)): "pvt_v2_b2",
    (64, (3, 6, 40, 3)): "pvt_v2_b5",
}
_RESNET50_BLOCKS = 6  # in its third stage


def backbone_of(state: Mapping[str, Shape], name: str = "the file") -> str:
    """Recognise the backbone by the shapes of its tensors; nothing else in a checkpoint names it.

    Args:
        state: Shapes by key.
        name: What to call the file in the message.

    Returns:
        A key of `BACKBONES`.

    Raises:
        CheckpointMismatch: If it has none of them.
    """
    found = _swin(state) or _pvt(state) or _convolutional(state)
    if found is not None:
        return found
    if any(key.startswith("bb.model.") for key in state):
        raise CheckpointMismatch(
            f"{name} has a DINOv3 backbone, which this product does not have: no weights were "
            "published for it"
        )
    if any(key.startswith("bb.") for key in state):
        raise CheckpointMismatch(f"{name} has a backbone of another width or depth than the known")
    keys = ", ".join(list(state)[:3])
    raise CheckpointMismatch(f"{name} is no BiRefNet: its {len(state)} tensors begin with {keys}")


def _blocks(state: Mapping[str, Shape], prefix: str) -> int:
    """How many numbered children stand behind a prefix."""
    pattern = re.compile(re.escape(prefix) + r"(\d+)\.")
    return len({match[1] for key in state if (match := pattern.match(key))})


def _swin(state: Mapping[str, Shape]) -> str | None:
    embed = state.get("bb.patch_embed.proj.weight", ())
    table = state.get("bb.layers.0.blocks.0.attn.relative_position_bias_table", ())
    if not embed or not table:
        return None
    window = (round(table[0] ** 0.5) + 1) // 2  # the table has (2 window - 1)^2 rows
    return _SWIN.get((embed[0], _blocks(state, "bb.layers.2.blocks."), window))


def _pvt(state: Mapping[str, Shape]) -> str | None:
    embed = state.get("bb.patch_embed1.proj.weight", ())
    if not embed:
        return None
    depths = tuple(_blocks(state, f"bb.block{stage}.") for stage in (1, 2, 3, 4))
    return _PVT.get((embed[0], depths))  # type: ignore[arg-type]  # four of them


def _convolutional(state: Mapping[str, Shape]) -> str | None:
    first = state.get("bb.conv1.0.weight", ())
    if first == (64, 3, 7, 7):
        right = (
            "bb.conv1.4.0.conv3.weight" in state and _blocks(state, "bb.conv3.") == _RESNET50_BLOCKS
        )
        return "resnet50" if right else None
    if first == (64, 3, 3, 3):
        return "vgg16bn" if "bb.conv1.1.running_mean" in state else "vgg16"
    return None
