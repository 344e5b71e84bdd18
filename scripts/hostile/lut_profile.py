"""An ICC profile whose colours are a table: the dearest kind to apply."""

from __future__ import annotations

import struct

import numpy as np

_D50 = struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)


def make_lut_profile(channels: int, grid: int) -> bytes:
    """A valid profile with a table of ``grid ** channels`` colours.

    Args:
        channels: 3 for RGB, 4 for CMYK.
        grid: Steps along each axis, 2..255.

    Source:
        ICC.1:2001-04, 6.1 and 6.5.8 (lut8Type).
    """
    ramp = bytes(range(256))
    steps = np.linspace(0, 255, grid).astype(np.uint8)
    places = np.indices((grid,) * channels).reshape(channels, -1)
    colours = steps[places[:3]].T.tobytes()
    unit = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    head = struct.pack(">4s4x4B", b"mft1", channels, 3, grid, 0)
    table = head + unit + ramp * channels + colours + ramp * 3
    name = struct.pack(">4s4xI", b"desc", 6) + b"table\0" + bytes(4 + 4 + 2 + 1 + 67)
    white = struct.pack(">4s4x", b"XYZ ") + _D50
    body, index, at = b"", struct.pack(">I", 3), 128 + 4 + 3 * 12
    for kind, data in ((b"desc", name), (b"wtpt", white), (b"A2B0", table)):
        padded = data + bytes(-len(data) % 4)
        index += struct.pack(">4sII", kind, at + len(body), len(data))
        body += padded
    space = b"CMYK" if channels == 4 else b"RGB "
    header = struct.pack(">4xI4s4s4s", 0x02400000, b"prtr", space, b"Lab ")
    header += struct.pack(">6H4s", 2026, 11, 27, 0, 0, 0, b"acsp") + bytes(28) + _D50
    header = header.ljust(124, b"\0")
    return struct.pack(">I", 128 + len(index) + len(body)) + header + index + body
