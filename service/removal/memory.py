"""How much memory a removal takes, before it is begun."""

from __future__ import annotations

from service.removal.layout import largest_canvas
from service.removal.pipeline import Removal

# What refining, compositing and encoding take at their peak, per pixel; measured at 24 MP, 19 of a
# picture without transparency and 26 of one with.
_FINISH_BYTES = 26
# What a canvas of another size or a background adds per pixel of it, and the encoders of WebP and
# AVIF; measured at 12 to 35 MP, at most 9 and 7 beyond what the above leaves over.
_CANVAS_BYTES = 12
_CODEC_BYTES = 12


def bytes_of(removal: Removal) -> int:
    """Bytes that a removal takes at its peak.

    Raises:
        InvalidRequest: If the canvas would be larger than any picture that is taken.
    """
    header, behind = removal.header, removal.behind
    finish = bytes_to_finish(removal)
    if behind is not None:
        finish += behind.header.decode_bytes
    return max(header.decode_bytes, finish)


def bytes_to_finish(removal: Removal) -> int:
    """Bytes that a removal takes at its peak once its pictures are decoded.

    Raises:
        InvalidRequest: If the canvas would be larger than any picture that is taken.
    """
    header, options = removal.header, removal.options
    size = header.height, header.width
    pixels = header.height * header.width
    finish = pixels * _FINISH_BYTES
    canvas = largest_canvas(options, *size) if options.is_laid_out else pixels
    if options.is_laid_out or options.made == "composite":
        finish += canvas * _CANVAS_BYTES
    if options.format in ("webp", "avif"):
        finish += canvas * _CODEC_BYTES
    return finish
