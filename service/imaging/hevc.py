"""HEVC: what the parameters of a bitstream say, and its first picture alone.

As with AV1, a decoder allocates what the bitstream asks for. So its one set of parameters is read
here, and nothing is handed on but the slices of one picture that stands for itself.

Source: ITU-T H.265 section 7.3; ISO/IEC 14496-15 for the box of the configuration (hvcC).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from service.imaging.bits import Bits

_VIDEO, _SEQUENCE, _PICTURE = 32, 33, 34
_KEY_PICTURES = range(16, 22)
_CONFIG_BYTES = 22
_MAX_SETS = 16
_MAX_SET_BYTES = 4096
_MAX_SLICES = 20_000
_GREY = 0


@dataclass(frozen=True)
class HevcParameters:
    """What the configuration of an item says.

    Attributes:
        width: Columns that are coded, before any are cut off.
        height: Rows that are coded.
        grey: Whether it has no colours.
        depth: Bits of a sample.
        length_bytes: How many bytes the length of a unit takes.
        config: The configuration with nothing else in it.
    """

    width: int
    height: int
    grey: bool
    depth: int
    length_bytes: int
    config: bytes


def read_parameters(config: bytes) -> HevcParameters:
    """Read the body of a configuration (hvcC).

    Raises:
        ValueError: If it is damaged, or has more than one set of parameters of a sequence.
    """
    kept: dict[int, list[bytes]] = {_VIDEO: [], _SEQUENCE: [], _PICTURE: []}
    at = _CONFIG_BYTES + 1
    for _ in range(config[_CONFIG_BYTES]):
        kind, count = struct.unpack_from(">BH", config, at)
        at += 3
        for _ in range(count):
            (size,) = struct.unpack_from(">H", config, at)
            unit = config[at + 2 : at + 2 + size]
            at += 2 + size
            if len(unit) < size or size > _MAX_SET_BYTES:
                raise ValueError("parameters cut short, or too long")
            if kind & 63 in kept:
                if size < 3 or unit[0] >> 1 != kind & 63:
                    raise ValueError("parameters of another kind than stated")
                kept[kind & 63].append(unit)
    if len(kept[_SEQUENCE]) != 1 or sum(map(len, kept.values())) > _MAX_SETS:
        raise ValueError("no parameters, or too many")
    width, height, grey, depth = _read_sequence(kept[_SEQUENCE][0])
    arrays = b"".join(
        struct.pack(">BH", 0x80 | kind, len(units))
        + b"".join(struct.pack(">H", len(unit)) + unit for unit in units)
        for kind, units in kept.items()
    )
    alone = config[:_CONFIG_BYTES] + bytes((len(kept),)) + arrays
    return HevcParameters(width, height, grey, depth, 1 + (config[21] & 3), alone)


def first_picture(data: bytes, length_bytes: int) -> bytes:
    """The slices of the first picture of a bitstream.

    Raises:
        ValueError: If it is cut short, or does not begin with a picture that stands for itself.
    """
    kept: list[bytes] = []
    at = 0
    while at + length_bytes < len(data):
        size = int.from_bytes(data[at : at + length_bytes], "big")
        body, end = at + length_bytes, at + length_bytes + size
        if size < 3 or end > len(data) or len(kept) > _MAX_SLICES:
            raise ValueError("units cut short, or too many")
        if data[body] >> 1 in _KEY_PICTURES:
            if data[body + 2] >> 7 and kept:
                break
            kept.append(data[at:end])
        elif data[body] >> 1 < _VIDEO:
            break
        at = end
    if not kept:
        raise ValueError("no picture")
    return b"".join(kept)


def _read_sequence(unit: bytes) -> tuple[int, int, bool, int]:
    """Coded columns and rows, whether it is grey, and bits of a sample."""
    bits = Bits(_without_guards(unit[2:]))
    bits.take(4)
    layers = bits.take(3)
    bits.flag()
    bits.take(96)  # profile, tier and level
    present = [(bits.flag(), bits.flag()) for _ in range(layers)]
    if layers:
        bits.take(2 * (8 - layers))
    for has_profile, has_level in present:
        bits.take(88 * has_profile + 8 * has_level)
    bits.exponential()  # its number
    chroma = bits.exponential()
    if chroma == 3:
        bits.flag()
    width, height = bits.exponential(), bits.exponential()
    if bits.flag():  # what is cut off
        for _ in range(4):
            bits.exponential()
    return width, height, chroma == _GREY, 8 + max(bits.exponential(), bits.exponential())


def _without_guards(unit: bytes) -> bytes:
    """A unit without the bytes put in so that no start code appears in it."""
    return unit.replace(b"\0\0\3", b"\0\0")
