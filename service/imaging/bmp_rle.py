"""The run lengths of a BMP (RLE8 and RLE4) to palette indices."""

from __future__ import annotations

import numpy as np

from service.imaging.container import CheckDeadline, U8Array

_END_OF_LINE, _END_OF_PICTURE, _JUMP = 0, 1, 2
_LONGEST_RUN = 255


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
        check_deadline: Called for every row.

    Returns:
        Indices ``[H, W]`` as stored, from the bottom; what was never written is 0.

    Raises:
        ValueError: If the data ends before the picture.
    """
    stored, end, at = bytes(data), len(data) - 1, 0
    runs = [_run(value, nibbles) for value in range(256)]
    pixels, row, x, left = bytearray(height * width), 0, 0, width
    total = height * width
    while at < end:
        count, value = stored[at], stored[at + 1]
        at += 2
        if count:
            run = runs[value][: count if count < left else left]
            pixels[row + x : row + x + len(run)] = run
        elif value > _JUMP:
            count, n_bytes = value, (value + 1) // 2 if nibbles else value
            if at + n_bytes > end + 1:
                break
            literal = stored[at : at + n_bytes]
            literal = (_split(literal) if nibbles else literal)[: min(count, left)]
            pixels[row + x : row + x + len(literal)] = literal
            at += n_bytes + n_bytes % 2
        elif value == _END_OF_LINE:
            check_deadline()
            row, count, x, left = row + width, 0, 0, width
        elif value == _END_OF_PICTURE:
            row = total
        elif at < end:
            count, row = stored[at], row + stored[at + 1] * width
            at += 2
        if row >= total:
            break
        x += count
        left = max(0, width - x)
    if row < total - width or (row < total and left):
        raise ValueError("cut short")
    return np.frombuffer(pixels, np.uint8).reshape(height, width)


def _run(value: int, nibbles: bool) -> bytes:
    """The longest run of a value."""
    if not nibbles:
        return bytes([value]) * _LONGEST_RUN
    return bytes((value >> 4, value & 15)) * (_LONGEST_RUN // 2 + 1)


def _split(packed: bytes) -> bytes:
    """Two indices to a byte, the upper first."""
    both = np.frombuffer(packed, np.uint8)
    return np.stack((both >> 4, both & 15), axis=1).tobytes()
