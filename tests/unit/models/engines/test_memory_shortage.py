"""What CUDA says when memory runs out, and what it says that only sounds like it."""

from __future__ import annotations

import pytest
import torch

from models.engines.pytorch.memory import memory_shortage

MIB = 1 << 20
PLENTY = 4096 * MIB
# As torch 2.13 words it.
OUT_OF_MEMORY = torch.OutOfMemoryError(
    "CUDA out of memory. Tried to allocate 402.00 MiB. GPU 0 has a total capacity of 14.56 GiB of "
    "which 150.81 MiB is free. Including non-PyTorch memory, this process has 14.41 GiB memory in "
    "use. Of the allocated memory 13.90 GiB is allocated by PyTorch, and 372.53 MiB is reserved by "
    "PyTorch but unallocated."
)


def test_what_was_needed_is_what_was_taken_and_what_was_asked_for() -> None:
    shortage = memory_shortage(OUT_OF_MEMORY, taken=1000 * MIB, free=150 * MIB)
    assert shortage is not None
    assert shortage.fields == {
        "gpu_memory_required_mb": 1402,
        "gpu_memory_available_mb": 1150,
    }
    assert str(shortage) == "1402 MB are needed, 1150 MB are free"


@pytest.mark.parametrize(
    ("asked", "required"),
    [("2.50 GiB", 2570), ("20.00 KiB", 11), ("512 bytes", 11)],  # more than was free, at least
)
def test_sizes_are_read_in_every_unit(asked: str, required: int) -> None:
    failure = torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {asked}. GPU 0 has")
    shortage = memory_shortage(failure, taken=10 * MIB, free=0)
    assert shortage is not None
    assert shortage.fields["gpu_memory_required_mb"] == required


@pytest.mark.parametrize("free", [0, 150 * MIB, PLENTY])
@pytest.mark.parametrize("words", ["CUBLAS_STATUS_ALLOC_FAILED", "CUDA error: out of memory"])
def test_more_is_needed_than_was_available_whatever_was_free(words: str, free: int) -> None:
    shortage = memory_shortage(RuntimeError(words), taken=0, free=free)
    assert shortage is not None
    fields = shortage.fields
    assert fields["gpu_memory_required_mb"] > fields["gpu_memory_available_mb"]


def test_a_lack_of_memory_is_found_behind_what_it_led_to() -> None:
    led_to = RuntimeError("CUDA error: operation failed due to a previous error during capture")
    led_to.__context__ = OUT_OF_MEMORY
    assert memory_shortage(led_to, taken=0, free=0) == memory_shortage(
        OUT_OF_MEMORY, taken=0, free=0
    )


@pytest.mark.parametrize(
    "words",
    [
        "FIND was unable to find an engine to execute this computation",
        "GET was unable to find an engine to execute this computation",
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
    ],
)
def test_words_for_many_things_mean_memory_where_little_is_free(words: str) -> None:
    assert memory_shortage(RuntimeError(words), taken=0, free=PLENTY) is None
    assert memory_shortage(RuntimeError(words), taken=0, free=100 * MIB) is not None


def test_anything_else_is_no_lack_of_memory() -> None:
    assert memory_shortage(RuntimeError("CUDA error: device-side assert"), taken=0, free=0) is None
