"""Takes a picture in whatever form a caller has it, and makes a file of it."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any, NamedTuple, Union

#: A path, the bytes of a file, an open file, a Pillow image, or an array ``[H, W]``, ``[H, W, 3]``
#: or ``[H, W, 4]`` of uint8 in RGB.
Source = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, Any]

_PNG_KINDS = {1: 0, 3: 2, 4: 6}  # channels to PNG's own word for them


class Picture(NamedTuple):
    """A file to send.

    Attributes:
        name: What it is called.
        data: Its bytes.
    """

    name: str
    data: bytes


def read_picture(source: Source) -> Picture:
    """Make a file of a picture.

    Args:
        source: The picture; see `Source`.

    Raises:
        OSError: If a file cannot be read.
        TypeError: If it is nothing of these.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        return Picture(path.name, path.read_bytes())
    if isinstance(source, bytes | bytearray | memoryview):
        return Picture("image", bytes(source))
    if hasattr(source, "getexif") and hasattr(source, "save"):
        return Picture("image.png", _file_of_image(source))
    if hasattr(source, "__array_interface__"):
        return Picture("image.png", _file_of_array(source))
    if hasattr(source, "read"):
        return _read_open_file(source)
    raise TypeError(
        f"{type(source).__name__} is no picture: give a path, bytes, a file, a Pillow "
        "image or an array"
    )


def _read_open_file(file: Any) -> Picture:
    data = file.read()
    if not isinstance(data, bytes):
        raise TypeError("the file is open as text; open it with 'rb'")
    name = getattr(file, "name", None)
    return Picture(Path(name).name if isinstance(name, str) else "image", data)


def _file_of_image(image: Any) -> bytes:
    """A PNG of a Pillow image, with its orientation, for the service to turn it upright."""
    file = io.BytesIO()
    try:
        image.save(file, "PNG", compress_level=1, exif=image.getexif())
    except OSError:  # a mode that PNG does not have, such as CMYK
        image.convert("RGB").save(file, "PNG", compress_level=1, exif=image.getexif())
    return file.getvalue()


def _file_of_array(array: Any) -> bytes:
    """A PNG of an array."""
    shape, kind = array.shape, str(array.dtype)
    channels = shape[2] if len(shape) == 3 else 1
    if kind != "uint8" or len(shape) not in (2, 3) or channels not in _PNG_KINDS:
        raise TypeError(
            f"an array {list(shape)} of {kind} is no picture: give uint8 in [H, W], "
            "[H, W, 3] or [H, W, 4]"
        )
    height, width = shape[:2]
    lines = array.tobytes()  # row by row, however it lies in memory
    row = width * channels
    filtered = b"".join(b"\0" + lines[at : at + row] for at in range(0, height * row, row))
    head = struct.pack(">IIBBBBB", width, height, 8, _PNG_KINDS[channels], 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", head)
        + _chunk(b"IDAT", zlib.compress(filtered, 1))
        + _chunk(b"IEND", b"")
    )


def _chunk(name: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + check
