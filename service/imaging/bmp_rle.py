"""Decodes the run lengths of a BMP (RLE8, RLE4) to palette indices, many codes at a time.

Every code is a word of two bytes, (count, value): a run; or with count 0 the end of a line (0), the
end of the picture (1), a jump by the next word (2), or so many literal indices, padded to a word.
Only literals and jumps need to be followed one by one, to tell codes from data.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.arrays import U8Array
from service.imaging.container import CheckDeadline

_END_OF_LINE, _END_OF_PICTURE, _JUMP = 0, 1, 2
# At most 255 pixels each, so that the arrays of one piece stay small whatever the file says.
_PIECE_WORDS = 16_384
_LONGEST_LITERAL_WORDS = 128

Indices = npt.NDArray[np.int64]
Words = npt.NDArray[np.int64]


def unpack_rle(
    data: memoryview, height: int, width: int, *, nibbles: bool, check_deadline: CheckDeadline
) -> U8Array:
    """Unpack run lengths.

    Runs that leave their row are cut off there, so that the work is bounded by the bytes given.

    Args:
        data: From the first run on.
        height: Rows.
        width: Columns.
        nibbles: Whether it is RLE4: two indices to a byte, taken in turn by a run.
        check_deadline: Called for every few thousand codes.

    Returns:
        Indices ``[H, W]`` as stored, from the bottom; what was never written is 0.

    Raises:
        ValueError: If the data ends before the picture.
    """
    stored = np.frombuffer(data, np.uint8)
    n_words = stored.size // 2
    pixels = np.zeros((height, width), np.uint8)
    at, row, x, ended = 0, 0, 0, False
    while at < n_words and row < height and not ended:
        check_deadline()
        piece = stored[2 * at : 2 * min(n_words, at + _PIECE_WORDS + _LONGEST_LITERAL_WORDS)]
        words = piece.reshape(-1, 2).astype(np.int64)
        codes, n_used = _find_codes(words, nibbles)
        ends = np.flatnonzero((words[codes] == (0, _END_OF_PICTURE)).all(axis=1))
        if ends.size:
            ended, codes = True, codes[: ends[0]]
        if codes.size:
            places = _place(words, codes, row, x)
            _fill(pixels, stored, 2 * at, words, codes, places, nibbles)
            row, x = places[2]
        at += n_used
    if not ended and (row < height - 1 or (row == height - 1 and x < width)):
        raise ValueError("cut short")
    return pixels


def _find_codes(words: Words, nibbles: bool) -> tuple[Indices, int]:
    """Which words of a piece are codes and not data, and how many words they use up."""
    size = min(len(words), _PIECE_WORDS)
    counts, values = words[:size].T
    n_bytes = np.where(nibbles, (values + 1) // 2, values)
    data_words = np.where(values == _JUMP, 1, (n_bytes + 1) // 2)
    suspects = np.flatnonzero((counts == 0) & (values >= _JUMP))
    behind = suspects + 1 + data_words[suspects]
    follower = np.searchsorted(suspects, behind).tolist()
    real, i = [], 0
    while i < len(follower):
        real.append(i)
        i = follower[i]
    begins, ends = suspects[real] + 1, behind[real]
    change = np.zeros(size + _LONGEST_LITERAL_WORDS + 2, np.int8)
    change[begins] += 1
    change[ends] -= 1
    is_data = np.cumsum(change[:size], dtype=np.int8)
    return np.flatnonzero(is_data == 0), max(size, int(ends[-1]) if len(real) else 0)


def _place(
    words: Words, codes: Indices, row: int, x: int
) -> tuple[Indices, Indices, tuple[int, int]]:
    """Row and column where each code begins, and those behind the last."""
    counts, values = words[codes].T
    jumps = (counts == 0) & (values == _JUMP)
    lines = (counts == 0) & (values == _END_OF_LINE)
    across, up = words[np.minimum(codes + 1, len(words) - 1)].T
    advance = np.where(counts > 0, counts, np.where(jumps, across, values))
    rise = np.where(jumps, up, lines)
    behind = x + np.cumsum(advance)
    line_began = np.maximum.accumulate(np.where(lines, behind, 0))
    rows = row + np.cumsum(rise) - rise
    last = (int(rows[-1] + rise[-1]), int(behind[-1] - line_began[-1]))
    return rows, behind - advance - line_began, last


def _fill(
    pixels: U8Array,
    stored: U8Array,
    offset: int,
    words: Words,
    codes: Indices,
    places: tuple[Indices, Indices, tuple[int, int]],
    nibbles: bool,
) -> None:
    """Write what the codes of one piece stand for."""
    height, width = pixels.shape
    counts, values = words[codes].T
    rows, columns, _ = places
    literal = (counts == 0) & (values > _JUMP)
    written = np.where(literal, values, counts)
    length = np.where(rows < height, np.clip(width - columns, 0, written), 0)
    origin = offset + 2 * codes + np.where(literal, 2, 1)  # of the literals, or of the value
    total = int(length.sum())
    step = np.arange(total) - np.repeat(np.cumsum(length) - length, length)
    along = step * np.repeat(literal, length)
    source = np.repeat(origin, length) + (along // 2 if nibbles else along)
    if total and int(source.max()) >= stored.size:
        raise ValueError("cut short")
    indices = stored[source]
    if nibbles:
        indices = np.where(step % 2, indices & 15, indices >> 4)
    pixels.reshape(-1)[np.repeat(rows * width + columns, length) + step] = indices
