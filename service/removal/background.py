"""Background pictures: guarded as every picture, and decoded once, however many removals."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass

from models.arrays import U8Array
from models.matting.preprocess import fit
from service.errors import ImageError
from service.imaging.decode import decode
from service.imaging.encode import encode_picture
from service.imaging.guard import ImageHeader, ImageLimits, inspect

#: Longest side that is stored, in pixels.
_STORED_SIDE = 4096
_THUMBNAIL_SIDE = 320
_QUALITY, _THUMBNAIL_QUALITY = 95, 80
_ENCODE_BYTES = 9  # a pixel that is stored: its colours, what is between, and the file
#: Of what `make_stored` has made; whatever else lies in the storage costs no more than that.
STORED_LIMITS = ImageLimits(
    max_bytes=128 * 1024**2,
    max_pixels=_STORED_SIDE**2,
    max_ratio=math.inf,
)


def never(n_bytes: int) -> bool:
    """No."""
    return False


class Background:
    """A background picture for one removal or more, used by several threads at once.

    Args:
        data: The file.
        field: The option it came by, which faults name.
        limits: How much picture we take.
        media_type: What it was declared to be.
        may_keep: Told how many bytes it would take to stay decoded; says whether it may.

    Attributes:
        header: What the guard read of it.
        n_bytes: Length of the file.
        data: The file.
    """

    header: ImageHeader

    def __init__(
        self,
        data: bytes,
        field: str,
        limits: ImageLimits,
        media_type: str | None = None,
        may_keep: Callable[[int], bool] = never,
    ) -> None:
        self.data, self._field, self._limits = data, field, limits
        self.n_bytes = len(data)
        self._media_type, self._may_keep = media_type, may_keep
        self._lock, self._accepted = threading.Lock(), False
        self._pixels: U8Array | None = None
        self._fault: ImageError | None = None

    def inspect(self) -> None:
        """Accept or refuse it by everything but its pixels, the first time it is called.

        Raises:
            ImageError: As `guard.inspect` does, with the option's name.
        """
        if self._accepted:
            return
        try:
            self.header = inspect(self.data, self._limits, self._media_type)
        except ImageError as fault:
            fault.fields["field"] = self._field
            raise
        self._accepted = True

    def decode(self, check: Callable[[], None]) -> U8Array:
        """Its colours, ``[H, W, 3]``; transparent parts show a plain ground.

        Args:
            check: Raises once the time is up.

        Raises:
            ImageError: If it cannot be decoded, with the option's name.
        """
        with self._lock:
            if self._fault is not None:
                raise self._fault
            if self._pixels is not None:
                return self._pixels
            try:
                pixels = decode(self.data, self.header, check).as_seen().pixels
            except ImageError as fault:
                fault.fields["field"] = self._field
                self._fault = fault
                raise
            if self._may_keep(pixels.nbytes):
                self._pixels = pixels
            return pixels

    def let_go(self) -> int:
        """Keep nothing of it from now on; how many bytes were kept."""
        with self._lock:
            n_bytes = 0 if self._pixels is None else self._pixels.nbytes
            self._pixels, self._may_keep = None, never
            return n_bytes


class KeptBackgrounds:
    """Bounds the memory of backgrounds that stay decoded; what does not fit is decoded anew.

    Args:
        max_bytes: Most bytes at once.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held = 0
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        """Bytes held now."""
        return self._held

    def take(self, n_bytes: int) -> bool:
        """Hold so many bytes, if they fit."""
        with self._lock:
            fits = self._held + n_bytes <= self._max_bytes
            self._held += n_bytes if fits else 0
            return fits

    def give_back(self, background: Background) -> None:
        """Let a background go."""
        n_bytes = background.let_go()
        with self._lock:
            self._held -= n_bytes


@dataclass(frozen=True)
class StoredPicture:
    """A background as it is stored: two JPEGs of ours, which carry nothing but the picture.

    Attributes:
        file: The picture.
        thumbnail: The same, small.
        height: Rows of the picture.
        width: Columns of the picture.
    """

    file: bytes
    thumbnail: bytes
    height: int
    width: int


def bytes_to_store(header: ImageHeader) -> int:
    """About the most memory that `make_stored` takes at once."""
    pixels = header.height * header.width
    return max(header.decode_bytes, 3 * pixels + _ENCODE_BYTES * min(pixels, _STORED_SIDE**2))


def make_stored(background: Background, check: Callable[[], None]) -> StoredPicture:
    """Decode a picture and encode it anew.

    Raises:
        ImageError: If it cannot be decoded.
        ProcessingTimeout: If the time is up.
    """
    pixels = _at_most(background.decode(check), _STORED_SIDE, ImageLimits.min_side)
    check()
    file = encode_picture(pixels, "jpeg", _QUALITY).data
    return StoredPicture(file, make_thumbnail(pixels), pixels.shape[0], pixels.shape[1])


def make_thumbnail(pixels: U8Array) -> bytes:
    """A small JPEG of a picture ``[H, W, 3]``."""
    return encode_picture(_at_most(pixels, _THUMBNAIL_SIDE, 1), "jpeg", _THUMBNAIL_QUALITY).data


def _at_most(pixels: U8Array, side: int, least: int) -> U8Array:
    """The picture with no side longer, unless the other would become shorter than `least`."""
    height, width = pixels.shape[:2]
    scale = min(1.0, max(side / max(height, width), least / min(height, width)))
    if scale == 1.0:
        return pixels
    return fit(pixels, round(height * scale), round(width * scale))
