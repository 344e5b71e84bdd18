"""What rembg makes of pictures with the weights of one of our models."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from models.arrays import U8Array
from models.spec import ModelSpec
from scripts.command import Unusable
from scripts.measuring.child import Child
from scripts.rembg.environment import ENVIRONMENT, give_checkpoint

#: What rembg can run with the same weights.
MODELS = ("u2net", "u2netp")
_WORKER = Path(__file__).with_name("cutout_worker.py")


class RembgCutouts:
    """rembg's own ``remove()``, in a process of its own environment.

    Args:
        spec: The model, one of `MODELS`.
        weights: Folder with checkpoints; fetched into it if missing.
        python: A Python that has rembg.
    """

    label = "rembg"

    def __init__(self, spec: ModelSpec, weights: Path, python: Path) -> None:
        self._python = python
        self._folder = TemporaryDirectory(prefix="rembg-")
        home = Path(self._folder.name)
        give_checkpoint(spec, weights, home)
        command = ["/usr/bin/env", f"U2NET_HOME={home}", str(python), str(_WORKER), spec.name]
        self._child = Child(command, home / "log")

    def describe(self) -> dict[str, str]:
        """Versions of what does the work."""
        found = ENVIRONMENT.versions(self._python)
        return {name: f"{name} {number}" for name, number in found.items()}

    def cut_out(self, source: U8Array) -> U8Array:
        """What rembg makes of a picture by default: a cutout, straight RGBA ``[H, W, 4]``."""
        file = Path(self._folder.name, "picture.png")
        cv2.imwrite(str(file), source[..., ::-1])
        self._child.ask(str(file))
        bgra = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        if bgra is None:
            raise Unusable("rembg did not answer with a picture")
        return np.asarray(cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGBA), dtype=np.uint8)

    def close(self) -> None:
        """End the process and forget its files."""
        self._child.stop()
        self._folder.cleanup()
