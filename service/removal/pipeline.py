"""What is done to a picture before and after its matte: two lists of plain functions.

They need no server, no event loop and no clock but the one they are given, so that a test, a
benchmark, a task or a preview can run all of them, or some. A new option is a field of
`RemovalOptions` and a step here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from models.arrays import U8Array
from models.matting import preprocess
from models.matting.compositing import cutout
from models.matting.foreground import estimate_foreground
from models.matting.postprocess import combine_alpha, smooth_alpha
from models.matting.refine import refine_alpha
from models.spec import ModelSpec
from service.imaging import decode as decoding
from service.imaging.encode import encode_png
from service.imaging.guard import ImageHeader
from service.removal.options import RemovalOptions
from service.removal.threads import StageClock


@dataclass
class Removal:
    """One removal under way; each step reads what is there and adds what it makes.

    Attributes:
        data: The uploaded file.
        header: What the guard read of it.
        options: What the caller chose.
        spec: The model: its input size, and how its matte is refined.
        source: The picture, as a viewer sees it.
        model_input: What the network gets, ``[S, S, 3]`` uint8.
        alpha: The matte, uint8: the network's ``[S, S]``, from `refine` on ``[H, W]``.
        colours: The subject's own colours, ``[H, W, 3]`` uint8.
        rgba: The cutout ``[H, W, 4]`` uint8.
        file: The cutout as a PNG file.
    """

    data: bytes
    header: ImageHeader
    options: RemovalOptions
    spec: ModelSpec
    source: decoding.SourceImage = field(init=False)
    model_input: U8Array = field(init=False)
    alpha: U8Array = field(init=False)
    colours: U8Array = field(init=False)
    rgba: U8Array = field(init=False)
    file: bytes = field(init=False)


def decode(removal: Removal, clock: StageClock) -> None:
    """The file to pixels."""
    removal.source = decoding.decode(removal.data, removal.header, clock.check)


def fit(removal: Removal, _: StageClock) -> None:
    """The picture to the network's size."""
    size = removal.spec.input
    removal.source = removal.source.as_seen()
    removal.model_input = preprocess.fit(removal.source.pixels, size.height, size.width)


def refine(removal: Removal, _: StageClock) -> None:
    """The matte to the picture's size, edges on real edges."""
    pixels, refinement = removal.source.pixels, removal.spec.refinement
    removal.alpha = refine_alpha(removal.alpha, pixels, refinement)


def smooth(removal: Removal, _: StageClock) -> None:
    """The stair-steps out of the edge."""
    removal.alpha = smooth_alpha(removal.alpha)


def foreground(removal: Removal, _: StageClock) -> None:
    """The subject's own colours, nowhere more opaque than the picture was."""
    source = removal.source
    if source.alpha is not None:
        removal.alpha = combine_alpha(removal.alpha, source.alpha)
    colours = estimate_foreground(source.pixels, removal.alpha)
    removal.colours = source.with_own_colours(colours)


def compose(removal: Removal, _: StageClock) -> None:
    """Colours and matte to one array."""
    removal.rgba = cutout(removal.colours, removal.alpha)
    del removal.colours  # as large as the picture, and encoding is where most memory is taken


def encode(removal: Removal, _: StageClock) -> None:
    """The cutout to a file."""
    removal.file = encode_png(removal.rgba)


class Step(NamedTuple):
    """One step, a stage of the removal's times under its function's name.

    Attributes:
        work: What it does.
        when: Whether the caller's options ask for it.
    """

    work: Callable[[Removal, StageClock], None]
    when: Callable[[RemovalOptions], bool] = lambda options: True


PREPARE = [Step(decode), Step(fit)]
FINISH = [
    Step(refine),
    Step(smooth, when=lambda options: options.smoothing),
    Step(foreground),
    Step(compose),
    Step(encode),
]


def run(steps: Sequence[Step], removal: Removal, clock: StageClock) -> None:
    """Do steps one after the other, timing each; none begins after the deadline.

    Raises:
        ImageError: If the file is not a picture we take.
        ProcessingTimeout: If the time is up.
    """
    for step in steps:
        if step.when(removal.options):
            with clock.stage(step.work.__name__):
                step.work(removal, clock)
