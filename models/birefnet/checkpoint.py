"""Loads a network from a checkpoint file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from models.birefnet.network import BiRefNet, build_birefnet
from models.spec import ModelSpec
from models.templates.check import read_birefnet
from models.weights.arrays import widened


def load_birefnet(file: Path, spec: ModelSpec | None = None) -> BiRefNet:
    """Load a checkpoint into the network it was trained in.

    Args:
        file: A `.safetensors` or `.pth` file; its content decides, not its name.
        spec: The model it is meant to be, whose backbone it must then have; None takes any.

    Returns:
        The network in float32 and eval mode, without gradients. Its weights may be mapped from the
        file, which must then stay as it is.

    Raises:
        CheckpointMismatch: If it is no checkpoint of this network or of that model; says what it is
            instead, and which keys are to blame.
    """
    found = read_birefnet(file, spec)
    with torch.device("meta"):  # no memory, no time for weights that are replaced at once
        network = build_birefnet(found.backbone)
    arrays = {key: np.require(widened(a), requirements="W") for key, a in found.tensors.items()}
    state = {key: torch.from_numpy(array) for key, array in arrays.items()}
    network.load_state_dict(state, strict=True, assign=True)
    return network.requires_grad_(False).eval()
