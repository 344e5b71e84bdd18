"""The one place that decides which colour space a picture is in, and brings it to sRGB.

By content and never by name: a profile that calls itself sRGB is converted where its numbers are
not sRGB's, and one that changes nothing costs nothing.

Source:
    PNG (Third Edition), section 4.3, for which of its chunks counts: cICP, iCCP, sRGB, gAMA and
    cHRM. DCF 2.0 for Adobe RGB told by EXIF.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from models.arrays import U8Array
from service.imaging.colour_spaces import (
    ADOBE_RGB_CHROMATICITIES,
    ADOBE_RGB_GAMMA,
    SRGB_CHROMATICITIES,
    make_profile,
    power_curve,
    profile_of_cicp,
    srgb_curve,
)
from service.imaging.container import DECODER_FAULTS, CheckDeadline, ColourTags

_SRGB = ImageCms.createProfile("sRGB")
_MODE_OF_SPACE = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
_SOURCE_CLASSES = (b"scnr", b"mntr", b"prtr", b"spac")
# Profiles of sRGB differ by as much in their curves: tables of 1,024, formulas, rounded primaries.
_SAME_LEVELS = 2
# PNG: sRGB's curve is written as the power 1/2.2; libpng, too, takes 5 % about it for the same.
_SRGB_GAMMA = 0.45455
_SAME_GAMMA = 0.05
_GAMMAS = (0.05, 20.0)
_STRIP_PIXELS = 250_000
# Copies of a strip, most in Pillow's four bytes a pixel.
_WORK_BYTES_PER_PIXEL = 24
_MOST_KNOWN = 256
_KNOWN: dict[bytes, bool] = {}  # whether the profile of a hash is sRGB


def to_srgb(
    colours: U8Array, tags: ColourTags, *, adobe_rgb: bool, check_deadline: CheckDeadline
) -> U8Array:
    """Bring stored colours to sRGB.

    Args:
        colours: ``[H, W]`` grey, ``[H, W, 3]`` RGB or ``[H, W, 4]`` CMYK, uint8.
        tags: What the file says of them.
        adobe_rgb: Whether EXIF says Adobe RGB.
        check_deadline: Called for every strip.

    Returns:
        ``[H, W, 3]`` uint8.
    """
    mode = "L" if colours.ndim == 2 else {3: "RGB", 4: "CMYK"}[colours.shape[2]]
    transform, takes = _transform(mode, tags, adobe_rgb=adobe_rgb)
    if transform is None and mode == "RGB":
        return colours
    height, width = colours.shape[:2]
    pixels = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        check_deadline()
        strip = np.ascontiguousarray(colours[top : top + rows])
        image: Image.Image | None = Image.frombytes(mode, strip.shape[1::-1], strip.tobytes())
        if transform is not None and image is not None:
            image = ImageCms.applyTransform(image.convert(takes), transform)
        if image is not None:
            pixels[top : top + rows] = np.asarray(image.convert("RGB"))
    return pixels


def conversion_bytes(pixels: int) -> int:
    """What `to_srgb` takes beside its argument and its result."""
    return min(pixels, _STRIP_PIXELS) * _WORK_BYTES_PER_PIXEL


def _transform(
    mode: str, tags: ColourTags, *, adobe_rgb: bool
) -> tuple[ImageCms.ImageCmsTransform | None, str]:
    """The way to sRGB, or None where there is nothing to do; and the mode it takes."""
    for profile in _profiles(tags, adobe_rgb=adobe_rgb):
        if profile is None:
            break
        takes = _MODE_OF_SPACE.get(profile[16:20], "")
        if takes != mode and not (mode == "L" and profile is not tags.icc):
            continue  # a profile of another kind of colour says nothing about these
        try:
            if not _is_srgb(profile, takes):
                return _build(profile, takes), takes
        except (ImageCms.PyCMSError, *DECODER_FAULTS):
            continue  # damaged
        break
    return None, mode


def _profiles(tags: ColourTags, *, adobe_rgb: bool) -> Iterator[bytes | None]:
    """Profiles of what the file says, the word that counts most first; None says: it is sRGB."""
    if tags.cicp is not None and (known := profile_of_cicp(tags.cicp)) is not None:
        yield known
    if tags.icc is not None and tags.icc[12:16] in _SOURCE_CLASSES:
        yield tags.icc
    if tags.srgb:
        yield None
    if tags.gamma is not None and _GAMMAS[0] < tags.gamma < _GAMMAS[1]:
        profile = _by_gamma(tags.gamma, tags.chromaticities or SRGB_CHROMATICITIES)
        if profile is not None:
            yield profile
    if adobe_rgb:
        yield make_profile(ADOBE_RGB_CHROMATICITIES, power_curve(ADOBE_RGB_GAMMA))


@lru_cache(maxsize=64)
def _by_gamma(gamma: float, chromaticities: tuple[float, ...]) -> bytes | None:
    is_srgb = abs(gamma / _SRGB_GAMMA - 1) < _SAME_GAMMA
    return make_profile(chromaticities, srgb_curve if is_srgb else power_curve(1 / gamma))


def _build(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)), _SRGB, mode, "RGB"
    )


def _is_srgb(profile: bytes, mode: str) -> bool:
    """Whether a profile changes no colour to speak of; asked once per profile, by its hash."""
    digest = hashlib.sha256(profile).digest()
    if digest not in _KNOWN:
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[digest] = mode != "CMYK" and _changes_nothing(_build(profile, mode), mode)
    return _KNOWN[digest]


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Try it on every grey, and on colours all over the cube."""
    levels = np.arange(256, dtype=np.uint8)
    probe = levels[None]
    if mode == "RGB":
        few = np.linspace(0, 255, 17).round().astype(np.uint8)
        cube = np.stack(np.meshgrid(few, few, few), axis=-1).reshape(-1, 3)
        probe = np.concatenate([np.stack([levels] * 3, axis=1), cube])[None]
    image = Image.frombytes(mode, probe.shape[1::-1], probe.tobytes())
    converted = ImageCms.applyTransform(image, transform)
    wanted = np.asarray(image.convert("RGB")).astype(int)
    return converted is not None and bool(
        np.abs(np.asarray(converted) - wanted).max() <= _SAME_LEVELS
    )
