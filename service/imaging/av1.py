"""AV1: what the head of a bitstream says, and its first picture alone.

A decoder allocates what the bitstream asks for, whatever the file around it states. So the size is
read here as the decoder reads it, and nothing is handed on but one frame of that size.

Source: AV1 Bitstream and Decoding Process Specification, version 1.0.0 with errata 1, section 5.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from service.imaging.bits import Bits

_SEQUENCE, _DELIMITER, _FRAME_HEADER, _TILES, _FRAME, _AGAIN = 1, 2, 3, 4, 6, 7
_MAX_UNITS = 4096
_MAX_HEADER_BYTES = 64
_CHOSEN_BY_FRAME = 2
_SRGB_IN_FULL = (1, 13, 0)


@dataclass(frozen=True)
class Av1Picture:
    """One picture of a bitstream.

    Attributes:
        width: Columns.
        height: Rows.
        profile: 0, 1 or 2.
        depth: Bits of a sample: 8, 10 or 12.
        grey: Whether it has no colours.
        halved: Whether it has half as many columns, and rows, of colour.
        cicp: Primaries, transfer and matrix by their numbers in H.273.
        full_range: Whether samples use all of their range.
        units: The bitstream of this picture alone.
    """

    width: int
    height: int
    profile: int
    depth: int
    grey: bool
    halved: tuple[bool, bool]
    cicp: tuple[int, int, int]
    full_range: bool
    units: bytes = b""


@dataclass
class _Sequence:
    """What the sequence header says of the headers of frames.

    Attributes:
        reduced: Whether frames have the short header of a still picture.
        time_bits: Bits of a frame's time; 0 where it has none.
        screen_tools: 0, 1, or 2 where every frame says.
        whole_motion: The same of motion in whole pixels.
        id_bits: Bits of a frame's number; 0 where it has none.
    """

    reduced: bool = False
    time_bits: int = 0
    screen_tools: int = _CHOSEN_BY_FRAME
    whole_motion: int = _CHOSEN_BY_FRAME
    id_bits: int = 0


def read_av1(data: bytes) -> Av1Picture:
    """Read the head of a bitstream and cut out its first picture.

    Args:
        data: The bitstream of an image item.

    Raises:
        ValueError: If it does not begin with a picture that stands for itself.
    """
    picture, sequence, kept, in_frame = None, _Sequence(), [], False
    for kind, body_at, at, end in _units(data):
        if kind == _SEQUENCE and picture is None:
            picture = _read_sequence(
                Bits(data[body_at : min(end, body_at + _MAX_HEADER_BYTES)]), sequence
            )
        elif kind in (_FRAME, _FRAME_HEADER) and not in_frame and picture is not None:
            _check_frame(Bits(data[body_at : min(end, body_at + _MAX_HEADER_BYTES)]), sequence)
            in_frame = True
        elif kind in (_FRAME, _FRAME_HEADER, _DELIMITER) and in_frame:
            break
        elif not (kind in (_TILES, _AGAIN) and in_frame):
            continue
        kept.append(data[at:end])
    if picture is None or not in_frame:
        raise ValueError("no picture")
    return replace(picture, units=b"".join(kept))


def _units(data: bytes) -> list[tuple[int, int, int, int]]:
    """Kind, beginning of the body, beginning and end of every unit (OBU)."""
    found: list[tuple[int, int, int, int]] = []
    at = 0
    while at < len(data):
        head, body = data[at], at + 1 + (data[at] >> 2 & 1)
        size = len(data) - body
        if head >> 1 & 1:
            size, shift = 0, 0
            while True:
                size |= (data[body] & 127) << shift
                shift, body = shift + 7, body + 1
                if data[body - 1] < 128 or shift > 49:
                    break
        if head >> 7 or size < 0 or body + size > len(data) or len(found) >= _MAX_UNITS:
            raise ValueError("units cut short, or too many")
        found.append((head >> 3 & 15, body, at, body + size))
        at = body + size
    return found


def _read_sequence(bits: Bits, sequence: _Sequence) -> Av1Picture:
    profile = bits.take(3)
    bits.flag()  # a still picture
    sequence.reduced = bits.flag()
    if sequence.reduced:
        bits.take(5)
    else:
        _read_operating_points(bits, sequence)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    width, height = bits.take(width_bits) + 1, bits.take(height_bits) + 1
    if not sequence.reduced and bits.flag():
        delta_bits = bits.take(4) + 2
        sequence.id_bits = delta_bits + bits.take(3) + 1
    bits.take(3)  # large blocks, two kinds of prediction
    if not sequence.reduced:
        _read_tools(bits, sequence)
    bits.take(3)  # super resolution, two filters
    return _read_colours(bits, profile, width, height)


def _read_operating_points(bits: Bits, sequence: _Sequence) -> None:
    delay_bits, even, has_model = 0, False, False
    if bits.flag():  # timing
        bits.take(64)
        even = bits.flag()
        if even:
            bits.exponential()
        has_model = bits.flag()
        if has_model:
            delay_bits = bits.take(5) + 1
            bits.take(37)
            time_bits = bits.take(5) + 1
            sequence.time_bits = 0 if even else time_bits
    has_delays = bits.flag()
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.flag()
        if has_model and bits.flag():
            bits.take(2 * delay_bits + 1)
        if has_delays and bits.flag():
            bits.take(4)


def _read_tools(bits: Bits, sequence: _Sequence) -> None:
    bits.take(4)
    has_order = bits.flag()
    if has_order:
        bits.take(2)
    sequence.screen_tools = _CHOSEN_BY_FRAME if bits.flag() else bits.take(1)
    if sequence.screen_tools:
        sequence.whole_motion = _CHOSEN_BY_FRAME if bits.flag() else bits.take(1)
    if has_order:
        bits.take(3)


def _read_colours(bits: Bits, profile: int, width: int, height: int) -> Av1Picture:
    deep = bits.flag()
    depth = 10 if deep else 8
    if profile == 2 and deep and bits.flag():
        depth = 12
    grey = profile != 1 and bits.flag()
    cicp = (bits.take(8), bits.take(8), bits.take(8)) if bits.flag() else (2, 2, 2)
    halved = {0: (True, True), 1: (False, False)}.get(profile, (True, False))
    full_range = True
    if grey:
        full_range = bits.flag()
        halved = (True, True)
    elif cicp == _SRGB_IN_FULL:
        halved = (False, False)
    else:
        full_range = bits.flag()
        if depth == 12:
            across = bits.flag()
            halved = (across, across and bits.flag())
    return Av1Picture(width, height, profile, depth, grey, halved, cicp, full_range)


def _check_frame(bits: Bits, sequence: _Sequence) -> None:
    """Whether a frame stands for itself, is shown, and has the size of its sequence."""
    if sequence.reduced:
        return
    exists, kind, shown = bits.flag(), bits.take(2), bits.flag()
    if exists or kind or not shown:
        raise ValueError("not a key frame that is shown")
    bits.take(sequence.time_bits)
    bits.flag()  # adapting probabilities
    tools = bits.take(1) if sequence.screen_tools == _CHOSEN_BY_FRAME else sequence.screen_tools
    if tools and sequence.whole_motion == _CHOSEN_BY_FRAME:
        bits.flag()
    bits.take(sequence.id_bits)
    if bits.flag():
        raise ValueError("a frame of a size of its own")
