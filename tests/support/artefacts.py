"""What takes long to make, made once for a whole run, in whichever lane asks for it first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock
from safetensors.torch import save_file

from models.artifacts import ModelFiles
from models.birefnet import BiRefNet, build_birefnet
from models.birefnet.seeded import seed_weights
from models.engines.trt.build import PlanBuilder, PlanRequest
from tests.support.fake_tensorrt import install_fake_tensorrt
from tests.support.plans import DEVICE

#: The smallest network there are published checkpoints of; not square, so that a swap shows.
BACKBONE, HEIGHT, WIDTH = "pvt_v2_b0", 128, 192
HEAD_SCALE = 3.0  # spreads alpha over most of its range


@dataclass(frozen=True)
class HalfExport:
    """A checkpoint, and the folder a `PlanBuilder` has exported its half-precision graph into.

    Attributes:
        checkpoint: Tensors of the smallest BiRefNet.
        cache: The maker's folder.
    """

    checkpoint: Path
    cache: Path

    @property
    def graph(self) -> Path:
        """The graph."""
        (graph,) = self.cache.rglob("*.onnx")
        return graph


def make_smallest_birefnet() -> BiRefNet:
    """The network of the checkpoint, always the same."""
    network = build_birefnet(BACKBONE)
    seed_weights(network, head_scale=HEAD_SCALE)
    return network.requires_grad_(False).eval()


def export_half(factory: pytest.TempPathFactory, lane: bool) -> HalfExport:
    """Export the network's half-precision graph; the plan beside it is a fake library's.

    Args:
        factory: Knows the folder of the run.
        lane: Whether this process is one of several of the run.
    """
    folder = made_once(factory, lane, "half-export", _export_half)
    return HalfExport(folder / "model.safetensors", folder / "cache")


def made_once(
    factory: pytest.TempPathFactory, lane: bool, name: str, make: Callable[[Path], None]
) -> Path:
    """Make what a folder holds, unless another lane of this run has.

    Args:
        factory: Knows the folder of the run.
        lane: Whether this process is one of several of the run.
        name: Of the folder.
        make: Fills it.

    Returns:
        The folder.
    """
    own = factory.getbasetemp()
    folder = (own.parent if lane else own) / name
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            unfinished = folder.with_suffix(".part")
            unfinished.mkdir(exist_ok=True)
            make(unfinished)
            unfinished.rename(folder)
    return folder


def _export_half(folder: Path) -> None:
    checkpoint = folder / "model.safetensors"
    save_file(make_smallest_birefnet().state_dict(), checkpoint)
    with pytest.MonkeyPatch.context() as patch:
        library = install_fake_tensorrt(patch, folder / "library")
        files = ModelFiles(checkpoint, checkpoint=checkpoint)
        PlanBuilder(folder / "cache").plan(PlanRequest(files, HEIGHT, WIDTH, library, DEVICE, (1,)))
