"""Colour spaces told by numbers, as ICC profiles: PNG's cICP and gAMA, a camera's Adobe RGB.

Source:
    ITU-T H.273 for the numbers of cICP; ITU-R BT.2100 for PQ and HLG, BT.2408 for the white of a
    page in them; ICC.1:2001-04 for the profile.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Curve = Callable[[FloatArray], FloatArray]

_D65, _C, _DCI = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351)
SRGB_CHROMATICITIES = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
ADOBE_RGB_CHROMATICITIES = (*_D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
ADOBE_RGB_GAMMA = 563 / 256

# White, red, green, blue by their number in H.273.
_PRIMARIES: dict[int, tuple[float, ...]] = {
    1: SRGB_CHROMATICITIES,
    4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    10: (1 / 3, 1 / 3, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    11: (*_DCI, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}

# BT.2408: the white of paper is 203 of the 10,000 cd/m2 of PQ, and of the 1,000 of a HLG display.
_PAPER_WHITE = 203.0
_PQ_PEAK = 10_000.0
_HLG_PEAK = 1_000.0
_HLG_SYSTEM_GAMMA = 1.2

_CURVE_POINTS = 4096
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_D50 = np.array([0.9642, 1.0, 0.8249])


def srgb_curve(v: FloatArray) -> FloatArray:
    """SRGB's numbers 0..1 to light 0..1 (IEC 61966-2-1)."""
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def power_curve(gamma: float) -> Curve:
    """Light is the number to the power of gamma."""
    return lambda v: v**gamma


def _video(v: FloatArray) -> FloatArray:
    return np.where(v < 0.081, v / 4.5, ((v + 0.099) / 1.099) ** (1 / 0.45))


def _smpte_240(v: FloatArray) -> FloatArray:
    return np.where(v < 0.0913, v / 4, ((v + 0.1115) / 1.1115) ** (1 / 0.45))


def _pq(v: FloatArray) -> FloatArray:
    power = v ** (1 / 78.84375)
    part = np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)
    return np.minimum(1, part ** (1 / 0.1593017578125) * _PQ_PEAK / _PAPER_WHITE)


def _hlg(v: FloatArray) -> FloatArray:
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(v <= 0.5, v * v / 3, (np.exp((v - c) / a) + b) / 12)
    return np.minimum(1, scene**_HLG_SYSTEM_GAMMA * _HLG_PEAK / _PAPER_WHITE)


_TRANSFERS: dict[int, Curve] = {
    **dict.fromkeys((1, 6, 11, 12, 14, 15), _video),
    4: power_curve(2.2),
    5: power_curve(2.8),
    7: _smpte_240,
    8: lambda v: v,
    9: lambda v: np.where(v > 0, 10 ** (2 * (v - 1)), 0),
    10: lambda v: np.where(v > 0, 10 ** (2.5 * (v - 1)), 0),
    13: srgb_curve,
    16: _pq,
    17: lambda v: np.minimum(1, v**2.6 * 52.37 / 48),
    18: _hlg,
}


@lru_cache(maxsize=64)
def profile_of_cicp(cicp: tuple[int, int, int, int]) -> bytes | None:
    """A profile of the colour space with these numbers; None where they say nothing usable.

    Light above the white of a page (PQ, HLG) is cut off there: a cutout has nowhere to keep it.

    Args:
        cicp: Primaries, transfer, matrix (0 in every PNG) and whether the range is full.
    """
    primaries, transfer, matrix, full_range = cicp
    if primaries not in _PRIMARIES or transfer not in _TRANSFERS or matrix != 0:
        return None
    curve = _TRANSFERS[transfer]
    if full_range:
        return make_profile(_PRIMARIES[primaries], curve)
    return make_profile(_PRIMARIES[primaries], lambda v: curve(np.clip((255 * v - 16) / 219, 0, 1)))


def make_profile(chromaticities: tuple[float, ...], curve: Curve) -> bytes | None:
    """A display profile of three primaries and one curve.

    Args:
        chromaticities: x and y of white, red, green and blue.
        curve: Numbers 0..1 to light 0..1.

    Returns:
        The profile, or None where no display has such primaries.
    """
    white, *primaries = (
        np.array([x, y, 1 - x - y]) for x, y in zip(*[iter(chromaticities)] * 2, strict=True)
    )
    if white[1] <= 0:
        return None
    white /= white[1]
    try:
        columns = np.stack(primaries, axis=1)
        columns = columns * np.linalg.solve(columns, white)
    except np.linalg.LinAlgError:
        return None
    cone_scale = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
    adapted = np.linalg.inv(_BRADFORD) @ cone_scale @ _BRADFORD @ columns
    if not np.isfinite(adapted).all() or np.abs(adapted).max() > 100:
        return None
    light = np.nan_to_num(curve(np.linspace(0, 1, _CURVE_POINTS))).clip(0, 1)
    table = np.rint(65535 * light).astype(">u2").tobytes()
    return _write_profile(adapted, b"curv\0\0\0\0" + struct.pack(">I", _CURVE_POINTS) + table)


def _write_profile(columns: FloatArray, curve: bytes) -> bytes:
    name = b"by numbers\0"
    description = b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(78)
    tags = {b"desc": description, b"cprt": b"text\0\0\0\0none\0", b"wtpt": _xyz(_D50)}
    for letter, column in zip(b"rgb", columns.T, strict=True):
        tags[bytes([letter]) + b"XYZ"] = _xyz(column)
    at = 128 + 4 + 12 * (len(tags) + 3)
    index, body = b"", b""
    for kind, data in tags.items():
        index += kind + struct.pack(">II", at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    for letter in b"rgb":  # all three share one curve
        index += bytes([letter]) + b"TRC" + struct.pack(">II", at + len(body), len(curve))
    body += curve
    head = struct.pack(">I4sI", at + len(body), bytes(4), 0x02400000) + b"mntrRGB XYZ "
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _xyz(_D50)[8:]
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags) + 3) + index + body


def _xyz(values: FloatArray) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values.tolist()))
