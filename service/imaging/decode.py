"""Decodes an accepted file to upright 8-bit sRGB pixels.

Whatever the format, the result is the same two arrays: orientation applied, colours brought to
sRGB, transparency kept apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from models.arrays import U8Array
from models.matting.preprocess import lay_on_ground
from service.errors import CorruptImage
from service.imaging.colour import to_srgb
from service.imaging.container import DECODER_FAULTS, CheckDeadline
from service.imaging.guard import ImageHeader

_OPAQUE = 255

# What must be done to stored pixels to make them upright, by EXIF orientation.
_TURN = {3: cv2.ROTATE_180, 6: cv2.ROTATE_90_CLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}
_MIRROR = {2: 1, 4: 0}


@dataclass(frozen=True)
class SourceImage:
    """What the user sent, decoded.

    Attributes:
        pixels: ``[H, W, 3]`` uint8, sRGB, upright. Colours are straight; those under alpha 0 mean
            nothing and nobody should look at them.
        alpha: The file's own opacity ``[H, W]`` uint8, or None where it has none.
        straight: The file's own colours ``[H, W, 3]`` where `pixels` are those a viewer sees
            (`as_seen`), or None.
    """

    pixels: U8Array
    alpha: U8Array | None
    straight: U8Array | None = None

    @property
    def height(self) -> int:
        """Rows, in pixels."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns, in pixels."""
        return int(self.pixels.shape[1])

    def as_seen(self) -> SourceImage:
        """The picture a viewer sees: transparent parts show a plain ground, not what they hide."""
        if self.alpha is None or self.straight is not None:
            return self
        return SourceImage(lay_on_ground(self.pixels, self.alpha), self.alpha, self.pixels)

    def with_own_colours(self, foreground: U8Array) -> U8Array:
        """Give half-transparent pixels the colour the file states: there it need not be estimated.

        Args:
            foreground: Estimated colours ``[H, W, 3]``; changed in place.
        """
        if self.alpha is not None and self.straight is not None:
            cv2.copyTo(self.straight, np.less(self.alpha, _OPAQUE).view(np.uint8), foreground)
        return foreground


def decode(
    data: bytes, header: ImageHeader, check_deadline: CheckDeadline | None = None
) -> SourceImage:
    """Decode a file the guard has accepted.

    Args:
        data: The uploaded file.
        header: What `guard.inspect` said of it.
        check_deadline: Called often; what it raises ends the work and passes through unchanged.

    Returns:
        The source image.

    Raises:
        CorruptImage: If it cannot be decoded to the end; the caller's fault.
        UnsupportedFormat: If it is of a rare kind that is not read; the caller's fault.
        MemoryError: If there is not enough memory; nobody's fault.
    """
    clock = _Clock(check_deadline)
    try:
        stored = header.file.decode(data, clock.check)
    except DECODER_FAULTS as fault:
        if clock.raised is not None:
            raise clock.raised from None
        _require_memory(header.decode_bytes)
        raise CorruptImage from fault
    alpha = stored.alpha
    if alpha is not None and alpha.min() == _OPAQUE:
        alpha = None
    pixels = to_srgb(
        stored.colours,
        header.file.colour_tags,
        adobe_rgb=header.exif.adobe_rgb,
        check_deadline=clock.check,
    )
    upright = _upright(pixels, header.orientation)
    clock.check()
    return SourceImage(upright, None if alpha is None else _upright(alpha, header.orientation))


class _Clock:
    """Asks whether the time is up, and remembers what was raised then.

    Decoders catch errors, and the end of a deadline may look like one of theirs.

    Args:
        check_deadline: Who knows the time, or None where there is no deadline.
    """

    def __init__(self, check_deadline: CheckDeadline | None) -> None:
        self._check_deadline = check_deadline
        self.raised: BaseException | None = None

    def check(self) -> None:
        """Raise if the time is up."""
        if self._check_deadline is None:
            return
        try:
            self._check_deadline()
        except BaseException as late:
            self.raised = late
            raise


def _require_memory(n_bytes: int) -> None:
    """Raise MemoryError where so much is not to be had.

    A decoder without memory raises the same as one with a damaged file.
    """
    np.empty(n_bytes, np.uint8)


def _upright(array: U8Array, orientation: int) -> U8Array:
    """Turn and mirror by EXIF orientation; 1 is returned as it is."""
    if orientation in _TURN:
        return np.asarray(cv2.rotate(array, _TURN[orientation]), dtype=np.uint8)
    if orientation in _MIRROR:
        return np.asarray(cv2.flip(array, _MIRROR[orientation]), dtype=np.uint8)
    if orientation == 5:  # mirrored along the main diagonal
        return np.asarray(cv2.transpose(array), dtype=np.uint8)
    if orientation == 7:  # mirrored along the other diagonal
        return np.asarray(cv2.flip(cv2.transpose(array), -1), dtype=np.uint8)
    return np.ascontiguousarray(array)
