"""HEIC: pictures coded as HEVC, each handed to the decoder as a file of its own.

Its decoder is an extra (`[heic]`); `service.imaging.formats` imports this only where that is there.
"""

from __future__ import annotations

import io
from functools import partial

import numpy as np
import pillow_heif

from models.arrays import U8Array
from service.imaging.heif import Coding, HeifFile, read_heif
from service.imaging.heif_boxes import HeifItems, read_boxes
from service.imaging.heif_properties import Nclx, size_of
from service.imaging.heif_single import box, single_item
from service.imaging.hevc import HevcParameters, first_picture, read_parameters

# Threads are ours to count: an imaging thread decodes one picture.
pillow_heif.options.DECODE_THREADS = 1

_CODED = b"hvc1"
# Coded pictures end with whole blocks, and what stands over is cut off.
_BLOCK = 64
_UNKNOWN, _BT_601 = 2, 6


def read_heic(data: bytes) -> HeifFile:
    """Read the layout of a HEIC.

    Args:
        data: A file that begins like a HEIC.

    Raises:
        ValueError: If there is no picture in it.
        struct.error: If it ends too early.
        UnsupportedFormat: If it is of a rare kind that is not read.
    """
    return read_heif(data, read_boxes(data), _CODED, _read_item)


def _read_item(data: bytes, items: HeifItems, item: int, nclx: Nclx | None) -> Coding:
    config = next((data[at:end] for k, at, end in items.properties_of(item) if k == b"hvcC"), b"")
    parameters = read_parameters(config)
    size = size_of(data, items, item)
    if not (0 <= parameters.width - size[0] < _BLOCK and 0 <= parameters.height - size[1] < _BLOCK):
        raise ValueError("a bitstream of another size")
    units = first_picture(items.data_of(item, data), parameters.length_bytes)
    colours = nclx or Nclx(_UNKNOWN, _UNKNOWN, _BT_601, full_range=True)
    return Coding(*size, parameters.grey, partial(_decode, parameters, size, colours, units))


def _decode(
    parameters: HevcParameters, size: tuple[int, int], colours: Nclx, units: bytes
) -> U8Array:
    config = box(b"hvcC", parameters.config)
    file = io.BytesIO(single_item(b"heic", _CODED, size, config, colours, units))
    try:
        pixels = np.asarray(pillow_heif.open_heif(file, convert_hdr_to_8bit=True))
    except RuntimeError as fault:  # what pillow_heif makes of some of the decoder's complaints
        raise ValueError("not decoded") from fault
    if pixels.shape[:2] != size[::-1]:
        raise ValueError("the decoder sees another size")
    if parameters.grey:
        return np.ascontiguousarray(pixels.reshape(*size[::-1], -1)[..., 0])
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError("the decoder sees another kind of picture")
    return pixels
