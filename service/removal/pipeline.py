"""What is done to a picture before and after its matte: two lists of plain functions.

They need no server, no event loop and no clock but the one they are given, so that a test, a
benchmark, a task or a preview can run all of them, or some. A new option is a field of
`RemovalOptions` and a step here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from models.arrays import Rows, U8Array
from models.matting import preprocess
from models.matting.backdrop import blur_backdrop, contain, cover, fill_hidden
from models.matting.canvas import Box, place, subject_box
from models.matting.colour_match import match_colours
from models.matting.compositing import Cutout, composite, underlay
from models.matting.edges import feather, shift_edge
from models.matting.foreground import estimate_foreground
from models.matting.outline import outline
from models.matting.postprocess import combine_alpha, smooth_alpha
from models.matting.refine import refine_alpha
from models.matting.scenes import SCENES, draw_scene
from models.matting.shadow import cast_shadow
from models.matting.strokes import Sketch, apply_sketch
from models.spec import ModelSpec
from service.imaging import decode as decoding
from service.imaging.encode import EncodedFile, encode_parts, encode_picture
from service.imaging.guard import ImageHeader
from service.removal.background import Background
from service.removal.layout import lay_out
from service.removal.options import RemovalOptions, RemovalResult
from service.removal.ports import Matte
from service.removal.threads import StageClock

_WHITE = (255, 255, 255)
_BLACK = (0, 0, 0)


@dataclass
class Removal:
    """One removal under way; each step reads what is there and adds what it makes.

    Attributes:
        data: The uploaded file.
        header: What the guard read of it.
        options: What the caller chose.
        spec: The model: its input size, and how its matte is refined.
        behind: The background picture that was sent or named; None without one.
        keeps_source: Whether somebody needs the source after this removal.
        source: The picture, as a viewer sees it; `foreground` may write into it.
        model_input: What the network gets, ``[S, S, 3]`` uint8.
        alpha: The matte, uint8: the network's ``[S, S]``, from `refine` on ``[H, W]``.
        matte: The matte as large as the source, also where the canvas is another.
        sketch: What strokes have changed of the matte; None without any.
        subject: Where the subject is; None if none was found.
        colours: The subject's own colours, ``[H, W, 3]`` uint8.
        background: Its colours.
        backdrop: The background on the canvas, ``[H, W, 3]`` uint8, or one colour ``[3]``.
        pixels: What is encoded: ``[H, W]`` mask, ``[H, W, 3]`` composite, ``[H, W, 4]`` cutout,
            put together where it is read.
        file: The same as a file.
    """

    data: bytes
    header: ImageHeader
    options: RemovalOptions
    spec: ModelSpec
    behind: Background | None = None
    keeps_source: bool = False
    source: decoding.SourceImage = field(init=False)
    model_input: U8Array = field(init=False)
    alpha: U8Array = field(init=False)
    matte: U8Array = field(init=False)
    sketch: Sketch | None = None
    subject: Box | None = None
    colours: U8Array = field(init=False)
    background: U8Array | None = None
    backdrop: U8Array = field(init=False)
    pixels: Rows = field(init=False)
    file: EncodedFile = field(init=False)


def decode(removal: Removal, clock: StageClock) -> None:
    """The file to pixels."""
    removal.source = decoding.decode(removal.data, removal.header, clock.check)


def background(removal: Removal, clock: StageClock) -> None:
    """The background picture to pixels; transparent parts show a plain ground."""
    if removal.behind is not None:
        removal.background = removal.behind.decode(clock.check)


def fit(removal: Removal, _: StageClock) -> None:
    """The picture to the network's size."""
    size = removal.spec.input
    removal.source = removal.source.as_seen()
    removal.model_input = preprocess.fit(removal.source.pixels, size.height, size.width)


def refine(removal: Removal, _: StageClock) -> None:
    """The matte to the picture's size, edges on real edges."""
    pixels, refinement = removal.source.pixels, removal.spec.refinement
    removal.alpha = refine_alpha(removal.alpha, pixels, refinement)


def retouch(removal: Removal, _: StageClock) -> None:
    """The matte as strokes have changed it."""
    if removal.sketch is not None:
        removal.alpha = apply_sketch(removal.alpha, removal.source.pixels, removal.sketch)


def smooth(removal: Removal, _: StageClock) -> None:
    """The stair-steps out of the edge."""
    removal.alpha = smooth_alpha(removal.alpha)


def foreground(removal: Removal, _: StageClock) -> None:
    """The subject's own colours, nowhere more opaque than the picture was."""
    source = removal.source
    if source.alpha is not None:
        removal.alpha = combine_alpha(removal.alpha, source.alpha)
    removal.matte, removal.subject = removal.alpha, subject_box(removal.alpha)
    made, reach = removal.options.made, removal.options.edge_reach
    if made == "mask":
        return
    if removal.options.decontaminate:
        spent = not removal.keeps_source and made != "composite"  # which may blur it
        found = estimate_foreground(source.pixels, removal.alpha, reach, overwrite=spent)
        removal.colours = source.with_own_colours(found)
    else:
        removal.colours = source.pixels if source.straight is None else source.straight


def edge(removal: Removal, _: StageClock) -> None:
    """The edge moved and softened as the caller likes it, nowhere more opaque than the picture.

    After the colours: they are known as far as an edge may be moved only where it was.
    """
    alpha = shift_edge(removal.alpha, removal.options.shift_edge)
    alpha = feather(alpha, removal.options.feather)
    if removal.source.alpha is not None:
        alpha = np.minimum(alpha, removal.source.alpha)
    removal.alpha, removal.subject = alpha, subject_box(alpha)


def frame(removal: Removal, _: StageClock) -> None:
    """The picture to its place on the caller's canvas."""
    source, subject = removal.source, removal.subject
    layout = lay_out(removal.options, source.height, source.width, subject)
    canvas = (layout.height, layout.width)
    colours = removal.colours if removal.options.made != "mask" else source.pixels
    removal.colours, removal.alpha = place(colours, removal.alpha, layout.picture, canvas)
    removal.subject = subject_box(removal.alpha)


def backdrop(removal: Removal, _: StageClock) -> None:
    """The background: the caller's picture or colour, a scene, or the source's own, blurred."""
    options, (height, width) = removal.options, removal.alpha.shape
    ground = options.bg_color or _WHITE
    sigma = options.bg_blur / 100 * max(height, width)
    made = _picture_behind(removal, height, width)
    if made is not None:
        nothing_in_front = np.zeros(made.shape[:2], dtype=np.uint8)
        removal.backdrop = blur_backdrop(made, nothing_in_front, sigma) if sigma else made
        removal.background = None
    elif options.bg_color is not None:
        removal.backdrop = np.array(ground, dtype=np.uint8)
    else:
        source = removal.source
        blurred = blur_backdrop(source.pixels, removal.matte, sigma)
        removal.backdrop = cover(blurred, height, width)


def _picture_behind(removal: Removal, height: int, width: int) -> U8Array | None:
    """The picture or scene that was chosen, on the canvas; None where there is none."""
    options, picture = removal.options, removal.background
    scene = SCENES.get(options.background_id or "")
    if scene is not None:
        return draw_scene(scene, height, width)
    if picture is None:
        return None
    if options.bg_fit == "contain":
        return contain(picture, height, width, options.bg_color or _WHITE)
    return cover(picture, height, width)


def match(removal: Removal, _: StageClock) -> None:
    """The subject's colours some way to those of its new surroundings."""
    behind = np.broadcast_to(removal.backdrop, removal.colours.shape)
    strength = removal.options.color_match
    removal.colours = match_colours(removal.colours, removal.alpha, behind, strength)


def border(removal: Removal, _: StageClock) -> None:
    """An even border around the subject."""
    options, subject = removal.options, removal.subject
    if subject is not None:
        width = options.outline / 100 * max(subject.width, subject.height)
        band = outline(removal.alpha, width)
        removal.colours, removal.alpha = underlay(
            removal.colours, removal.alpha, options.outline_color, band
        )


def shadow(removal: Removal, _: StageClock) -> None:
    """A shadow below the subject."""
    options = removal.options
    cast = cast_shadow(removal.alpha, options.shadow, options.shadow_opacity)
    removal.colours, removal.alpha = underlay(removal.colours, removal.alpha, _BLACK, cast)


def compose(removal: Removal, _: StageClock) -> None:
    """Colours, matte and background to one array."""
    made = removal.options.made
    if made == "mask":
        removal.pixels = removal.alpha
        return
    removal.pixels = Cutout(removal.colours, removal.alpha)
    if made == "composite":
        removal.pixels = composite(removal.pixels, removal.backdrop)
    del removal.colours  # a composite needs them no more; encoding is where most memory is taken


def encode(removal: Removal, _: StageClock) -> None:
    """The picture to a file."""
    options = removal.options
    if options.made == "parts":
        colours = fill_hidden(removal.pixels[:])
        removal.file = encode_parts(colours, removal.alpha, options.quality)
    else:
        removal.file = encode_picture(removal.pixels, options.format, options.quality)


class Step(NamedTuple):
    """One step, a stage of the removal's times under its function's name.

    Attributes:
        work: What it does.
        when: Whether the caller's options ask for it.
    """

    work: Callable[[Removal, StageClock], None]
    when: Callable[[RemovalOptions], bool] = lambda options: True


PREPARE = [
    Step(decode),
    Step(background, when=lambda options: bool(options.bg_image or options.background_id)),
    Step(fit),
]
FINISH = [
    Step(refine),
    Step(smooth, when=lambda options: options.smoothing),
    Step(foreground),
    Step(edge, when=lambda options: bool(options.shift_edge or options.feather)),
    Step(frame, when=lambda options: options.is_laid_out),
    Step(backdrop, when=lambda options: options.made == "composite"),
    Step(match, when=lambda options: options.color_match > 0),
    Step(border, when=lambda options: options.outline > 0),
    Step(shadow, when=lambda options: options.shadow != "none"),
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


def result_of(removal: Removal, matte: Matte, stages_ms: Mapping[str, float]) -> RemovalResult:
    """What a caller gets of a removal that all steps have run of."""
    return RemovalResult(
        file=removal.file.data,
        media_type=removal.file.media_type,
        suffix=removal.file.suffix,
        height=removal.source.height,
        width=removal.source.width,
        canvas=(removal.pixels.shape[0], removal.pixels.shape[1]),
        subject=removal.subject,
        applied=removal.options.applied,
        model=removal.spec.name,
        engine=matte.engine,
        retried_on_cpu=matte.retried_on_cpu,
        stages_ms=stages_ms,
    )
