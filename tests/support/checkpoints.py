"""Checkpoints of the published shapes, in files of a few hundred kilobytes."""

from __future__ import annotations

import gzip
import json
import math
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from models.birefnet.backbones.swin_v1 import relative_position_index

KEY_LISTS = Path(__file__).parents[1] / "data/birefnet"


@cache
def key_list(backbone: str) -> list[tuple[str, tuple[int, ...], str]]:
    """Key, shape and dtype of every tensor of a published checkpoint, in its order."""
    content = json.loads(
        gzip.decompress((KEY_LISTS / f"state_dict_{backbone}.json.gz").read_bytes())
    )
    return [(key, tuple(shape), dtype) for key, shape, dtype in content["entries"]]


def make_state(backbone: str) -> dict[str, Tensor]:
    """Every tensor of a published checkpoint in its shape, over storage of one element.

    But for those that are the same in all of them.
    """
    return {
        key: relative_position_index(math.isqrt(shape[0]))
        if key.endswith("relative_position_index")
        else torch.zeros((), dtype=getattr(torch, dtype)).expand(shape)
        for key, shape, dtype in key_list(backbone)
    }


def write(state: object, folder: Path, name: str = "given.pth") -> Path:
    """Write a checkpoint as PyTorch does."""
    file = folder / name
    torch.save(state, file)
    return file
