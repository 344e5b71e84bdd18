"""Each effect against the known truth: before, after. Errors are means over the pixels named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from models.arrays import Mask, U8Array
from models.matting.backdrop import blur_backdrop
from models.matting.canvas import Box, place, subject_box
from models.matting.colour_match import match_colours, to_oklab
from models.matting.compositing import composite, underlay
from models.matting.edges import feather, shift_edge
from models.matting.foreground import estimate_foreground
from models.matting.outline import outline
from models.matting.refine import refine_alpha
from models.matting.shadow import cast_shadow
from models.spec import Refinement
from scripts.looks.trials import LIGHTS, Scene, mix, photographs, relight

STRENGTHS = (0.2, 0.35, 0.5, 1.0)
#: As `u2net` has it; what a network of 320 pixels would give of a true matte.
_REFINEMENT = Refinement(radius=3.0, epsilon=3e-4, low=0.25, high=0.75)
_NETWORK_SIDE = 320


@dataclass(frozen=True)
class Judgement:
    """One measure of one effect over several pictures.

    Attributes:
        effect: What is judged.
        measure: What is measured, and in which unit.
        variant: With which parameters.
        before: Mean without the effect, or with the plain way to do it.
        after: Mean with it.
        better: On how many pictures it is better.
        pictures: How many there are.
    """

    effect: str
    measure: str
    variant: str
    before: float
    after: float
    better: int
    pictures: int


def judge_all(scenes: Sequence[Scene]) -> Iterator[Judgement]:
    """Judge every effect."""
    yield from _colours(scenes)
    yield from _decontamination(scenes)
    yield from _feather(scenes)
    yield from _shift_and_outline(scenes)
    yield from _crop(scenes)
    yield from _shadow(scenes)
    yield from _backdrop(scenes)


def _mean(
    effect: str, measure: str, variant: str, pairs: Sequence[tuple[float, float]]
) -> Judgement:
    before, after = np.mean(pairs, axis=0)
    better = sum(now < then for then, now in pairs)
    return Judgement(effect, measure, variant, float(before), float(after), better, len(pairs))


def _colours(scenes: Sequence[Scene]) -> Iterator[Judgement]:
    """The subject in another light, before the background whose light it was in."""
    trials = {
        "photographs in 8 lights": [
            (picture, alpha, light) for _, picture, alpha in photographs() for light in LIGHTS
        ],
        "pieces of photographs": [
            (one.background, one.alpha, LIGHTS[number % len(LIGHTS)])
            for number, one in enumerate(scenes)
        ],
    }
    for where, cases in trials.items():
        errors = [_colour_errors(*case) for case in cases]
        for number, strength in enumerate(STRENGTHS, start=1):
            pairs = [(one[0], one[number]) for one in errors]
            yield _mean(
                "colour match", f"OKLab error x 100, {where}", f"strength {strength}", pairs
            )


def _colour_errors(picture: U8Array, alpha: U8Array, light: tuple[float, float]) -> list[float]:
    opaque = alpha >= 250
    subject, truth = relight(picture, *light), to_oklab(picture[opaque])
    shown = [subject, *(match_colours(subject, alpha, picture, one) for one in STRENGTHS)]
    return [
        100 * float(np.linalg.norm(to_oklab(one[opaque]) - truth, axis=1).mean()) for one in shown
    ]


def _decontamination(scenes: Sequence[Scene]) -> Iterator[Judgement]:
    mattes: dict[str, Callable[[Scene], U8Array]] = {
        "true matte": lambda scene: scene.alpha,
        "matte of 320 pixels, refined": _network_matte,
    }
    grounds = {"black": 0, "white": 255, "red": (255, 0, 0), "the true background": None}
    for which, make in mattes.items():
        cut = [(scene, make(scene)) for scene in scenes]
        cleaned = [estimate_foreground(scene.source, matte) for scene, matte in cut]
        for name, colour in grounds.items():
            pairs = []
            for (scene, matte), clean in zip(cut, cleaned, strict=True):
                behind = scene.background if colour is None else np.full_like(scene.source, colour)
                truth, edge = mix(scene.foreground, scene.alpha, behind), _soft(scene.alpha)
                plain, now = (
                    float(np.abs(mix(one, matte, behind) - truth)[edge].mean())
                    for one in (scene.source, clean)
                )
                pairs.append((plain, now))
            yield _mean("decontaminate", f"levels in the soft edge, {which}", f"over {name}", pairs)


def _network_matte(scene: Scene) -> U8Array:
    size = (_NETWORK_SIDE, _NETWORK_SIDE)
    small = cv2.resize(scene.alpha, size, interpolation=cv2.INTER_AREA)
    return refine_alpha(np.asarray(small, np.uint8), scene.source, _REFINEMENT)


def _soft(alpha: U8Array) -> Mask:
    return (alpha > 0) & (alpha < 255)


def _feather(scenes: Sequence[Scene]) -> Iterator[Judgement]:
    """A hard mask of a soft subject, softened."""
    for radius in (0.7, 1.0, 2.0):
        errors, areas = [], []
        for scene in scenes:
            hard = np.where(scene.alpha >= 128, 255, 0).astype(np.uint8)
            soft = feather(hard, radius)
            near = cv2.dilate(_soft(scene.alpha).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
            away = [np.abs(one.astype(float) - scene.alpha)[near].mean() for one in (hard, soft)]
            errors.append((float(away[0]), float(away[1])))
            areas.append((0.0, float(abs(soft.mean() / hard.mean() - 1)) * 100))
        variant = f"radius {radius:g}"
        yield _mean("feather", "levels of alpha near the edge, from a hard mask", variant, errors)
        yield _mean("feather", "area, % of change", variant, areas)


def _shift_and_outline(scenes: Sequence[Scene]) -> Iterator[Judgement]:
    """A matte that is too small, moved back; the plain way for the outline is a square window."""
    pairs = []
    for scene in scenes:
        small = shift_edge(scene.alpha, -2.0)
        near = cv2.dilate(_soft(scene.alpha).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        away = [
            float(np.abs(one.astype(float) - scene.alpha)[near].mean())
            for one in (small, shift_edge(small, 2.0))
        ]
        pairs.append((away[0], away[1]))
    yield _mean("shift_edge", "levels of alpha near the edge, 2 px lost", "2 px outwards", pairs)
    spreads = []
    for scene in scenes:
        hard = np.where(scene.alpha >= 128, 255, 0).astype(np.uint8)
        square = np.asarray(cv2.dilate(hard, np.ones((25, 25), np.uint8)), np.uint8)
        spreads.append((_unevenness(hard, square), _unevenness(hard, outline(hard, 12.0))))
    yield _mean("outline", "spread of its width, px (95th - 5th percentile)", "12 px", spreads)


def _unevenness(subject: U8Array, band: U8Array) -> float:
    """How the distance to the subject varies along the band's border."""
    away = cv2.distanceTransform(255 - subject, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    inside = (band >= 128).astype(np.uint8)
    border = (cv2.dilate(inside, np.ones((3, 3), np.uint8)) > 0) & (inside == 0)
    border[[0, -1]] = border[:, [0, -1]] = False
    low, high = np.percentile(away[border], [5, 95])
    return float(high - low)


def _crop(scenes: Sequence[Scene]) -> Iterator[Judgement]:
    """Specks in the matte; and hidden colours beneath a picture that is resized."""
    boxes, fringes = [], []
    for number, scene in enumerate(scenes):
        rng = np.random.default_rng(number)
        noisy = np.maximum(scene.alpha, rng.integers(0, 12, scene.alpha.shape, dtype=np.uint8))
        for y, x in rng.integers(0, min(noisy.shape) - 4, (12, 2)):
            noisy[y : y + rng.integers(1, 4), x : x + rng.integers(1, 4)] = 255
        truth = _tight(scene.alpha)
        found = subject_box(noisy)
        boxes.append((1 - _overlap(_tight(noisy), truth), 1 - _overlap(found, truth)))
        fringes.append(_fringe(scene))
    yield _mean("crop", "1 - overlap with the true box, 12 specks", "subject_box", boxes)
    yield _mean("place", "levels in the soft edge, hidden colours green", "to 60 %", fringes)


def _tight(alpha: U8Array) -> Box:
    return Box(*cv2.boundingRect(np.greater_equal(alpha, 16).astype(np.uint8)))


def _overlap(box: Box | None, truth: Box) -> float:
    if box is None:
        return 0.0
    right = min(box.left + box.width, truth.left + truth.width)
    bottom = min(box.top + box.height, truth.top + truth.height)
    both = max(0, right - max(box.left, truth.left)) * max(0, bottom - max(box.top, truth.top))
    return both / (box.width * box.height + truth.width * truth.height - both)


def _fringe(scene: Scene) -> tuple[float, float]:
    height, width = (round(0.6 * side) for side in scene.alpha.shape)
    hidden = scene.foreground.copy()
    hidden[scene.alpha == 0] = (0, 255, 0)
    over_grey = mix(scene.foreground, scene.alpha, np.full_like(scene.source, 128))
    truth = cv2.resize(over_grey, (width, height), interpolation=cv2.INTER_AREA)
    straight = np.dstack([hidden, scene.alpha])
    shrunk = cv2.resize(straight, (width, height), interpolation=cv2.INTER_AREA)
    colours, alpha = place(hidden, scene.alpha, Box(0, 0, width, height), (height, width))
    edge = _soft(alpha)
    both = (np.asarray(shrunk, np.uint8), np.dstack([colours, alpha]))
    plain, now = (
        float(np.abs(composite(one, np.full(3, 128, np.uint8)) - truth)[edge].mean())
        for one in both
    )
    return plain, now


def _shadow(scenes: Sequence[Scene]) -> Iterator[Judgement]:
    """Against the same shadow made at full size in double precision; before: one without blur."""
    pairs, hidden = [], []
    for scene in scenes:
        shadow = cast_shadow(scene.alpha, "drop", 1.0)
        box = subject_box(scene.alpha) or _tight(scene.alpha)
        share = 0.035 * float(np.sqrt(box.width * box.height))
        move = np.array([[1, 0, 0], [0, 1, share]])
        size = (scene.alpha.shape[1], scene.alpha.shape[0])
        moved = cv2.warpAffine(
            scene.alpha.astype(np.float64), move, size, borderMode=cv2.BORDER_REPLICATE
        )
        exact = cv2.GaussianBlur(moved, (0, 0), share, borderType=cv2.BORDER_REPLICATE)
        pairs.append((float(np.abs(moved - exact).mean()), float(np.abs(shadow - exact).mean())))
        colours, together = underlay(scene.foreground, scene.alpha, (0, 0, 0), shadow)
        opaque = scene.alpha == 255
        changed = (colours != scene.foreground).any(axis=2) | (together != scene.alpha)
        hidden.append((0.0, float(changed[opaque].sum())))
    yield _mean("shadow", "levels from an exact one at full size", "drop", pairs)
    yield _mean("shadow", "opaque pixels of the subject that it changes", "drop", hidden)
    grounded = [
        (_low_share(scene.alpha, "drop"), _low_share(scene.alpha, "contact")) for scene in scenes
    ]
    pairs = [(100 - 100 * drop, 100 - 100 * contact) for drop, contact in grounded]
    yield _mean("shadow", "% of it above the lowest eighth; before: drop", "contact", pairs)


def _low_share(alpha: U8Array, kind: str) -> float:
    """How much of a shadow lies about the lowest eighth of the subject, and below."""
    shadow = cast_shadow(alpha, kind, 1.0).astype(float)
    box = _tight(alpha)
    return float(shadow[box.top + box.height * 7 // 8 :].sum() / shadow.sum())


def _backdrop(scenes: Sequence[Scene]) -> Iterator[Judgement]:
    """Against the true background blurred, around the subject; before: the source blurred."""
    for share in (0.005, 0.02, 0.05):
        pairs = []
        for scene in scenes:
            sigma = share * max(scene.alpha.shape)
            blur = partial(cv2.GaussianBlur, ksize=(0, 0), sigmaX=sigma)
            truth = blur(scene.background).astype(float)
            widened = cv2.dilate(scene.alpha, np.ones((3, 3), np.uint8), iterations=int(sigma) + 1)
            ring = (scene.alpha < 128) & (widened > 0)
            plain, now = (
                float(np.abs(one - truth)[ring].mean())
                for one in (
                    blur(scene.source),
                    blur_backdrop(scene.source, scene.alpha, sigma),
                )
            )
            pairs.append((plain, now))
        variant = f"sigma {100 * share:g} % of the side"
        yield _mean("blurred backdrop", "levels from the true one, within a sigma", variant, pairs)
