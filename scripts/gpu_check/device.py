"""What the CUDA device is, and whether it still answers."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import torch

from scripts.measuring.gpu_driver import ask_driver


class DeviceBroken(Exception):
    """The device answers nothing any more in this process."""


def describe(command: str) -> dict[str, object]:
    """What the numbers belong to."""
    facts: dict[str, object] = {
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "device": "cpu",
    }
    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        facts |= {
            "device": card.name,
            "capability": f"{card.major}.{card.minor}",
            "multiprocessors": card.multi_processor_count,
            "memory_mib": card.total_memory // 2**20,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "driver": ask_driver("driver_version") or "unknown",
        }
    return facts


def require_device() -> None:
    """Raise unless the device still works after a failure."""
    if not torch.cuda.is_available():
        return
    try:
        torch.cuda.synchronize()
        torch.ones(1, device="cuda").sum().item()
    except RuntimeError as failure:
        raise DeviceBroken(str(failure)) from failure
