"""AVIF: as Pillow reads it, and everything that boxes and bitstream can lie about."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from models.arrays import U8Array
from scripts.hostile.heif_files import (
    Item,
    Reference,
    box,
    coded_item,
    grid_item,
    nclx_box,
    size_box,
    write_heif,
)
from service.errors import (
    AnimatedImage,
    CorruptImage,
    ImageBomb,
    ImageError,
    ResolutionTooLarge,
    UnsupportedFormat,
)
from service.imaging.av1 import read_av1
from service.imaging.decode import SourceImage, decode
from service.imaging.guard import ImageLimits, inspect
from tests.support.pictures import (
    make_array,
    make_noise,
    open_image,
    png_chunk,
    save,
    with_orientation,
)

DATA = Path(__file__).parents[3] / "data" / "avif"
LIMITS = ImageLimits(max_ratio=1e9)
ALPHA = box(b"auxC", bytes(4), b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")


def read(data: bytes) -> SourceImage:
    return decode(data, inspect(data, LIMITS))


def encode(pixels: U8Array, **options: object) -> bytes:
    return save(Image.fromarray(pixels), "AVIF", speed=10, **options)


def make_rgba() -> U8Array:
    return np.dstack([make_array(), make_array()[..., 0]])


def make_film(frames: int) -> bytes:
    """A track of so many pictures."""
    stsz = box(b"stsz", bytes(8), struct.pack(">I", frames))
    return box(b"moov", box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", stsz)))))


def with_property(item: Item, *properties: bytes) -> Item:
    """An item with other properties in place of those of the same kind."""
    kinds = {one[4:8] for one in properties}
    kept = tuple(one for one in item.properties if one[4:8] not in kinds)
    return Item(item.kind, item.data, (*kept, *properties))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("range_", ["full", "limited"])
def test_the_pixels_are_those_pillow_reads(mode: str, subsampling: str, range_: str) -> None:
    image = Image.fromarray(make_rgba()).convert(mode)
    data = save(image, "AVIF", subsampling=subsampling, range=range_)
    expected = open_image(data)
    source = read(data)
    assert np.array_equal(source.pixels, np.asarray(expected.convert("RGB")))
    if "A" in mode:
        assert np.array_equal(source.alpha, np.asarray(expected)[..., -1])
    else:
        assert source.alpha is None


@pytest.mark.parametrize(("height", "width"), [(64, 64), (65, 127), (333, 71)])
def test_sizes_that_are_not_whole_blocks(height: int, width: int) -> None:
    data = encode(make_noise(height, width))
    assert np.array_equal(read(data).pixels, np.asarray(open_image(data)))


@pytest.mark.parametrize("bits", [10, 12])
def test_deep_samples_become_8_bits(bits: int) -> None:
    """Written without loss by libaom, from `x / 71`, `y / 63` and `(x + y) / 134`."""
    y, x = np.mgrid[0:64, 0:72]
    most = (1 << bits) - 1
    levels = np.stack([x * most // 71, y * most // 63, (x + y) * most // 134], axis=-1)
    pixels = read((DATA / f"{bits}-bits.avif").read_bytes()).pixels
    assert np.array_equal(pixels, np.rint(levels * 255 / most))


def test_colours_are_freed_of_the_opacity_multiplied_into_them() -> None:
    data = encode(make_rgba(), alpha_premultiplied=True, quality=100, subsampling="4:4:4")
    expected = np.asarray(open_image(data)).astype(int)
    source = read(data)
    assert np.array_equal(source.alpha, expected[..., 3])
    visible = expected[..., 3] > 100
    assert np.abs(source.pixels[visible] - expected[visible][:, :3]).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_once(orientation: int) -> None:
    data = encode(make_array(), exif=with_orientation(orientation))
    flat = np.asarray(open_image(encode(make_array())))
    png = save(Image.fromarray(flat), "PNG", exif=with_orientation(orientation))
    assert np.array_equal(read(data).pixels, read(png).pixels)


def test_turns_and_mirrors_go_in_their_order() -> None:
    item = coded_item(encode(make_array()))
    flat = read(write_heif([item])).pixels
    turn, mirror = box(b"irot", b"\1"), box(b"imir", b"\1")
    for properties, wanted in (
        ((turn, mirror), np.fliplr(np.rot90(flat))),
        ((mirror, turn), np.rot90(np.fliplr(flat))),
        ((turn, turn, turn), np.rot90(flat, 3)),
    ):
        data = write_heif([with_property(item, *properties)])
        assert np.array_equal(read(data).pixels, wanted)


@pytest.mark.parametrize("cicp", [(1, 13), (9, 16), (9, 18), (12, 13), (1, 1), (2, 2), (77, 99)])
def test_numbers_of_a_colour_space_mean_what_they_mean_in_a_png(cicp: tuple[int, int]) -> None:
    item = coded_item(encode(make_array()))
    data = write_heif([with_property(item, nclx_box(*cicp, 6))])
    png = save(open_image(data), "PNG")
    stated = png[:33] + png_chunk(b"cICP", bytes((*cicp, 0, 1))) + png[33:]
    assert np.array_equal(read(data).pixels, read(stated).pixels)


def test_a_profile_counts_more_than_numbers() -> None:
    linear = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    for profile in (linear, b"garbage" * 30):
        data = encode(make_array(), icc_profile=profile)
        png = save(open_image(data), "PNG", icc_profile=profile)
        assert np.array_equal(read(data).pixels, read(png).pixels)
        item = with_property(coded_item(data), nclx_box(9, 16, 6))
        both = Item(item.kind, item.data, (*item.properties, box(b"colr", b"prof", profile)))
        assert np.array_equal(read(write_heif([both])).pixels, read(data).pixels)


@pytest.mark.parametrize("alpha", [False, True])
def test_what_fills_the_last_blocks_is_cut_off(alpha: bool) -> None:
    pixels = make_rgba() if alpha else make_array()
    file = encode(pixels)
    whole = np.asarray(open_image(file))
    clap = box(b"clap", struct.pack(">IIIIiIiI", 200, 2, 90, 1, -12, 1, 2, 1))
    items = [with_property(coded_item(file), clap, box(b"irot", b"\2"))]
    references: list[Reference] = []
    if alpha:
        items.append(coded_item(file, 2))
        references = [(b"auxl", 2, (1,))]
    source = read(write_heif(items, references))
    shown = whole[5:95, 2:102][::-1, ::-1]
    assert np.array_equal(source.pixels, shown[..., :3])
    if alpha:
        assert np.array_equal(source.alpha, shown[..., 3])


@pytest.mark.parametrize(
    ("numbers", "error"),
    [
        ((128, 1, 32, 1, 0, 1, 0, 1), UnsupportedFormat),
        ((100, 1, 90, 1, 20, 1, 0, 1), CorruptImage),
        ((129, 1, 96, 1, 0, 1, 0, 1), CorruptImage),
        ((128, 0, 96, 1, 0, 1, 0, 1), CorruptImage),
    ],
)
def test_an_aperture_that_hides_a_picture_is_refused(
    numbers: tuple[int, ...], error: type[ImageError]
) -> None:
    clap = box(b"clap", struct.pack(">IIIIiIiI", *numbers))
    item = with_property(coded_item(encode(make_array())), clap)
    with pytest.raises(error):
        inspect(write_heif([item]), LIMITS)


def test_of_a_sequence_the_still_picture_is_read() -> None:
    frames = [Image.fromarray(make_noise(96, 128, seed)) for seed in range(4)]
    data = save(frames[0], "AVIF", save_all=True, append_images=frames[1:])
    header = inspect(data, LIMITS)
    assert header.file.frames == 4
    assert np.array_equal(decode(data, header).pixels, np.asarray(open_image(data)))


def make_grid(rows: int = 2, across: int = 3, alpha: bool = False) -> tuple[bytes, U8Array]:
    """Cells of 72 x 80, what stands over cut off; the pixels they should give."""
    cells = [encode(make_noise(72, 80, seed)[..., : 1 if alpha else 3].squeeze())
             for seed in range(rows * across)]  # fmt: skip
    whole = np.concatenate(
        [
            np.concatenate(
                [np.asarray(open_image(c)) for c in cells[y * across : (y + 1) * across]], 1
            )
            for y in range(rows)
        ]
    )
    height, width = rows * 72 - 7, across * 80 - 11
    numbers = tuple(range(2, 2 + len(cells)))
    grid = grid_item(rows, across, width, height)
    return (
        write_heif([grid, *map(coded_item, cells)], [(b"dimg", 1, numbers)]),
        whole[:height, :width],
    )


@pytest.mark.parametrize(("rows", "across"), [(1, 1), (2, 3), (5, 1)])
def test_a_grid_is_put_together(rows: int, across: int) -> None:
    data, pixels = make_grid(rows, across)
    assert np.array_equal(read(data).pixels, pixels)
    data, grey = make_grid(rows, across, alpha=True)
    assert np.array_equal(read(data).pixels[..., 0], grey)


def test_a_grid_may_have_a_grid_of_opacity() -> None:
    colours, alphas = make_grid(), make_grid(alpha=True)
    items = [grid_item(2, 3, 229, 137), grid_item(2, 3, 229, 137, ALPHA)]
    items += [coded_item(colours[0], n) for n in range(2, 8)]
    items += [coded_item(alphas[0], n) for n in range(2, 8)]
    references = [
        (b"dimg", 1, tuple(range(3, 9))),
        (b"dimg", 2, tuple(range(9, 15))),
        (b"auxl", 2, (1,)),
    ]
    source = read(write_heif(items, references))
    assert np.array_equal(source.pixels, colours[1])
    assert np.array_equal(source.alpha, alphas[1])


@pytest.mark.parametrize(
    ("grid", "references"),
    [
        (grid_item(2, 2, 128, 128), [(b"dimg", 1, (1, 1, 1, 1))]),
        (grid_item(2, 2, 128, 128), [(b"dimg", 1, (2, 2, 2))]),
        (grid_item(2, 2, 128, 128), []),
        (grid_item(2, 2, 200, 128), [(b"dimg", 1, (2, 2, 2, 2))]),
        (grid_item(2, 2, 64, 128), [(b"dimg", 1, (2, 2, 2, 2))]),
        (grid_item(256, 256, 128, 128), [(b"dimg", 1, (2,) * 65535)]),
        (grid_item(2, 2, 128, 128), [(b"dimg", 1, (2, 2, 2, 99))]),
        (Item(b"grid", b"", (size_box(64, 64),)), [(b"dimg", 1, (2,))]),
        (Item(b"grid", bytes(8), (size_box(64, 64),)), [(b"dimg", 1, (2,))]),
        (grid_item(8, 8, 512, 512), [(b"dimg", 1, (2,) * 64)]),
    ],
    ids=["of itself", "a cell too few", "no cells", "not filled", "beside it", "65,536 cells",
         "an item not there", "empty", "of no size", "the same bytes 64 times"],
)  # fmt: skip
def test_lies_about_a_grid_are_corrupt(grid: Item, references: list[Reference]) -> None:
    started = time.process_time()
    with pytest.raises(CorruptImage):
        read(write_heif([grid, coded_item(encode(make_noise(64, 64)))], references))
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (b"iovl", "iovl"),
        (b"iden", "iden"),
        (b"jpeg", "jpeg"),
        (b"hvc1", "hvc1"),
        (b"\0\1\2\3", "unknown"),
    ],
)
def test_other_kinds_of_items_are_called_by_their_name(kind: bytes, name: str) -> None:
    item = coded_item(encode(make_array()))
    with pytest.raises(UnsupportedFormat, match=name):
        inspect(write_heif([Item(kind, item.data, item.properties)]), LIMITS)


@pytest.mark.parametrize(
    "layer", [box(b"lsel", b"\0\1"), box(b"a1op", b"\1"), box(b"a1lx", bytes(7))]
)
def test_layers_and_strange_matrices_are_refused_by_name(layer: bytes) -> None:
    item = coded_item(encode(make_array()))
    with pytest.raises(UnsupportedFormat, match="layers"):
        inspect(write_heif([with_property(item, layer)]), LIMITS)
    with pytest.raises(UnsupportedFormat, match="matrix 14"):
        inspect(write_heif([with_property(item, nclx_box(9, 16, 14))]), LIMITS)


def test_a_film_alone_is_refused_by_name() -> None:
    film = box(b"ftyp", b"avis", bytes(4), b"avis") + make_film(5)
    with pytest.raises(UnsupportedFormat, match="a film without a still picture"):
        inspect(film, LIMITS)


@pytest.mark.parametrize(("width", "height"), [(64, 64), (128, 97), (7680, 4320), (0, 96)])
def test_a_bitstream_of_another_size_than_stated_is_corrupt(width: int, height: int) -> None:
    item = with_property(coded_item(encode(make_array())), size_box(width, height))
    with pytest.raises(CorruptImage):
        inspect(write_heif([item]), LIMITS)


def test_limits_are_those_of_every_format() -> None:
    item = coded_item(save(Image.new("RGB", (8000, 5000)), "AVIF", speed=10))
    with pytest.raises(ResolutionTooLarge):
        inspect(write_heif([item]), ImageLimits())
    item = coded_item(save(Image.new("RGB", (7000, 4000)), "AVIF", speed=10))
    with pytest.raises(ImageBomb):
        inspect(write_heif([item]), ImageLimits())
    data = write_heif([coded_item(encode(make_noise(64, 64)))], more=make_film(101))
    with pytest.raises(AnimatedImage):
        inspect(data, LIMITS)


def test_a_second_frame_in_an_item_is_not_decoded() -> None:
    frames = [Image.fromarray(make_noise(96, 128, seed)) for seed in range(4)]
    sequence = save(frames[0], "AVIF", save_all=True, append_images=frames[1:])
    first = coded_item(sequence)
    at = sequence.index(first.data)
    many = Item(first.kind, sequence[at:] + first.data * 50, first.properties)
    assert len(read_av1(many.data).units) <= len(first.data)
    assert np.array_equal(read(write_heif([many])).pixels, read(sequence).pixels)


def test_a_frame_that_is_hidden_or_has_a_size_of_its_own_is_not_decoded() -> None:
    frames = [Image.fromarray(make_noise(96, 128, seed)) for seed in range(2)]
    units = coded_item(save(frames[0], "AVIF", save_all=True, append_images=frames[1:])).data
    units = units.removeprefix(b"\x12\0")  # the delimiter
    at = 2 + units[1] + 1  # behind the sequence header and the kind of the frame
    while units[at] > 127:
        at += 1
    reasons = set()
    for bit in range(16):
        changed = bytearray(units)
        changed[at + 1 + bit // 8] ^= 128 >> bit % 8
        try:
            read_av1(bytes(changed))
        except ValueError as reason:
            reasons.add(str(reason))
    assert reasons == {"not a key frame that is shown", "a frame of a size of its own"}


def test_opacity_of_another_size_or_kind_is_corrupt() -> None:
    picture = coded_item(encode(make_array()))
    for pixels in (make_noise(64, 64)[..., 0], make_array()):
        alpha = with_property(coded_item(encode(pixels)), ALPHA)
        with pytest.raises(CorruptImage):
            read(write_heif([picture, alpha], [(b"auxl", 2, (1,))]))


@pytest.mark.parametrize("kept", [0.1, 0.3, 0.6, 0.9])
def test_an_avif_cut_short_is_corrupt(kept: float) -> None:
    data = encode(make_noise(96, 128), quality=95)
    with pytest.raises(CorruptImage):
        read(data[: int(len(data) * kept)])


@pytest.mark.parametrize(
    "body",
    [
        box(b"meta", bytes(4), box(b"free") * 1_000_000),
        box(b"meta", bytes(4), struct.pack(">I", 4) + b"free"),
        box(b"meta", bytes(4), box(b"pitm", bytes(4), b"\0\1"), box(b"iinf", bytes(4), b"\xff")),
        box(b"meta", bytes(4), box(b"iloc", b"\2\0\0\0\0\0", b"\xff" * 4, bytes(9_000_000))),
        box(b"meta", bytes(4), box(b"iloc", b"\1\0\0\0\0\0\0\1\0\1\0\0\0\0", b"\xff" * 2)),
        box(b"meta", bytes(4), box(b"iref", bytes(4), box(b"dimg", b"\0\1\xff\xff"))),
        box(b"meta", bytes(4), box(b"iref", bytes(4), box(b"dimg", bytes(4)) * 800_000)),
        box(b"meta", bytes(4), box(b"iprp", box(b"ipma", bytes(4), b"\xff" * 4, bytes(9_000_000)))),
        box(b"moov") * 1_200_000,
        box(b"moov", box(b"trak") * 1_200_000),
        box(b"moov", box(b"trak", box(b"mdia") * 100_000) * 10),
        (struct.pack(">I", 9_000_000) + b"meta") * 1_000_000,
    ],
    ids=["boxes", "a box of 4 bytes", "items not there", "places", "a place cut short",
         "references cut short", "references", "uses", "films", "tracks", "media", "nested"],
)  # fmt: skip
def test_hostile_boxes_end_soon(body: bytes) -> None:
    data = box(b"ftyp", b"avif", bytes(4), b"avif") + body
    started = time.thread_time()
    with pytest.raises(ImageError):
        inspect(data, LIMITS)
    assert time.thread_time() - started < 1


@pytest.mark.parametrize(
    "units", [b"", b"\x80", b"\x0a", b"\x0a\xff\xff\xff", b"\x12\0" * 10_000, b"\x32\0"]
)
def test_a_bitstream_of_nothing_is_corrupt(units: bytes) -> None:
    item = coded_item(encode(make_array()))
    with pytest.raises(CorruptImage):
        read(write_heif([Item(item.kind, units, item.properties)]))


def test_thousands_of_helpers_are_not_asked() -> None:
    item = coded_item(encode(make_array()))
    helper = Item(b"av01", b"", tuple(box(b"free", bytes((i,))) for i in range(200)))
    items = [item, helper]
    references: list[Reference] = [(b"auxl", 2, (1,))] * 9_000
    started = time.thread_time()
    assert read(write_heif(items, references)).alpha is None
    assert time.thread_time() - started < 1


def test_the_end_of_the_time_comes_through() -> None:
    data, _ = make_grid()
    asked = []

    def late() -> None:
        asked.append(1)
        if len(asked) > 3:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        decode(data, inspect(data, LIMITS), late)
