"""Makes the small and the full answer of a picture that is kept; work for imaging threads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from models.arrays import U8Array
from models.matting.backdrop import fill_hidden
from models.matting.preprocess import fit
from service.imaging.encode import EncodedFile, encode_picture
from service.preview.asked import Asked, Shown
from service.preview.kept import SMALL_SIDE, UP_TO_COLOURS, Kept
from service.removal.background import Background
from service.removal.options import RemovalOptions
from service.removal.pipeline import FINISH, PREPARE, Removal, Step, refine, result_of, retouch, run
from service.removal.threads import StageClock

_QUALITY = 80
_FINISH_SMALL = FINISH[1 + len(UP_TO_COLOURS) : -1]
_FINISH_FULL = [Step(refine), Step(retouch), *FINISH[1:]]


def small_removal(kept: Kept, options: RemovalOptions) -> Removal:
    """The removal of the small picture, before anything of it is done."""
    header = replace(kept.header, height=kept.small.height, width=kept.small.width)
    options = small_options(options, kept.scale)
    removal = Removal(b"", header, options, kept.model.spec, keeps_source=True)
    removal.source, removal.alpha = kept.small, kept.alpha
    return removal


def full_removal(kept: Kept, options: RemovalOptions, behind: Background | None) -> Removal:
    """The removal of the whole picture, before anything of it is done."""
    return Removal(kept.data, kept.header, options, kept.model.spec, behind)


def make_small(
    kept: Kept, removal: Removal, asked: Asked, behind: Background | None, clock: StageClock
) -> Shown:
    """Do everything that comes after the network, at the small size.

    Raises:
        ImageError: If the background is no picture.
        ProcessingTimeout: If the time is up.
    """
    removal = kept.coloured(removal, asked.strokes, clock)
    if behind is not None and kept.background_id != asked.options.background_id:
        with clock.stage("background"):
            kept.background = _at_most(behind.decode(clock.check), 2 * SMALL_SIDE)
            kept.background_id = asked.options.background_id
    removal.background = kept.background if behind is not None else None
    run(_FINISH_SMALL, removal, clock)
    with clock.stage("encode"):
        files = _encode_quickly(removal.pixels[:], min(asked.options.quality, _QUALITY))
        removal.file = files[0]
    result = result_of(removal, kept.matte, clock.stages_ms)
    return Shown(asked.seq, "small", result, files)


def make_full(kept: Kept, removal: Removal, asked: Asked, clock: StageClock) -> Shown:
    """Decode the picture again, and do everything that comes after the network.

    Raises:
        ImageError: If the background is no picture.
        ProcessingTimeout: If the time is up.
    """
    removal.sketch = kept.sketch(asked.strokes, clock.check)
    run(PREPARE, removal, clock)
    removal.alpha = kept.matte.alpha
    run(_FINISH_FULL, removal, clock)
    stages_ms, kept.stages_ms = {**kept.stages_ms, **clock.stages_ms}, {}
    result = result_of(removal, kept.matte, stages_ms)
    return Shown(asked.seq, "full", result, (removal.file,))


def small_options(options: RemovalOptions, scale: float) -> RemovalOptions:
    """The options that make of the small picture what these make of the whole one.

    Lengths in pixels shrink with the picture.
    """
    changed: dict[str, Any] = {
        "shift_edge": options.shift_edge * scale,
        "feather": options.feather * scale,
    }
    if options.made == "parts":
        changed["output"] = "cutout"
    if not options.crop_margin.endswith("%"):
        margin = float(options.crop_margin.removesuffix("px")) * scale
        changed["crop_margin"] = f"{margin}px"
    if "x" in options.size:
        across, down = map(int, options.size.split("x"))
        shrunk = min(1.0, SMALL_SIDE / max(across, down))
        changed["size"] = f"{max(1, round(across * shrunk))}x{max(1, round(down * shrunk))}"
    return options.model_copy(update=changed)


def _encode_quickly(pixels: U8Array, quality: int) -> tuple[EncodedFile, ...]:
    """A JPEG of colours, and a PNG of their opacity where they have any; a mask is a PNG alone."""
    if pixels.ndim == 2:
        return (encode_picture(pixels, "png"),)
    if pixels.shape[2] == 3:
        return (encode_picture(pixels, "jpeg", quality),)
    colours = encode_picture(fill_hidden(pixels), "jpeg", quality)
    return colours, encode_picture(pixels[..., 3], "png")


def _at_most(pixels: U8Array, side: int) -> U8Array:
    height, width = pixels.shape[:2]
    scale = min(1.0, side / max(height, width))
    if scale == 1.0:
        return pixels
    return fit(pixels, max(1, round(height * scale)), max(1, round(width * scale)))
