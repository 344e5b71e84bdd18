"""Chooses the device and the precision PyTorch runs in, from what was asked for."""

from __future__ import annotations

from typing import Literal

import torch

from models.engine import EngineConfig
from models.errors import EngineIncompatible, EngineUnavailable
from models.spec import Precision

# Half precision keeps three more bits than bfloat16 at the same speed. A CPU has kernels for
# bfloat16 too, but is slower with them: only for who insists.
_BEST_FIRST = {
    "cuda": (Precision.F16, Precision.BF16, Precision.F32),
    "cpu": (Precision.F32, Precision.BF16),
}


def choose_device(config: EngineConfig) -> torch.device:
    """The device asked for; with `auto` CUDA where it is."""
    there = torch.cuda.is_available()
    if config.device == "cuda" and not there:
        raise EngineUnavailable(
            f"no CUDA device is here for PyTorch (torch {torch.__version__}, built for "
            f"{f'CUDA {torch.version.cuda}' if torch.version.cuda else 'CPUs only'})"
        )
    wanted: Literal["cuda", "cpu"] = "cuda" if there and config.device != "cpu" else "cpu"
    return torch.device(wanted)


def choose_precision(config: EngineConfig, device: torch.device) -> Precision:
    """The precision insisted on, else the device's best of those the model keeps its picture in."""
    available = [
        precision
        for precision in _BEST_FIRST[device.type]
        if precision is not Precision.BF16 or device.type == "cpu" or _has_bf16()
    ]
    if config.precision is not None:
        if config.precision not in available:
            raise EngineIncompatible(
                f"PyTorch has no {config.precision.value} here; there are: "
                f"{', '.join(precision.value for precision in available)}"
            )
        return config.precision
    return next(p for p in available if p in (*config.precisions, Precision.F32))


def _has_bf16() -> bool:
    """Whether the device multiplies bfloat16 itself (Ampere and later)."""
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))
