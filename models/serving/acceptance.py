"""Compares a new engine with the float32 reference on two photographs before it serves.

An engine can build, open and answer, and still be wrong: a kernel chosen badly, a value beyond half
precision's range, a plan of another network. So its mattes are compared before anybody gets one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from models.arrays import U8Array
from models.artifacts import GRAPH_VERSION, replacing
from models.engine import Engine, batch_sizes
from models.errors import EngineIncompatible, OutOfDeviceMemory

_PHOTOGRAPHS = Path(__file__).parent / "reference"
# Levels of 255. Half precision with float32 coordinates was off by 0.3 on average where every
# rounding reaches the end (seeded weights, PyTorch on a CPU); a wrong kernel is off by tens.
_MEAN_LIMIT = 2.0
# Of the worst pixel in a thousand: at an edge one pixel may turn over.
_FAR_LIMIT = 32.0
_FAR_SHARE = 0.999


@dataclass(frozen=True)
class AcceptanceReport:
    """How far an engine is from the reference, in levels of 255, at its worst batch size.

    Attributes:
        mean: Mean difference of alpha.
        far: Difference that one pixel in a thousand exceeds.
        worst: Largest difference.
    """

    mean: float
    far: float
    worst: float

    @property
    def passed(self) -> bool:
        """Whether the engine may serve."""
        return self.mean <= _MEAN_LIMIT and self.far <= _FAR_LIMIT

    def __str__(self) -> str:
        return (
            f"alpha differs from float32 by {self.mean:.2f} on average (limit {_MEAN_LIMIT:g}), "
            f"{self.far:.0f} at one pixel in a thousand (limit {_FAR_LIMIT:g}), "
            f"{self.worst:.0f} at most, of 255"
        )


def check_engine(engine: Engine, pictures: U8Array, reference: U8Array) -> AcceptanceReport:
    """Compare an engine's mattes with the reference's, at every batch size it has kernels for.

    Args:
        engine: The engine.
        pictures: Model inputs ``[N, H, W, 3]``, RGB.
        reference: Their mattes in float32 ``[N, H, W]``.

    Returns:
        How far they are.

    Raises:
        EngineIncompatible: If that is too far; says how far.
        InferenceFailed: If the engine fails, or a value left its range.
    """
    figures = [
        (difference.mean(), np.quantile(difference, _FAR_SHARE), difference.max())
        for difference in _differences(engine, pictures, reference)
    ]
    report = AcceptanceReport(*np.max(figures, axis=0).tolist())
    if not report.passed:
        raise EngineIncompatible(f"{engine.info.name} fails its reference pictures: {report}")
    return report


def _differences(
    engine: Engine, pictures: U8Array, reference: U8Array
) -> Iterator[npt.NDArray[np.float32]]:
    """How far each matte is off; every picture alone, then batches of them."""
    batches = [np.array([index]) for index in range(len(pictures))]
    batches += [np.arange(size) % len(pictures) for size in batch_sizes(engine.info.max_batch)[1:]]
    for batch in batches:
        try:
            mattes = engine.predict(pictures[batch])
        except OutOfDeviceMemory:
            if len(batch) == 1:
                raise
            return  # it will not be asked for more
        yield np.abs(mattes.astype(np.int16) - reference[batch]).astype(np.float32)


def reference_file(folder: Path, made_of: str, pictures: U8Array) -> Path:
    """Where the reference's mattes are kept.

    Args:
        folder: Folder for all of them.
        made_of: Hash of what the model is made of.
        pictures: The photographs as model inputs.
    """
    known = hashlib.sha256(pictures.tobytes()).hexdigest()
    return folder / f"{made_of[:32]}-g{GRAPH_VERSION}-{known[:16]}.npy"


def reference_pictures(height: int, width: int) -> U8Array:
    """The photographs as model inputs ``[2, H, W, 3]``, RGB."""
    files = sorted(_PHOTOGRAPHS.glob("*.jpg"))
    pictures = [cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR) for file in files]
    sized = [
        cv2.resize(picture[..., ::-1], (width, height), interpolation=cv2.INTER_LINEAR)
        for picture in pictures
        if picture is not None
    ]
    return np.stack(sized).astype(np.uint8)


def reference_mattes(
    pictures: U8Array, open_reference: Callable[[], Engine], kept: Path
) -> U8Array:
    """The reference's mattes; made once per model, since float32 on a CPU takes its time.

    Args:
        pictures: Model inputs ``[N, H, W, 3]``.
        open_reference: Opens the model in float32 on the CPU.
        kept: File they are kept in; see `reference_file`.

    Returns:
        Mattes ``[N, H, W]``.
    """
    with suppress(OSError, ValueError, EOFError):  # not there, or damaged: made anew
        known = np.load(kept, allow_pickle=False)
        if known.dtype == np.uint8 and known.shape == pictures.shape[:3]:
            return np.asarray(known, np.uint8)
    engine = open_reference()
    try:
        mattes = np.concatenate([engine.predict(picture[None]) for picture in pictures])
    finally:
        engine.close()
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with replacing(kept) as unfinished, unfinished.open("wb") as file:
        np.save(file, mattes)
    return mattes
