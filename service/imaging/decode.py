"""An accepted file in, upright 8-bit sRGB pixels out.

Everything a camera, a scanner or an editor writes ends as the same two arrays: orientation applied,
ICC profile converted, CMYK, palette, grey and 16-bit brought to RGB, transparency kept apart.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, ImageCms

from service.errors import CorruptImage
from service.imaging.formats import JPEG
from service.imaging.guard import DECODER_FAULTS, ImageHeader

U8Array = npt.NDArray[np.uint8]

_SRGB = ImageCms.createProfile("sRGB")
_ICC_MODES = ("RGB", "CMYK", "L")
_ICC_MARKER = b"ICC_PROFILE\x00"
_SIXTEEN_BIT_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")

# What must be done to stored pixels to make them upright, by EXIF orientation.
_TURN = {3: cv2.ROTATE_180, 6: cv2.ROTATE_90_CLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}
_MIRROR = {2: 1, 4: 0}


@dataclass(frozen=True)
class SourceImage:
    """What the user sent, decoded.

    Attributes:
        pixels: ``[H, W, 3]`` uint8, sRGB, upright.
        alpha: The file's own opacity ``[H, W]`` uint8, or None where it has none.
    """

    pixels: U8Array
    alpha: U8Array | None

    @property
    def height(self) -> int:
        """Rows, in pixels."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns, in pixels."""
        return int(self.pixels.shape[1])


def decode(data: bytes, header: ImageHeader) -> SourceImage:
    """Decode a file the guard has accepted.

    Args:
        data: The uploaded file.
        header: What `guard.inspect` said of it.

    Returns:
        The source image.

    Raises:
        CorruptImage: If it cannot be decoded to the end; the caller's fault.
    """
    pixels = _decode_plain_jpeg(data, header) if header.format is JPEG else None
    alpha: U8Array | None = None
    if pixels is None:
        try:
            pixels, alpha = _decode_anything(data, header)
        except DECODER_FAULTS as fault:
            raise CorruptImage from fault
    upright = _upright(pixels, header.orientation)
    return SourceImage(upright, None if alpha is None else _upright(alpha, header.orientation))


def _decode_plain_jpeg(data: bytes, header: ImageHeader) -> U8Array | None:
    """The fast path: three or one channel, no profile, by libjpeg-turbo straight into an array.

    Its own reading of the header must be the one the guard has judged, or the limits would not
    hold.

    Returns:
        Pixels ``[H, W, 3]`` as stored, or None where Pillow must have a closer look (and the last
        word).
    """
    if _ICC_MARKER in data:
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        judged = {(header.height, header.width), (header.width, header.height)}
        if colours not in ("YCbCr", "RGB", "Gray") or (height, width) not in judged:
            return None
        pixels: U8Array = simplejpeg.decode_jpeg(data, colorspace="RGB")
    except ValueError:
        return None
    return pixels


def _decode_anything(data: bytes, header: ImageHeader) -> tuple[U8Array, U8Array | None]:
    """Decode with Pillow whatever the file holds, first frame only."""
    with Image.open(io.BytesIO(data), formats=list(header.format.pillow_names)) as image:
        image.load()
        profile = image.info.get("icc_profile")
        alpha: U8Array | None = None
        flat: Image.Image
        if image.mode in _SIXTEEN_BIT_MODES:
            values = np.asarray(image)
            flat = Image.fromarray(_to_eight_bits(values))
            if "transparency" in image.info:  # one level of grey
                alpha = np.where(values == image.info["transparency"], 0, 255).astype(np.uint8)
        elif image.mode in _ALPHA_MODES or "transparency" in image.info:
            rgba = image.convert("RGBA")
            alpha = np.asarray(rgba.getchannel("A"))
            flat = rgba.convert("RGB")
        elif image.mode in _ICC_MODES:
            flat = image
        else:
            flat = image.convert("RGB")
        return np.asarray(_to_srgb(flat, profile)), alpha


def _to_eight_bits(values: npt.NDArray[np.generic]) -> U8Array:
    """Scale 16-bit grey; converting it would saturate nearly everything."""
    clipped = np.clip(values, 0, 65535).astype(np.uint32)
    return np.asarray((clipped + 128) // 257, dtype=np.uint8)


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert through the embedded profile; without one, or with a broken one, RGB is sRGB."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "srgb" not in ImageCms.getProfileDescription(source).lower():
                converted = ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
                if converted is not None:
                    return converted
        except (ImageCms.PyCMSError, *DECODER_FAULTS):
            pass
    return image if image.mode == "RGB" else image.convert("RGB")


def _upright(array: U8Array, orientation: int) -> U8Array:
    """Turn and mirror by EXIF orientation; 1 is returned as it is."""
    if orientation in _TURN:
        return np.asarray(cv2.rotate(array, _TURN[orientation]), dtype=np.uint8)
    if orientation in _MIRROR:
        return np.asarray(cv2.flip(array, _MIRROR[orientation]), dtype=np.uint8)
    if orientation == 5:  # mirrored along the main diagonal
        return np.asarray(cv2.transpose(array), dtype=np.uint8)
    if orientation == 7:  # mirrored along the other diagonal
        return np.asarray(cv2.flip(cv2.transpose(array), -1), dtype=np.uint8)
    return np.ascontiguousarray(array)
