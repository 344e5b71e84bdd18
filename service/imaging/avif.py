"""AVIF: pictures coded as AV1, each handed to the decoder as a file of its own."""

from __future__ import annotations

import io
from functools import partial

import numpy as np
from PIL import AvifImagePlugin, Image

from models.arrays import U8Array
from service.errors import UnsupportedFormat
from service.imaging.av1 import Av1Picture, read_av1
from service.imaging.heif import Coding, HeifFile, read_heif
from service.imaging.heif_boxes import HeifItems, read_boxes
from service.imaging.heif_properties import Nclx, size_of
from service.imaging.heif_single import box, single_item

# Threads are ours to count: an imaging thread decodes one picture.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

_CODED = b"av01"
# What libavif makes RGB of: not XYZ, constant luminance, or ICtCp.
_MATRICES = (0, 1, 2, 4, 5, 6, 7, 8, 9, 12)


def read_avif(data: bytes) -> HeifFile:
    """Read the layout of an AVIF.

    Args:
        data: A file that begins like an AVIF.

    Raises:
        ValueError: If there is no picture in it.
        struct.error: If it ends too early.
        UnsupportedFormat: If it is of a rare kind that is not read.
    """
    return read_heif(data, read_boxes(data), _CODED, _read_item)


def _read_item(data: bytes, items: HeifItems, item: int, nclx: Nclx | None) -> Coding:
    picture = read_av1(items.data_of(item, data))
    if (picture.width, picture.height) != size_of(data, items, item):
        raise ValueError("a bitstream of another size")
    colours = nclx or Nclx(*picture.cicp, picture.full_range)
    if colours.matrix not in _MATRICES:
        raise UnsupportedFormat(
            f"Unsupported file format: this is an AVIF whose colours need matrix {colours.matrix}, "
            "which is not read here. Please save it as PNG or JPEG."
        )
    return Coding(picture.width, picture.height, picture.grey, partial(_decode, picture, colours))


def _decode(picture: Av1Picture, colours: Nclx) -> U8Array:
    try:
        with Image.open(io.BytesIO(_as_file(picture, colours)), formats=["AVIF"]) as image:
            pixels = np.asarray(image)
    except RuntimeError as fault:  # what Pillow makes of some of the decoder's complaints
        raise ValueError("not decoded") from fault
    wanted = (picture.height, picture.width, *(() if picture.grey else (3,)))
    if pixels.shape != wanted:
        raise ValueError("the decoder sees another picture")
    return pixels


def _as_file(picture: Av1Picture, colours: Nclx) -> bytes:
    """The picture as a file with one item."""
    across, down = picture.halved
    depth = (picture.depth > 8) << 6 | (picture.depth > 10) << 5
    config = bytes(
        (0x81, picture.profile << 5, depth | picture.grey << 4 | across << 3 | down << 2, 0)
    )
    size = (picture.width, picture.height)
    return single_item(b"avif", _CODED, size, box(b"av1C", config), colours, picture.units)
