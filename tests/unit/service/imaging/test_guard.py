"""Every file the guard must refuse, with its code, and those it must not."""

from __future__ import annotations

import io
import wave
import zipfile

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from service.errors import (
    AnimatedImage,
    CorruptImage,
    EmptyImage,
    FileTooLarge,
    ImageBomb,
    ImageError,
    ResolutionTooLarge,
    ResolutionTooSmall,
    UnsupportedFormat,
)
from service.imaging.decode import decode
from service.imaging.formats import SUPPORTED_NAMES
from service.imaging.guard import ImageHeader, ImageLimits, inspect
from tests.support.pictures import (
    make_array,
    make_image,
    make_noise,
    make_png,
    make_solid,
    png_chunk,
    save,
    with_orientation,
)

LIMITS = ImageLimits()
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF")


def refuse(data: bytes, media_type: str | None = None) -> ImageError:
    """The error this file is refused with."""
    with pytest.raises(ImageError) as refused:
        inspect(data, LIMITS, media_type)
    return refused.value


def accept(data: bytes, media_type: str | None = None) -> ImageHeader:
    return inspect(data, LIMITS, media_type)


def make_wav() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 1, 8000, 0, "NONE", ""))
        file.writeframes(b"\x80" * 4000)
    return buffer.getvalue()


def make_animation(format: str, n_frames: int, height: int = 64, width: int = 64) -> bytes:
    """Frames of noise: no bomb by ratio; the first one is the smooth picture."""
    frames = [Image.fromarray(make_noise(height, width, seed)) for seed in range(n_frames - 1)]
    first = Image.fromarray(make_array(height, width))
    options = {"lossless": True} if format == "WEBP" else {}
    return save(first, format, save_all=True, append_images=frames, duration=40, **options)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_accepted_with_its_size(name: str) -> None:
    header = accept(make_image(name, height=96, width=128))
    assert (header.format.name, header.height, header.width) == (name, 96, 128)


@pytest.mark.parametrize("data", [b"\x00", b"\xff\xd8", b"BN" + bytes(100), b"RIFF\0\0\0\0NOPE"])
def test_what_nobody_can_name_is_refused_as_such(data: bytes) -> None:
    error = refuse(data)
    assert type(error) is UnsupportedFormat
    assert error.detail == "Unsupported file format. Please upload JPEG, PNG, or WebP."
    assert error.fields["supported_formats"] == SUPPORTED_NAMES
    assert error.fields["received_format"] == "unknown"


def test_a_foreign_file_is_called_by_its_name_not_by_what_it_was_declared() -> None:
    error = refuse(make_wav(), "image/jpeg")
    assert type(error) is UnsupportedFormat
    assert "a WAV recording" in error.detail
    assert error.fields["supported_formats"] == SUPPORTED_NAMES
    assert error.fields["received_format"] == "audio/wav"


def test_an_empty_file_is_empty() -> None:
    assert type(refuse(b"")) is EmptyImage


def test_size_is_judged_before_format() -> None:
    error = refuse(b"\xff\xd8\xff" + bytes(11 * 1024**2))
    assert type(error) is FileTooLarge
    assert error.detail == "File size exceeds 10MB limit"
    assert error.fields == {"file_size_mb": 11.0, "max_size_mb": 10}


def test_exactly_ten_megabytes_are_not_too_large() -> None:
    assert type(refuse(b"\xff\xd8\xff" + bytes(10 * 1024**2 - 3))) is CorruptImage


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kept", [0.03, 0.5, 0.97])
def test_truncated_files_are_corrupt(name: str, kept: float) -> None:
    whole = save(Image.fromarray(make_noise(96, 128)), name)
    data = whole[: int(len(whole) * kept)]
    with pytest.raises(CorruptImage):
        decode(data, inspect(data, LIMITS))


@pytest.mark.parametrize("name", FORMATS)
def test_a_bare_magic_is_corrupt(name: str) -> None:
    assert type(refuse(make_image(name)[:16])) is CorruptImage


def test_the_specifications_bomb_is_a_bomb_by_its_pixels() -> None:
    error = refuse(make_solid("JPEG", 10_000, 10_000, quality=1))
    assert type(error) is ImageBomb
    assert "bomb" in error.detail
    assert error.fields == {"megapixels": 100.0, "max_megapixels": 50.0}


def test_a_white_png_of_28_megapixels_is_a_bomb_by_its_ratio() -> None:
    data = make_solid("PNG", 7000, 4000)
    error = refuse(data)
    assert type(error) is ImageBomb
    assert error.detail == "Image bomb detected: decompression ratio exceeds 1000x"
    assert error.fields["file_size_bytes"] == len(data)
    assert error.fields["decompressed_size_bytes"] == 7000 * 4000 * 4
    assert error.fields["ratio"] == pytest.approx(7000 * 4000 * 4 / len(data), abs=0.1)


def test_8000x5000_is_beyond_8k_and_no_bomb() -> None:
    error = refuse(make_solid("JPEG", 8000, 5000, "blue"))
    assert type(error) is ResolutionTooLarge
    assert "8K" in error.detail
    assert "bomb" not in error.detail


def test_8064x6048_of_a_phone_is_beyond_8k() -> None:
    assert type(refuse(make_solid("JPEG", 8064, 6048))) is ResolutionTooLarge


def test_32x32_is_below_the_minimum() -> None:
    error = refuse(make_solid("JPEG", 32, 32, "red"))
    assert type(error) is ResolutionTooSmall
    assert "64" in error.detail


@pytest.mark.parametrize(("width", "height"), [(63, 200), (200, 63)])
def test_one_side_below_the_minimum_is_enough(width: int, height: int) -> None:
    assert type(refuse(make_image("PNG", height, width))) is ResolutionTooSmall


def test_64x64_is_the_smallest_accepted() -> None:
    assert accept(make_image("PNG", 64, 64)).height == 64


@pytest.mark.parametrize(
    ("width", "height"), [(4320, 7680), (7680, 4320), (4000, 6000)], ids=["tall", "wide", "camera"]
)
def test_8k_and_camera_pictures_are_accepted_either_way_up(width: int, height: int) -> None:
    header = accept(make_solid("JPEG", width, height, "gray"))
    assert (header.width, header.height) == (width, height)


@pytest.mark.parametrize(
    "data",
    [
        make_solid("JPEG", 1920, 1080),
        make_solid("PNG", 1920, 1080),
        make_solid("PNG", 1024, 1024, (0, 0, 0, 0), "RGBA"),
        make_solid("WEBP", 1920, 1080),
        make_solid("WEBP", 1920, 1080, lossless=True),
    ],
    ids=["jpeg", "png", "transparent-png", "webp", "webp-lossless"],
)
def test_legitimate_pictures_of_one_colour_are_accepted(data: bytes) -> None:
    header = accept(data)
    assert decode(data, header).pixels.shape[2] == 3


def test_an_animation_above_100_frames_is_refused() -> None:
    error = refuse(make_animation("WEBP", 101))
    assert type(error) is AnimatedImage
    assert error.fields == {"frames": 101, "max_frames": 100}


@pytest.mark.parametrize("name", ["WEBP", "PNG"])
def test_the_first_of_20_frames_is_used(name: str) -> None:
    data = make_animation(name, 20)
    assert np.array_equal(decode(data, accept(data)).pixels, make_array(64, 64))


def test_the_ratio_counts_every_frame() -> None:
    white = [Image.new("RGB", (1920, 1080), (12 * shade, 255, 255)) for shade in range(20)]
    data = save(white[0], "WEBP", save_all=True, append_images=white[1:], lossless=True)
    error = refuse(data)
    assert type(error) is ImageBomb
    assert error.fields["decompressed_size_bytes"] == 20 * 1920 * 1080 * 4


@pytest.mark.parametrize(
    "media_type",
    [None, "", "image/png", "image/tiff", "IMAGE/JPEG; q=1", "nonsense", "application/x-photo"],
)
def test_a_declared_type_that_is_no_contradiction_is_ignored(media_type: str | None) -> None:
    assert accept(make_image("JPEG"), media_type).format.name == "JPEG"


@pytest.mark.parametrize("media_type", ["application/pdf", "text/plain", "video/mp4", "audio/ogg"])
def test_a_declared_type_that_is_clearly_no_image_is_believed(media_type: str) -> None:
    error = refuse(make_image("JPEG"), media_type)
    assert type(error) is UnsupportedFormat
    assert error.fields["received_format"] == media_type


def test_a_hostile_media_type_is_not_repeated() -> None:
    error = refuse(b"no picture", "text/<script>alert(1)</script>")
    assert error.fields["received_format"] == "unknown"


def test_a_polyglot_is_accepted_as_the_picture_it_begins_with() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("payload.txt", "secret payload")
    assert accept(make_image("JPEG") + archive.getvalue()).format.name == "JPEG"


@pytest.fixture
def no_unpacking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow may open a PNG and must not unpack it; its own getexif() would."""

    def load(image: object) -> None:
        pytest.fail("the pixels were unpacked")

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load)


@pytest.mark.usefixtures("no_unpacking")
def test_a_huge_png_is_refused_before_a_pixel_is_unpacked() -> None:
    # 20,000 x 20,000 of one bit: 50 kB that become 400 MB.
    assert type(refuse(make_png(20_000, 20_000, 1, 0, bytes((1 + 2500) * 20_000)))) is ImageBomb


@pytest.mark.usefixtures("no_unpacking")
def test_an_accepted_png_is_not_unpacked_twice() -> None:
    assert accept(make_image("PNG")).orientation == 1


def test_a_png_that_cannot_be_unpacked_is_still_judged_by_its_header_first() -> None:
    data = make_png(20_000, 20_000, 1, 0, b"far too short")
    assert type(refuse(data)) is ImageBomb


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_the_header_tells_the_size_of_the_upright_picture(name: str, orientation: int) -> None:
    header = accept(make_image(name, 96, 128, exif=with_orientation(orientation)))
    expected = (128, 96) if orientation == 6 else (96, 128)
    assert (header.height, header.width) == expected


def test_exif_behind_the_pixels_of_a_png_is_read_too() -> None:
    data = make_image("PNG", 96, 128)
    exif = with_orientation(6).tobytes().removeprefix(b"Exif\0\0")
    late = data[:-12] + png_chunk(b"eXIf", exif) + data[-12:]
    assert accept(late).orientation == 6


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_a_nonsense_orientation_means_upright(value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    assert accept(make_image("JPEG", exif=exif)).orientation == 1


@pytest.mark.filterwarnings("ignore:Corrupt EXIF:UserWarning")
def test_damaged_exif_means_upright() -> None:
    assert accept(make_image("JPEG", exif=b"Exif\0\0MM\0*garbage")).orientation == 1
