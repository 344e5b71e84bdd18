"""Widths of the parts around the backbone, as plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BiRefNetConfig:
    """What every published checkpoint has in common; only tests use other values.

    Attributes:
        inner_width: Channels inside each decoder block and source-reference block.
        branch_width: Channels of each branch of the deformable pyramid.
        gate_width: Channels of the gradient attention.
        source_share: A source reference gets one channel for so many of the feature map it joins.

    Source:
        ZhengPeng7/BiRefNet@25cb930 ``config.py``, the default graph flags.
    """

    inner_width: int = 64
    branch_width: int = 256
    gate_width: int = 16
    source_share: int = 8
