"""Network matte -> matte at the size of the source, told by the colours on either side of an edge.

Enlarged, an edge of the network's matte is as wide as its pixels. Around it, the colours that are
surely the subject's and those that are surely behind it are known. A colour between them is a
mixture; one among either is that side's. So alpha's log odds are moved by what the pixel's colour
says: much where the two sides are far apart beside their own variety, not at all where they are
alike, and not where the matte is soft anyhow, for a soft edge survives being enlarged.

Source:
    Fisher (1936), the linear discriminant of two groups; that its share of the odds is weighed
    against the network's, and spread along an edge, is our own.
"""

from __future__ import annotations

from itertools import combinations_with_replacement

import cv2
import numpy as np

from models.arrays import FloatArray, Mask, U8Array
from models.matting.grid import Grid, enlarge, make_grid, reduce_to_grid, soft_blocks
from models.matting.resample import resample, sample
from models.spec import Unmixing

_PAIRS = tuple(combinations_with_replacement(range(3), 2))
#: Half side of the window that sure colours are taken from, in cells.
_NEAR = 6
#: Where there are none: wider ones, widest first, in squares of so many cells.
_FAR, _COARSER = (24, 6), 4
#: With less certainty than this in a window, colours come from the wider one.
_FLOOR = 1e-2
#: Power of alpha that a cell's colour counts with: mixtures hardly do.
_PURITY = 16
#: Of what the colours themselves have told, beside what the network was sure of.
_SECOND_HAND = 0.6
#: Squared distance of the two sides, in their own deviations, below which they count as one colour.
_ALIKE = 1.0
#: The log odds of alpha 0 and 1, which a matte has no further ones of.
_LIMIT = 4.0
_FAINT = 1.0 / (1.0 + np.exp(_LIMIT))


def unmix_alpha(alpha_u8: U8Array, source: U8Array, unmixing: Unmixing) -> U8Array:
    """Bring a network's matte to the size of the source, edges where the colours change.

    What the network calls 0 or 1 with no edge near stays so. A source no larger than the matte gets
    plain resampling; from twice its size on the colours have their full say.

    Args:
        alpha_u8: Matte of the model input ``[S, S]``, 0..255.
        source: Colours ``[H, W, 3]``.
        unmixing: Parameters for the checkpoint.

    Returns:
        Matte ``[H, W]``, 0..255.
    """
    height, width = source.shape[:2]
    alpha = resample(alpha_u8, height, width)
    growth = max(height / alpha_u8.shape[0], width / alpha_u8.shape[1])
    if growth <= 1.0:
        return alpha
    grid = make_grid(height, width, unmixing.max_side)
    share = np.float32(min(1.0, growth - 1.0))
    sharpness = sample(_sharpness(alpha_u8, unmixing), grid, height, width)
    edges = np.asarray(share * sharpness, np.float32)
    if edges.any():
        coarse = sample(alpha_u8, grid, height, width)
        planes = _weigh(reduce_to_grid(source, grid), coarse, edges, unmixing)
        _move_odds(alpha, source, planes, np.uint8(254) * (edges > 0), grid)
    return alpha


def _sharpness(alpha_u8: U8Array, unmixing: Unmixing) -> U8Array:
    """How little of a matte survives a blur, near each pixel ``[S, S]``: 0 is soft, 255 sharp."""
    lost = cv2.absdiff(alpha_u8, cv2.GaussianBlur(alpha_u8, (7, 7), 1.5)).astype(np.float32)
    near = np.asarray(cv2.dilate(lost, np.ones((5, 5), np.uint8)), np.float32) / 255.0
    sharp = np.clip((near - unmixing.soft) / (unmixing.sharp - unmixing.soft), 0.0, 1.0)
    return np.asarray(cv2.blur(255.0 * sharp, (3, 3)), np.uint8)


def _weigh(guide: U8Array, alpha: FloatArray, edges: FloatArray, unmixing: Unmixing) -> FloatArray:
    """Learn per cell what a colour says of alpha.

    Args:
        guide: Colours ``[h, w, 3]``.
        alpha: Network's matte ``[h, w]``, 0..1.
        edges: Say of the colours ``[h, w]``, 0..1; only where it is above 0 anything is learnt.
        unmixing: Parameters.

    Returns:
        Planes ``[5, h, w]``: what red, green, blue (per level) and nothing add to the log odds, and
        the share of its own odds that the network's matte keeps.
    """
    here = edges > 0
    moments = _moments(guide)
    near = np.ones((3, 3), np.uint8)
    least, most = cv2.erode(alpha, near), cv2.dilate(alpha, near)
    sure = [np.asarray(one**_PURITY, np.float32) for one in (least, 1.0 - most)]
    sides = [_nearest(moments, one, here, _farther(guide, one, here)) for one in sure]
    planes = np.zeros((5, *alpha.shape), np.float32)
    planes[4] = 1.0
    planes[:, here] = told = _discriminate(sides, edges[here], unmixing)
    odds = _log_odds(alpha[here]) * told[4] + told[3]
    odds += sum(plane * one[here] for plane, one in zip(told[:3], moments[1:4], strict=True))
    found = _alpha_of(odds)
    for number, share in enumerate((found, 1.0 - found)):
        sure[number][here] = np.maximum(sure[number][here], _SECOND_HAND * share**_PURITY)
        sides[number] = _nearest(moments, sure[number], here, sides[number])
    planes[:, here] = _discriminate(sides, edges[here], unmixing)
    return planes


def _moments(colours: U8Array) -> list[FloatArray]:
    """One, the colours and their products: what means and covariances are made of."""
    planes = [np.asarray(one, np.float32) for one in cv2.split(colours)]
    return [np.ones_like(planes[0]), *planes, *(planes[i] * planes[j] for i, j in _PAIRS)]


def _farther(guide: U8Array, certainty: FloatArray, here: Mask) -> FloatArray:
    """Means of the moments of certain cells, from as near as there are any: ``[10, n]``."""
    size = (-(-guide.shape[1] // _COARSER), -(-guide.shape[0] // _COARSER))
    mean = _moments(np.asarray(cv2.resize(guide, size, interpolation=cv2.INTER_AREA), np.uint8))
    few = np.asarray(cv2.resize(certainty, size, interpolation=cv2.INTER_AREA), np.float32)
    weighted = [one * few for one in mean]
    for reach in _FAR:
        near = [_blur(one, reach) + _FLOOR * far for one, far in zip(weighted, mean, strict=True)]
        mean = [np.asarray(one / near[0], np.float32) for one in near]
    rows, columns = (at // _COARSER for at in np.nonzero(here))
    return np.stack([one[rows, columns] for one in mean])


def _nearest(
    moments: list[FloatArray], certainty: FloatArray, here: Mask, farther: FloatArray
) -> FloatArray:
    """The same, of a small window, and of `farther` where it has none."""
    totals = np.stack([_blur(one * certainty, _NEAR)[here] for one in moments])
    totals += _FLOOR * farther
    return np.asarray(totals / totals[0], np.float32)


def _blur(plane: FloatArray, reach: int) -> FloatArray:
    window = (2 * reach + 1, 2 * reach + 1)
    return np.asarray(cv2.blur(plane, window, borderType=cv2.BORDER_REPLICATE), np.float32)


def _discriminate(sides: list[FloatArray], edges: FloatArray, unmixing: Unmixing) -> FloatArray:
    """What colours say in ``n`` cells, of the moments of both sides: planes ``[5, n]`` of `_weigh`.

    Two groups of equal covariance have log odds that are linear in the colour. They are kept from
    growing beyond what tells a pixel from its mixtures.
    """
    foreground, background = sides
    between = foreground[1:4] - background[1:4]
    spread = 0.5 * (_covariance(foreground) + _covariance(background))
    direction = _solve(unmixing.doubt * spread, between, unmixing.noise)
    distance = np.maximum((direction * between).sum(axis=0), 1e-3)
    trust = edges / (1.0 + distance * unmixing.mixture)
    direction *= trust * np.maximum(distance - _ALIKE, 0.0) / distance
    offset = -0.5 * (direction * (foreground[1:4] + background[1:4])).sum(axis=0)
    kept = 1.0 - unmixing.certain * unmixing.mixture * distance * trust
    return np.stack([*direction, offset, kept]).astype(np.float32)


def _covariance(moments: FloatArray) -> FloatArray:
    """Covariances ``[6, n]``, the pairs of `_PAIRS`."""
    pairs = zip(moments[4:], _PAIRS, strict=True)
    return np.stack([of_both - moments[1 + i] * moments[1 + j] for of_both, (i, j) in pairs])


def _solve(spread: FloatArray, between: FloatArray, noise: float) -> FloatArray:
    """Solve the 3 x 3 systems ``(spread + noise) x = between`` in closed form: ``[3, n]``."""
    rr, rg, rb, gg, gb, bb = spread
    rr, gg, bb = (np.maximum(one, np.float32(0.0)) + np.float32(noise) for one in (rr, gg, bb))
    adjugate = (
        (gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb),
        (gb * rb - rg * bb, rr * bb - rb * rb, rb * rg - rr * gb),
        (rg * gb - gg * rb, rb * rg - rr * gb, rr * gg - rg * rg),
    )
    first = adjugate[0]
    determinant = np.maximum(rr * first[0] + rg * first[1] + rb * first[2], 0.25 * noise**3)
    rows = [sum(e * b for e, b in zip(row, between, strict=True)) for row in adjugate]
    return np.asarray(np.stack(rows) / determinant, np.float32)


def _log_odds(alpha: FloatArray) -> FloatArray:
    """Log odds of alpha 0..1, from -4 to 4."""
    share = _FAINT + alpha * (1.0 - 2.0 * _FAINT)
    return np.asarray(np.log(share / (1.0 - share)), np.float32)


def _alpha_of(odds: FloatArray) -> FloatArray:
    """Alpha of log odds: the inverse of `_log_odds`, 0..1 beyond its ends."""
    share = 1.0 / (1.0 + cv2.exp(-odds).reshape(odds.shape))
    return np.asarray(np.clip((share - _FAINT) / (1.0 - 2.0 * _FAINT), 0.0, 1.0), np.float32)


_ODDS = _log_odds(np.arange(256, dtype=np.float32) / 255.0)


def _move_odds(
    alpha: U8Array, source: U8Array, planes: FloatArray, edges: U8Array, grid: Grid
) -> None:
    """Move the odds of a matte at the size of the source, in place, where there is an edge."""
    height, width = alpha.shape
    gain = 255.0 / (1.0 - 2.0 * _FAINT)
    for cells in soft_blocks(edges, grid):
        pixels = grid.pixels(cells, height, width)
        colours, size = source[pixels], alpha[pixels].shape
        here = [np.asarray(enlarge(plane, cells, grid, *size), np.float32) for plane in planes]
        odds = np.asarray(cv2.LUT(alpha[pixels], _ODDS), np.float32) * here[4]
        for plane, channel in zip(here[:3], cv2.split(colours), strict=True):
            odds += plane * channel
        odds += here[3]
        share = np.asarray(gain / (1.0 + cv2.exp(-odds)), np.float32)
        alpha[pixels] = cv2.addWeighted(share, 1.0, share, 0.0, -gain * _FAINT, dtype=cv2.CV_8U)
