"""How much memory was missing when CUDA failed, and how much a device has."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from models.errors import Shortage

_MIB = 1024 * 1024
_UNITS = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_TRIED = re.compile(rf"Tried to allocate ([\d.]+) ({'|'.join(_UNITS)})")
# cuBLAS and cuDNN have words of their own, some of which may mean anything else as well.
_CERTAIN = ("out of memory", "ALLOC_FAILED")
_WHERE_LITTLE_IS_FREE = ("unable to find an engine", "CUBLAS_STATUS_NOT_INITIALIZED")
_LITTLE = 256 * _MIB


def memory_shortage(failure: BaseException, taken: int, free: int) -> Shortage | None:
    """Whether work failed for want of memory, perhaps while a graph was recorded.

    Args:
        failure: What was raised, with its causes.
        taken: Bytes the work had at most, on top of what was held before it.
        free: Bytes the device had left, or the process was still allowed.

    Returns:
        How much was missing, or None if something else went wrong.
    """
    texts = [str(cause) for cause in _causes(failure)]
    words = _CERTAIN + (_WHERE_LITTLE_IS_FREE if free < _LITTLE else ())
    if not any(word in text for text in texts for word in words):
        return None
    sizes = [_TRIED.search(text) for text in texts]
    tried = max((int(float(size[1]) * _UNITS[size[2]]) for size in sizes if size), default=0)
    # What is free may be in pieces too small, and memory is handed out in larger ones.
    return Shortage(taken + max(tried, free + 1), taken + free)


def _causes(failure: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = failure
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def free_memory(device: torch.device) -> int:
    """Bytes the driver has left, of those this process is still allowed."""
    free, total = torch.cuda.mem_get_info(device)
    allowed = int(torch.cuda.get_per_process_memory_fraction(device) * total)
    return max(0, min(free, allowed - torch.cuda.memory_reserved(device)))


def usable_memory(device: torch.device) -> int | None:
    """Bytes work could take: free ones and PyTorch's unused reserve; None of a broken device."""
    try:
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return free_memory(device) + unused
    except RuntimeError:
        return None
