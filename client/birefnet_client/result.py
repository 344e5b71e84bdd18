"""What was made of a picture."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from birefnet_client.files import write_whole
from birefnet_client.models import ProcessingInfo, SubjectBox

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

SUFFIXES: Mapping[str, str] = {
    "image/png": ".png",
    "image/webp": ".webp",
    "image/jpeg": ".jpg",
    "image/avif": ".avif",
    "application/zip": ".zip",
}
_SAME = {".jpeg": ".jpg", ".jpe": ".jpg"}


@dataclass(frozen=True)
class CutoutInfo:
    """How something was made; None is what nobody told.

    Attributes:
        original_size: Width and height of the upright source.
        output_size: Width and height of what was made.
        model: The model that made the matte.
        engine: What ran it, and its precision.
        took_ms: Milliseconds the service took.
        subject_found: Whether anything was found to be the subject.
        subject_box: Where the subject is in what was made.
        applied: Options that were on.
        request_id: What the operator finds the request by.
    """

    original_size: tuple[int, int] | None = None
    output_size: tuple[int, int] | None = None
    model: str | None = None
    engine: str | None = None
    took_ms: float | None = None
    subject_found: bool | None = None
    subject_box: SubjectBox | None = None
    applied: tuple[str, ...] | None = None
    request_id: str = ""


@dataclass(frozen=True)
class Cutout:
    """A file that was made: a cutout, a mask, a composite, or a ZIP of parts.

    Attributes:
        data: Its bytes, as they came.
        media_type: Such as `image/png`.
        info: How it was made.
    """

    data: bytes
    media_type: str
    info: CutoutInfo

    def __repr__(self) -> str:
        """Without the bytes."""
        return f"Cutout({self.media_type}, {len(self.data)} bytes, {self.info})"

    @property
    def suffix(self) -> str:
        """Of a name for the file, with its dot."""
        return SUFFIXES.get(self.media_type, ".bin")

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the file, whole or not at all; what is there is replaced.

        Args:
            path: Its name; without a suffix it gets one.

        Returns:
            The name it has.

        Raises:
            ValueError: If the suffix belongs to another format.
            OSError: If it cannot be written.
        """
        target = Path(path)
        if not target.suffix:
            target = target.with_suffix(self.suffix)
        suffix = target.suffix.lower()
        if _SAME.get(suffix, suffix) != self.suffix:
            raise ValueError(
                f"{target.name}: this is {self.media_type}, so its name ends in {self.suffix}; "
                "another format is asked for with the option format"
            )
        write_whole(target, self.data)
        return target

    def image(self) -> Image:
        """As a Pillow image; needs Pillow.

        Raises:
            ValueError: If it is a ZIP.
        """
        if self.media_type == "application/zip":
            raise ValueError("a ZIP of parts is no picture; read it with zipfile")
        opened: Image = _need("PIL.Image").open(io.BytesIO(self.data))
        opened.load()
        return opened

    def array(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Pixels ``[H, W, C]`` or, of a mask, ``[H, W]``, uint8; needs Pillow and NumPy."""
        made: np.ndarray[Any, np.dtype[np.uint8]] = _need("numpy").asarray(self.image())
        return made

    def alpha(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Opacity ``[H, W]`` uint8: of a cutout its alpha, of a mask the mask.

        Raises:
            ValueError: If it has none, as a composite.
        """
        pixels = self.array()
        if pixels.ndim == 2:
            return pixels
        if pixels.shape[2] in (2, 4):
            alpha: np.ndarray[Any, np.dtype[np.uint8]] = pixels[..., -1]
            return alpha
        raise ValueError("a picture without transparency has no alpha; ask for output='mask'")


def _need(module: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            f"{missing.name} is not installed; run: pip install 'birefnet-client[pictures]'",
            name=missing.name,
        ) from missing


def info_of_headers(headers: Mapping[str, str]) -> CutoutInfo:
    """How a file was made, from the headers it came with."""
    found, applied = headers.get("x-subject-found"), headers.get("x-applied")
    return CutoutInfo(
        original_size=_size(headers.get("x-original-size")),
        output_size=_size(headers.get("x-output-size")),
        model=headers.get("x-model-version"),
        engine=headers.get("x-engine"),
        took_ms=_number(headers.get("x-processing-time-ms")),
        subject_found=None if found is None else found == "true",
        subject_box=_box(headers.get("x-subject-box")),
        applied=None if applied is None else tuple(filter(None, applied.split(", "))),
        request_id=headers.get("x-request-id", ""),
    )


def info_of_processing(told: ProcessingInfo, request_id: str = "") -> CutoutInfo:
    """How a file was made, from what JSON tells of it."""
    return CutoutInfo(
        original_size=_size(told.original_size),
        output_size=_size(told.output_size),
        model=told.model_version,
        engine=told.engine,
        took_ms=told.processing_time_ms,
        subject_found=told.subject_found,
        subject_box=told.subject_box,
        applied=tuple(told.applied),
        request_id=request_id,
    )


def _size(text: str | None) -> tuple[int, int] | None:
    width, _, height = (text or "").partition("x")
    return (int(width), int(height)) if width.isdecimal() and height.isdecimal() else None


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


def _box(text: str | None) -> SubjectBox | None:
    sides = (text or "").split(",")
    if len(sides) != 4 or not all(side.strip().isdecimal() for side in sides):
        return None
    left, top, width, height = map(int, sides)
    return SubjectBox(left=left, top=top, width=width, height=height)
