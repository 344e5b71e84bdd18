"""What a preview keeps of a picture between two answers, so that the network runs only once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field

from models.arrays import U8Array
from models.matting.preprocess import fit
from models.matting.refine import refine_alpha
from models.matting.strokes import Sketch, Stroke, apply_sketch, draw_stroke, start_sketch
from service.imaging.decode import SourceImage
from service.imaging.guard import ImageHeader
from service.removal.pipeline import FINISH, Removal, run
from service.removal.ports import Matte, ServedModel
from service.removal.threads import StageClock

#: Longest side of the small answer, in pixels.
SMALL_SIDE = 1024
#: The steps after the network that most wishes leave as they are: smooth, foreground.
UP_TO_COLOURS = FINISH[1:3]
# Of the small picture: seen, straight and opacity; a background; the matte twice, and once smooth,
# with the subject's own colours.
_SMALL_BYTES = (3 + 3 + 1 + 12 + 2 + 4) * SMALL_SIDE**2
#: Sketches that are kept: so many strokes can be taken back at once, those before are drawn anew.
_SKETCHES = 8
_SKETCH_BYTES = 5 * 256**2


@dataclass
class Kept:
    """One picture.

    Attributes:
        data: The file; it is decoded again for an answer at its own size.
        header: What the guard read of it.
        model: What made the matte.
        matte: What the network said.
        small: The picture at the small size.
        scale: Small pixels per pixel of the picture.
        alpha: The matte at the small size, refined ``[h, w]``.
        stages_ms: What the stages up to the matte took, until they are told.
        background_id: Of the background that is kept.
        background: Its colours, at about the small size.
    """

    data: bytes
    header: ImageHeader
    model: ServedModel
    matte: Matte
    small: SourceImage
    scale: float
    alpha: U8Array
    stages_ms: dict[str, float]
    background_id: str | None = None
    background: U8Array | None = None
    _sketches: dict[tuple[Stroke, ...], Sketch] = field(default_factory=dict)
    _coloured: tuple[tuple[object, ...], Removal] | None = None
    _retouched: tuple[tuple[Stroke, ...], U8Array] | None = None

    def coloured(self, removal: Removal, strokes: Sequence[Stroke], clock: StageClock) -> Removal:
        """The small picture up to its own colours, done anew only where what they hang on changed.

        Args:
            removal: Of the small picture; nothing of it is done yet.
            strokes: In the order they were drawn.
            clock: Of the answer.

        Returns:
            A removal with the same options, of which that much is done.
        """
        options = removal.options
        wanted = (tuple(strokes), options.smoothing, options.decontaminate, options.made == "mask")
        known = self._coloured
        # Colours that were found farther out than the edge comes are the same as far as it does.
        if known is None or known[0] != wanted or known[1].options.edge_reach < options.edge_reach:
            with clock.stage("retouch"):
                removal.alpha = self.retouched(strokes, clock.check)
            run(UP_TO_COLOURS, removal, clock)
            known = self._coloured = wanted, removal
        done = copy(known[1])
        done.options = options
        return done

    def retouched(self, strokes: Sequence[Stroke], check: Callable[[], None]) -> U8Array:
        """The matte at the small size as strokes change it ``[h, w]``; see `sketch`."""
        sketch, wanted = self.sketch(strokes, check), tuple(strokes)
        if sketch is None:
            return self.alpha
        if self._retouched is None or self._retouched[0] != wanted:
            self._retouched = wanted, apply_sketch(self.alpha, self.small.pixels, sketch)
        return self._retouched[1]

    def sketch(self, strokes: Sequence[Stroke], check: Callable[[], None]) -> Sketch | None:
        """What strokes change; only those are drawn that do not follow a sketch that is kept.

        Args:
            strokes: In the order they were drawn.
            check: Raises once the time is up.
        """
        wanted = tuple(strokes)
        if not wanted:
            return None
        known = next((n for n in range(len(wanted), 0, -1) if wanted[:n] in self._sketches), 0)
        if known:
            sketch = self._sketches[wanted[:known]]
        else:
            sketch = start_sketch(self.alpha, self.small.pixels)
        for n in range(known, len(wanted)):
            check()
            sketch = draw_stroke(sketch, wanted[n])
            self._sketches[wanted[: n + 1]] = sketch
        while len(self._sketches) > _SKETCHES:
            del self._sketches[next(iter(self._sketches))]
        return sketch


def bytes_to_keep(n_bytes: int, model: ServedModel) -> int:
    """Most bytes that are kept of a file of so many."""
    size = model.spec.input
    return n_bytes + _SMALL_BYTES + size.height * size.width + _SKETCHES * _SKETCH_BYTES


def keep(removal: Removal, model: ServedModel, matte: Matte, stages_ms: dict[str, float]) -> Kept:
    """Keep of a removal what later answers need; its large arrays are let go with it."""
    source = removal.source
    scale = min(1.0, SMALL_SIDE / max(source.height, source.width))
    height, width = (max(1, round(side * scale)) for side in (source.height, source.width))
    small = SourceImage(
        _fitted(source.pixels, height, width),
        None if source.alpha is None else _fitted(source.alpha, height, width),
        None if source.straight is None else _fitted(source.straight, height, width),
    )
    alpha = refine_alpha(matte.alpha, small.pixels, model.spec.refinement)
    return Kept(removal.data, removal.header, model, matte, small, scale, alpha, stages_ms)


def _fitted(plane: U8Array, height: int, width: int) -> U8Array:
    return plane if plane.shape[:2] == (height, width) else fit(plane, height, width)
