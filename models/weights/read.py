"""Reads a file of weights, or says in a sentence what it is instead.

Files come from anywhere, so nothing in them is ever run: only tensors are read. What is rare is
left to PyTorch, where that is installed: files from before its 1.6, archives packed again.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from models.errors import CheckpointMismatch, EngineUnavailable
from models.installs import torch_or_say_so
from models.weights.arrays import Array, is_finite
from models.weights.file_format import FileFormat, format_of
from models.weights.pth import ForeignObject, NeedsTorch, NewerPickle, read_pth
from models.weights.safetensors import read_safetensors

# What distributed training and torch.compile put before each key.
_PREFIXES = ("module.", "_orig_mod.")
# Where training scripts keep the weights beside an optimiser and an epoch.
_CONTAINERS = ("state_dict", "model")
# Twice as many as the largest has: a few bytes can claim a shape that no memory holds.
_MOST_NUMBERS = 1 << 29
_NEWER_PICKLE = re.compile(r"Unsupported operand 14[0-9]|Unsupported operand 15[01]")
_FOREIGN = (
    "holds Python objects beside its tensors, which are never loaded because they could run code; "
    "save `model.state_dict()` alone"
)
_NEWER = "is pickled in a protocol that is not read safely; save it again without `pickle_protocol`"


def read_weights(file: Path) -> dict[str, Array]:
    """Read the tensors of a checkpoint, and nothing but tensors.

    Args:
        file: A `.safetensors` or `.pth` file; its content decides, not its name.

    Returns:
        Arrays by the published keys, without the prefixes of training tools, of the types they were
        saved in. Mapped from the file, which must then stay as it is.

    Raises:
        CheckpointMismatch: If the file is something else, cut short, or holds NaN or infinity.
        EngineUnavailable: If it is one for PyTorch, and that is not installed.
    """
    file_format = format_of(file)
    try:
        arrays = _read(file, file_format)
        if sum(array.size for array in arrays.values()) > _MOST_NUMBERS:
            raise CheckpointMismatch(f"{file.name} holds more numbers than any BiRefNet has")
        weights = {_strip(key): array for key, array in arrays.items()}
        infinite = next((key for key, array in weights.items() if not is_finite(array)), None)
    except (CheckpointMismatch, EngineUnavailable):
        raise
    except NewerPickle as refused:
        raise CheckpointMismatch(f"{file.name} {_NEWER}") from refused
    except ForeignObject as refused:
        raise CheckpointMismatch(f"{file.name} {_FOREIGN}") from refused
    except Exception as broken:  # a damaged file raises whatever its bytes lead to
        raise CheckpointMismatch(
            f"{file.name} is damaged and cannot be read; fetch it again"
        ) from broken
    if infinite is not None:
        raise CheckpointMismatch(
            f"{file.name} holds NaN or infinity in {infinite}: a training that went wrong, or a "
            "float16 overflow"
        )
    return weights


def _read(file: Path, file_format: FileFormat) -> dict[str, Array]:
    """The tensors of a file, by the format it is in."""
    if file_format is FileFormat.SAFETENSORS:
        return _unwrap(read_safetensors(file), np.ndarray, file)
    if file_format is FileFormat.PICKLE:
        return _read_with_torch(file, "is in the format from before PyTorch 1.6")
    try:
        return _unwrap(read_pth(file), np.ndarray, file)
    except NeedsTorch as reason:
        return _read_with_torch(file, str(reason))


def _read_with_torch(file: Path, reason: str) -> dict[str, Array]:
    with torch_or_say_so(f"{file.name} {reason}, which only PyTorch reads"):
        import torch

    try:
        # Of a stream torch does not judge by its name.
        with file.open("rb") as stream:
            content = torch.load(stream, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as refused:
        newer = _NEWER_PICKLE.search(str(refused))
        raise (NewerPickle if newer else ForeignObject) from refused
    tensors = _unwrap(content, torch.Tensor, file)
    arrays = {}
    for key, tensor in tensors.items():
        if (
            tensor.device.type != "cpu"
            or tensor.layout is not torch.strided
            or tensor.is_nested
            or tensor.is_quantized
            or tensor.is_complex()
        ):
            raise CheckpointMismatch(f"{file.name} holds in {key} no plain tensor of real numbers")
        if tensor.dtype is torch.bfloat16:
            arrays[key] = tensor.detach().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
        else:
            arrays[key] = tensor.detach().numpy()
    return arrays


def _unwrap(content: Any, tensor: type, file: Path) -> dict[str, Any]:
    """The tensors themselves, out of what a training script may have wrapped them in."""
    if isinstance(content, Mapping):
        for candidate in (content, *(content.get(name) for name in _CONTAINERS)):
            if (
                isinstance(candidate, Mapping)
                and candidate
                and all(isinstance(key, str) for key in candidate)
                and all(isinstance(value, tensor) for value in candidate.values())
            ):
                return dict(candidate)
    held = ", ".join(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
    raise CheckpointMismatch(f"{file.name} holds no dictionary of tensors but: {held[:200]}")


def _strip(key: str) -> str:
    """A key without the prefixes of training tools, however often they wrapped the network."""
    while key.startswith(_PREFIXES):
        for prefix in _PREFIXES:
            key = key.removeprefix(prefix)
    return key
