"""Loads a network from a checkpoint file, or says in a sentence what the file is instead.

Files come from anywhere, so nothing in them is ever run: only tensors are read.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

import torch
from safetensors.torch import load_file
from torch import Tensor

from models.birefnet.mismatch import explain
from models.birefnet.network import BiRefNet, build_birefnet
from models.catalog import CATALOG
from models.errors import CheckpointMismatch
from models.file_format import FileFormat, format_of
from models.spec import BiRefNetNetwork, ModelSpec

StateDict = dict[str, Tensor]

# What distributed training and torch.compile put before each key.
_PREFIXES = ("module.", "_orig_mod.")
# Where training scripts keep the weights beside an optimiser and an epoch.
_CONTAINERS = ("state_dict", "model")

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
_SAFETENSORS_SUFFIX = ".safetensors"
_RESNET50_BLOCKS = 6  # in its third stage
# Twice as many as the largest has: a few bytes can claim a shape that no memory holds.
_MOST_NUMBERS = 1 << 29
_NEWER_PICKLE = re.compile(r"Unsupported operand 14[0-9]|Unsupported operand 15[01]")
_COUNTER = ".num_batches_tracked"


def load_birefnet(
    file: Path, spec: ModelSpec | None = None, file_format: FileFormat | None = None
) -> BiRefNet:
    """Load a checkpoint into the network it was trained in.

    Args:
        file: A `.safetensors` or `.pth` file; its content decides, not its name.
        spec: The model it is meant to be, whose backbone it must then have; None takes any.
        file_format: What `format_of` said of it; None asks.

    Returns:
        The network in float32 and eval mode, without gradients. Its weights may be mapped from the
        file, which must then stay as it is.

    Raises:
        CheckpointMismatch: If it is no checkpoint of this network or of that model; says what it is
            instead, and which keys are to blame.
    """
    state = read_state_dict(file, file_format)
    backbone = backbone_of(state, file.name)
    with torch.device("meta"):  # no memory, no time for weights that are replaced at once
        network = build_birefnet(backbone)
    expected = network.state_dict()
    state = _with_counters(expected, state)
    fault = explain(expected, state)
    if fault is not None:
        raise CheckpointMismatch(f"{file.name} has the backbone {backbone}, but {fault}")
    if spec is not None:
        _check_backbone(file, backbone, spec)
    state = {key: state[key].to(expected[key].dtype) for key in expected}
    network.load_state_dict(state, strict=True, assign=True)
    return network.requires_grad_(False).eval()


def read_state_dict(file: Path, file_format: FileFormat | None = None) -> StateDict:
    """Read the tensors of a checkpoint, and nothing but tensors.

    Args:
        file: A `.safetensors` or `.pth` file; its content decides, not its name.
        file_format: What `format_of` said of it; None asks.

    Returns:
        Tensors by the published keys, without the prefixes of training tools; floats as float32,
        integers as int64. Mapped from the file where its format allows.

    Raises:
        CheckpointMismatch: If the file is something else, cut short, or holds NaN or infinity.
    """
    file_format = file_format or format_of(file)
    try:
        return _read_tensors(file, file_format)
    except CheckpointMismatch:
        raise
    except pickle.UnpicklingError as refused:
        if _NEWER_PICKLE.search(str(refused)):
            raise CheckpointMismatch(
                f"{file.name} is pickled in a protocol that PyTorch does not read safely; save it "
                "again without `pickle_protocol`"
            ) from refused
        raise CheckpointMismatch(
            f"{file.name} holds Python objects beside its tensors, which are never loaded because "
            "they could run code; save `model.state_dict()` alone"
        ) from refused
    except Exception as broken:  # a damaged pickle raises whatever its bytes lead to
        raise CheckpointMismatch(
            f"{file.name} is damaged and cannot be read; fetch it again"
        ) from broken


def _read_tensors(file: Path, file_format: FileFormat) -> StateDict:
    tensors = _unwrap(_read(file, file_format), file)
    odd = next((key for key, tensor in tensors.items() if not _is_plain(tensor)), None)
    if odd is not None:
        raise CheckpointMismatch(f"{file.name} holds in {odd} no plain tensor of real numbers")
    if sum(tensor.numel() for tensor in tensors.values()) > _MOST_NUMBERS:
        raise CheckpointMismatch(f"{file.name} holds more numbers than any BiRefNet has")
    state = {_strip(key): _widen(tensor) for key, tensor in tensors.items()}
    infinite = next((key for key, tensor in state.items() if not _is_finite(tensor)), None)
    if infinite is not None:
        raise CheckpointMismatch(
            f"{file.name} holds NaN or infinity in {infinite}: a training that went wrong, or a "
            "float16 overflow"
        )
    return state


def backbone_of(state: Mapping[str, Tensor], name: str = "the file") -> str:
    """Recognise the backbone by the shapes of its tensors; nothing else in a checkpoint names it.

    Args:
        state: Tensors by key.
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


def _check_backbone(file: Path, backbone: str, spec: ModelSpec) -> None:
    """Refuse the checkpoint of a sibling, and name the sibling."""
    if not isinstance(spec.network, BiRefNetNetwork):
        raise CheckpointMismatch(f"{file.name} is a BiRefNet, not {spec.name}")
    if backbone == spec.network.backbone:
        return
    siblings = [
        other.name for other in CATALOG.values() if other.network == BiRefNetNetwork(backbone)
    ]
    hint = f": that is a file for {' or '.join(siblings)}" if siblings else ""
    raise CheckpointMismatch(
        f"{file.name} has the backbone {backbone}, and {spec.name} has {spec.network.backbone}"
        f"{hint}"
    )


def _read(file: Path, file_format: FileFormat) -> Any:
    """Whatever the file holds, opened by the format it is in."""
    if file_format is FileFormat.SAFETENSORS:
        return load_file(file)
    if file_format is FileFormat.ZIP and file.suffix != _SAFETENSORS_SUFFIX:
        with zipfile.ZipFile(file) as archive:  # mapped, packed bytes would be taken for numbers
            stored = all(item.compress_type == zipfile.ZIP_STORED for item in archive.infolist())
        return torch.load(file, map_location="cpu", weights_only=True, mmap=stored)
    # The format before PyTorch 1.6 cannot be mapped; of a stream torch does not judge by its name.
    with file.open("rb") as stream:
        return torch.load(stream, map_location="cpu", weights_only=True)


def _unwrap(content: Any, file: Path) -> StateDict:
    """The tensors themselves, out of what a training script may have wrapped them in."""
    if isinstance(content, Mapping):
        for candidate in (content, *(content.get(name) for name in _CONTAINERS)):
            if _is_state_dict(candidate):
                return dict(candidate)
    held = ", ".join(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
    raise CheckpointMismatch(f"{file.name} holds no dictionary of tensors but: {held[:200]}")


def _is_state_dict(candidate: Any) -> TypeGuard[Mapping[str, Tensor]]:
    return (
        isinstance(candidate, Mapping)
        and bool(candidate)
        and all(isinstance(key, str) for key in candidate)
        and all(isinstance(value, Tensor) for value in candidate.values())
    )


def _strip(key: str) -> str:
    """A key without the prefixes of training tools, however often they wrapped the network."""
    while key.startswith(_PREFIXES):
        for prefix in _PREFIXES:
            key = key.removeprefix(prefix)
    return key


def _is_plain(tensor: Tensor) -> bool:
    """Whether a tensor is nothing but numbers in memory."""
    return (
        tensor.device.type == "cpu"
        and tensor.layout is torch.strided
        and not (tensor.is_nested or tensor.is_quantized or tensor.is_complex())
    )


def _with_counters(expected: Mapping[str, Tensor], state: StateDict) -> StateDict:
    """Fill in the counters of batch norms that lack nothing else: only training reads them."""
    lacking = (
        key
        for key in expected
        if key.endswith(_COUNTER) and key.removesuffix(_COUNTER) + ".running_mean" in state
    )
    return {key: torch.tensor(0) for key in lacking} | state


def _widen(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor.long()


def _is_finite(tensor: Tensor) -> bool:
    """Whether no element is NaN or infinite; ten times as fast as asking each of them."""
    return not tensor.numel() or all(bool(end.isfinite()) for end in tensor.aminmax())


def _shape(state: Mapping[str, Tensor], key: str) -> tuple[int, ...]:
    return tuple(state[key].shape) if key in state else ()


def _blocks(state: Mapping[str, Tensor], prefix: str) -> int:
    """How many numbered children stand behind a prefix."""
    pattern = re.compile(re.escape(prefix) + r"(\d+)\.")
    return len({match[1] for key in state if (match := pattern.match(key))})


def _swin(state: Mapping[str, Tensor]) -> str | None:
    embed = _shape(state, "bb.patch_embed.proj.weight")
    table = _shape(state, "bb.layers.0.blocks.0.attn.relative_position_bias_table")
    if not embed or not table:
        return None
    window = (round(table[0] ** 0.5) + 1) // 2  # the table has (2 window - 1)^2 rows
    return _SWIN.get((embed[0], _blocks(state, "bb.layers.2.blocks."), window))


def _pvt(state: Mapping[str, Tensor]) -> str | None:
    embed = _shape(state, "bb.patch_embed1.proj.weight")
    if not embed:
        return None
    depths = tuple(_blocks(state, f"bb.block{stage}.") for stage in (1, 2, 3, 4))
    return _PVT.get((embed[0], depths))  # type: ignore[arg-type]  # four of them


def _convolutional(state: Mapping[str, Tensor]) -> str | None:
    first = _shape(state, "bb.conv1.0.weight")
    if first == (64, 3, 7, 7):
        right = (
            "bb.conv1.4.0.conv3.weight" in state and _blocks(state, "bb.conv3.") == _RESNET50_BLOCKS
        )
        return "resnet50" if right else None
    if first == (64, 3, 3, 3):
        return "vgg16bn" if "bb.conv1.1.running_mean" in state else "vgg16"
    return None
