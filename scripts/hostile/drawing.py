"""The picture that seeds are made of, and what may stand beside it in a file."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image, ImageCms

WIDTH, HEIGHT = 97, 71  # odd, so that rows of less than 8 bits a pixel need padding


def encode(image: Image.Image, wanted: str, **options: Any) -> bytes:
    """A picture as a file of a format of Pillow's."""
    file = io.BytesIO()
    image.save(file, wanted, **options)
    return file.getvalue()


def picture(mode: str = "RGB") -> Image.Image:
    """A bright disc on a ground that changes; its first pixel asks the fake engine for no time."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    disc = (x - WIDTH / 2) ** 2 + (y - HEIGHT / 2) ** 2 < (HEIGHT / 3) ** 2
    ground = np.stack([x * 2, y * 3, (x ^ y) + 60], axis=-1).astype(np.uint8)
    colour = Image.fromarray(np.where(disc[..., None], (220, 190, 150), ground).astype(np.uint8))
    if mode in ("RGBA", "LA"):
        alpha = Image.fromarray(np.where(disc, 255, x).astype(np.uint8))
        colour = colour.convert(mode[:-1] if mode == "LA" else "RGB")
        colour.putalpha(alpha)
        return colour
    return colour.convert(mode)


def make_exif() -> Image.Exif:
    """EXIF data that turns the picture and says where it was taken."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Camera"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8769)[0xA001] = 65535
    return exif


def srgb_profile() -> bytes:
    """A profile of sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
