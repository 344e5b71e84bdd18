"""Files damaged at random: bits, lengths, and whole parts of their formats."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from random import Random

from scripts.hostile.seeds import PNG_MAGIC

_MOST_BYTES = 12 * 1024**2  # a little over what the service takes, so that this is tried, too
_COPIES = (2, 3, 17, 300, 2000)
_NUMBERS = (
    0,
    1,
    2,
    63,
    64,
    127,
    128,
    255,
    256,
    4096,
    7680,
    7681,
    32767,
    65535,
    2**31 - 1,
    2**32 - 1,
)
_MAGICS = (
    PNG_MAGIC,
    b"\xff\xd8\xff\xe0",
    b"RIFF\xff\0\0\0WEBPVP8 ",
    b"BM",
    b"GIF89a",
    b"II*\0",
    b"%PDF-1.7\n",
)
# How our formats begin, and over how many bytes that goes.
_OURS = (
    (PNG_MAGIC, 8),
    (b"\xff\xd8\xff", 3),
    (b"RIFF", 12),
    (b"BM", 2),
    (b"GIF8", 6),
    (b"II*\0", 4),
    (b"MM\0*", 4),
)
_BOXES_IN = {b"meta": 12, b"iprp": 8, b"ipco": 8, b"moov": 8, b"iinf": 14, b"iref": 12}
_KEEP_MAGIC = 0.85
_HEAD = 160  # bytes where most formats keep what they say of themselves

Mutation = Callable[[bytes, Sequence[bytes], Random], bytes]


def mutate(data: bytes, others: Sequence[bytes], random: Random) -> tuple[bytes, str]:
    """Damage a file one to five times.

    Args:
        data: A file.
        others: Files that parts may be taken from.
        random: Decides everything.

    Returns:
        What became of it, and the names of what was done.
    """
    start = data[: next((n for magic, n in _OURS if data.startswith(magic)), 0)]
    done = []
    for _ in range(random.choice((1, 1, 1, 2, 3, 5))):
        mutation = random.choice(_MUTATIONS)
        damaged = mutation(data, others, random)
        if 0 < len(damaged) <= _MOST_BYTES:
            data = damaged
            done.append(mutation.__name__)
    if random.random() < _KEEP_MAGIC:  # else every fourth file would be refused for its start
        data = start + data[len(start) :]
    return data, "+".join(done)


def split(data: bytes) -> list[bytes]:
    """A file as its parts: PNG chunks, JPEG segments, RIFF chunks, or simply pieces."""
    if data.startswith(PNG_MAGIC):
        return _split_by_length(data, 8, lambda at: struct.unpack_from(">I", data, at)[0] + 12)
    if data.startswith(b"\xff\xd8"):
        return _split_jpeg(data)
    if data.startswith(b"RIFF"):

        def chunk(at: int) -> int:
            length = int(struct.unpack_from("<I", data, at + 4)[0])
            return 8 + length + length % 2

        return _split_by_length(data, 12, chunk)
    if data[4:8] == b"ftyp":
        return _split_boxes(data)
    if data.startswith((b"II*\0", b"MM\0*")):
        return _split_tiff(data)
    return [data[at : at + 16] for at in range(0, len(data), 16)]


def flip_bits(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    """Up to eight bits anywhere, or near the start."""
    changed = bytearray(data)
    reach = random.choice((len(data), min(len(data), _HEAD)))
    for _unused in range(random.randint(1, 8)):
        changed[random.randrange(reach)] ^= 1 << random.randrange(8)
    return bytes(changed)


def cut_short(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    """The end is missing, sometimes all but the start."""
    return data[: max(1, int(len(data) * random.random() ** random.choice((0.2, 1, 3))))]


def add_junk(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """Something before, behind or in the middle: noise, zeros or another file."""
    junk = random.choice(
        (
            random.randbytes(random.randint(1, 2000)),
            bytes(random.choice((1, 100, 100_000))),
            random.choice(others),
        )
    )
    at = random.choice((0, len(data), random.randint(0, len(data))))
    return data[:at] + junk + data[at:]


def splice(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """The start of this and the end of another."""
    other = random.choice(others)
    return data[: random.randint(0, len(data))] + other[random.randint(0, len(other)) :]


def set_number(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    """A telling number of one to four bytes, mostly in the head: a width, a length, a count."""
    changed = bytearray(data)
    at = random.randrange(random.choice((len(data), min(len(data), _HEAD), min(len(data), _HEAD))))
    n_bytes = random.choice((1, 2, 4))
    value = random.choice(_NUMBERS) & (256**n_bytes - 1)
    changed[at : at + n_bytes] = value.to_bytes(n_bytes, random.choice(("big", "little")))
    return bytes(changed)


def set_size(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    """Another width or height, where the format keeps it, under a right checksum."""
    side = random.choice((*_NUMBERS[:13], random.randint(1, 9000)))
    changed = bytearray(data)
    if data.startswith(PNG_MAGIC) and len(data) > 33:
        struct.pack_into(">I", changed, random.choice((16, 20)), side)
        struct.pack_into(">I", changed, 29, zlib.crc32(changed[12:29]))
    elif data.startswith(b"BM") and len(data) > 26:
        struct.pack_into("<i", changed, random.choice((18, 22)), random.choice((side, -side)))
    elif data.startswith(b"RIFF") and len(data) > 30:
        struct.pack_into("<H", changed, random.choice((24, 26, 27, 28)), side & 0xFFFF)
    else:
        frames = [
            at for at in range(len(data) - 9) if data[at] == 255 and 192 <= data[at + 1] <= 194
        ]
        if frames:
            struct.pack_into(">H", changed, random.choice(frames) + random.choice((5, 7)), side)
    return bytes(changed)


def swap_magic(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    """It begins like another format."""
    magic = random.choice(_MAGICS)
    return magic + data[len(magic) :]


def repeat_part(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    """A part again, up to thousands of times."""
    parts = split(data)
    at = random.randrange(len(parts))
    copies = min(random.choice(_COPIES), 1 + _MOST_BYTES // max(1, len(parts[at])))
    return b"".join((*parts[:at], *[parts[at]] * copies, *parts[at + 1 :]))


def drop_part(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    """A part less."""
    parts = split(data)
    del parts[random.randrange(len(parts))]
    return b"".join(parts)


def move_part(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    """A part somewhere else."""
    parts = split(data)
    part = parts.pop(random.randrange(len(parts)))
    parts.insert(random.randint(0, len(parts)), part)
    return b"".join(parts)


def borrow_part(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """A part of another file, in addition or in place of one."""
    parts = split(data)
    at = random.randint(0, len(parts))
    parts[at : at + random.randint(0, 1)] = [random.choice(split(random.choice(others)))]
    return b"".join(parts)


def damage_part(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """Damage inside one part; a PNG's chunk gets the checksum that hides it."""
    parts = split(data)
    at = random.randrange(len(parts))
    part = parts[at]
    if data.startswith(PNG_MAGIC) and at and len(part) >= 12:
        inner = random.choice((flip_bits, set_number, cut_short))(part[4:-4], others, random)
        if len(inner) >= 4:
            length = struct.pack(">I", len(inner) - 4)
            parts[at] = length + inner + struct.pack(">I", zlib.crc32(inner))
    elif part:
        parts[at] = random.choice((flip_bits, set_number, cut_short))(part, others, random)
    return b"".join(parts)


_MUTATIONS: tuple[Mutation, ...] = (
    flip_bits,
    cut_short,
    add_junk,
    splice,
    set_number,
    set_size,
    swap_magic,
    repeat_part,
    drop_part,
    move_part,
    borrow_part,
    *(damage_part,) * 4,  # goes deepest: everything else is as it should be
)


def _split_by_length(data: bytes, start: int, length_at: Callable[[int], int]) -> list[bytes]:
    """A head, then parts that state their length; what is left is one more."""
    parts, at = [data[:start]], start
    while at + 8 <= len(data):
        end = at + length_at(at)
        parts.append(data[at:end])
        at = end
    return [*parts, data[at:]] if at < len(data) else parts


def _split_boxes(data: bytes) -> list[bytes]:
    """Boxes; of those that hold boxes the head is a part, and each of these."""
    parts, at = [], 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        end = at + (_BOXES_IN.get(kind) or max(size, 8))
        parts.append(data[at:end])
        at = end
    return [*parts, data[at:]] if at < len(data) else parts


def _split_tiff(data: bytes) -> list[bytes]:
    """The first directory entry by entry, and what is before and behind it."""
    order = "<" if data.startswith(b"II") else ">"
    at = min(struct.unpack_from(order + "I", data, 4)[0], len(data)) if len(data) >= 8 else 0
    count = struct.unpack_from(order + "H", data, at)[0] if at + 2 <= len(data) else 0
    starts = [0, at, *range(at + 2, min(at + 2 + 12 * count, len(data)) + 1, 12)]
    return [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]


def _split_jpeg(data: bytes) -> list[bytes]:
    """Markers with what belongs to them, entropy-coded data included."""
    starts = [0]
    at = 2
    while 0 <= at < len(data) - 1:
        if data[at] == 0xFF and data[at + 1] not in (0, 0xFF):
            starts.append(at)
            bare = data[at + 1] == 1 or 0xD0 <= data[at + 1] <= 0xD9
            at += 2 if bare else 2 + int.from_bytes(data[at + 2 : at + 4])
        else:
            at = data.find(b"\xff", at + 1)
    return [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]
