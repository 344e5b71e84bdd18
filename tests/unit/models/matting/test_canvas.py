"""The box holds the subject and no speck; a placed picture has no fringe."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from models.matting.canvas import Box, place, subject_box
from tests.support.mattes import HOSTILE, colours, disc, noise


def boxed(height: int, width: int, *boxes: Box) -> np.ndarray:
    matte = np.zeros((height, width), np.uint8)
    for box in boxes:
        matte[box.top : box.top + box.height, box.left : box.left + box.width] = 255
    return matte


@pytest.mark.parametrize("name", HOSTILE)
def test_any_matte_has_a_box_or_none(name: str) -> None:
    matte = HOSTILE[name]
    box = subject_box(matte)
    if not matte.any():
        assert box is None
    elif name != "noise 1x1":
        rows, columns = np.nonzero(matte >= 16)
        exact = Box(
            int(columns.min()),
            int(rows.min()),
            int(np.ptp(columns)) + 1,
            int(np.ptp(rows)) + 1,
        )
        assert box == exact


@pytest.mark.parametrize("size", [(300, 200), (1031, 777), (3001, 2003), (5000, 40)])
@pytest.mark.parametrize(
    "share", [(0.1, 0.2, 0.5, 0.6), (0.0, 0.0, 1.0, 1.0), (0.7, 0.8, 0.3, 0.2)]
)
def test_the_box_is_exact_to_the_pixel(size: tuple[int, int], share: tuple[float, ...]) -> None:
    height, width = size
    left, top = int(share[0] * width), int(share[1] * height)
    box = Box(left, top, int(share[2] * width), int(share[3] * height))
    assert subject_box(boxed(height, width, box)) == box


def test_specks_do_not_count_and_parts_do() -> None:
    subject, ball = Box(300, 400, 500, 700), Box(900, 100, 40, 40)
    speck, dust = Box(20, 20, 8, 8), Box(1100, 1390, 3, 3)
    assert subject_box(boxed(1400, 1200, subject, speck, dust)) == subject
    both = Box(300, 100, 640, 1000)
    assert subject_box(boxed(1400, 1200, subject, ball, speck)) == both


def test_the_rule_is_a_2000th_of_the_largest_part() -> None:
    subject = Box(100, 100, 400, 250)  # 100,000 pixels
    assert subject_box(boxed(1000, 1000, subject, Box(800, 800, 7, 7))) == subject
    with_part = subject_box(boxed(1000, 1000, subject, Box(800, 800, 8, 8)))
    assert with_part == Box(100, 100, 708, 708)


def test_specks_alone_are_no_subject_but_a_small_subject_is() -> None:
    assert subject_box(boxed(3000, 4000, Box(500, 500, 15, 15), Box(3000, 20, 10, 10))) is None
    assert subject_box(boxed(3000, 4000, Box(500, 500, 20, 20))) == Box(500, 500, 20, 20)


def test_what_touches_the_subject_by_less_than_a_cell_belongs_to_it() -> None:
    subject, hair = Box(500, 800, 900, 900), Box(900, 500, 2, 299)
    assert subject_box(boxed(2000, 2000, subject, hair)) == Box(500, 500, 900, 1200)


def test_a_faint_matte_is_empty_and_the_threshold_can_be_chosen() -> None:
    faint = np.full((80, 90), 15, np.uint8)
    assert subject_box(faint) is None
    assert subject_box(faint, threshold=15) == Box(0, 0, 90, 80)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "box",
    [
        Box(0, 0, 50, 40),
        Box(-30, -20, 200, 170),
        Box(90, 70, 9, 9),
        Box(-9, 5, 3, 3),
        Box(3, 3, 1, 1),
    ],
)
def test_any_picture_can_be_placed_and_is_not_written_to(name: str, box: Box) -> None:
    matte = HOSTILE[name]
    picture = colours(*matte.shape)
    given = picture.copy(), matte.copy()
    made, alpha = place(picture, matte, box, (80, 100))
    assert made.shape == (80, 100, 3)
    assert alpha.shape == (80, 100)
    assert made.dtype == alpha.dtype == np.uint8
    assert made.flags.c_contiguous
    assert alpha.flags.c_contiguous
    assert not made[alpha == 0].any()
    outside = alpha.copy()
    outside[max(0, box.top) : max(0, box.top + box.height)][
        :, max(0, box.left) : max(0, box.left + box.width)
    ] = 0
    assert not outside.any()
    assert np.array_equal(picture, given[0])
    assert np.array_equal(matte, given[1])


@pytest.mark.parametrize(("left", "top"), [(0, 0), (7, 3), (-11, 5), (40, -30)])
def test_without_resizing_every_pixel_stays(left: int, top: int) -> None:
    picture, matte = colours(60, 70), noise(60, 70)
    made, alpha = place(picture, matte, Box(left, top, 70, 60), (60, 70))
    rows, columns = slice(max(0, top), 60 + min(0, top)), slice(max(0, left), 70 + min(0, left))
    from_rows, from_columns = (
        slice(max(0, -top), 60 - max(0, top)),
        slice(max(0, -left), 70 - max(0, left)),
    )
    seen = matte[from_rows, from_columns]
    assert np.array_equal(alpha[rows, columns], seen)
    expected = np.where(seen[..., None] > 0, picture[from_rows, from_columns], 0)
    assert np.array_equal(made[rows, columns], expected)


BOXES = [Box(0, 0, 60, 60), Box(10, 5, 90, 110), Box(0, 0, 300, 290), Box(-40, -20, 250, 90)]


@pytest.mark.parametrize("box", BOXES)
def test_hidden_colours_leave_no_fringe(box: Box) -> None:
    matte = disc(soft=6)
    picture = np.full((120, 120, 3), (200, 40, 90), np.uint8)
    hidden = picture.copy()
    hidden[matte == 0] = (0, 255, 0)
    made, alpha = place(hidden, matte, box, (300, 300))
    assert np.abs(made[alpha > 0].astype(int) - (200, 40, 90)).max() <= 1
    again = place(picture, matte, box, (300, 300))
    assert np.array_equal(made, again[0])
    assert np.array_equal(alpha, again[1])


@pytest.mark.parametrize("box", BOXES)
def test_the_subject_comes_to_lie_where_the_box_says(box: Box) -> None:
    canvas = (400, 400)
    _, alpha = place(colours(120, 120), disc(soft=2), box, canvas)
    y, x = np.mgrid[:400, :400]
    scaled = np.hypot(
        (y + 0.5 - box.top) / box.height * 120 - 60, (x + 0.5 - box.left) / box.width * 120 - 60
    )
    assert (alpha[scaled < 27] == 255).all()
    assert (alpha[scaled > 33] == 0).all()


@pytest.mark.parametrize("box", BOXES)
def test_a_mirrored_picture_is_placed_mirrored(box: Box) -> None:
    picture, matte = colours(120, 120), disc(soft=9)
    mirrored = Box(300 - box.left - box.width, box.top, box.width, box.height)
    made, alpha = place(picture, matte, box, (300, 300))
    other, opacity = place(picture[:, ::-1].copy(), matte[:, ::-1].copy(), mirrored, (300, 300))
    assert np.abs(alpha.astype(int) - opacity[:, ::-1]).max() <= 1
    differs = np.abs(made.astype(int) - other[:, ::-1])[(alpha > 60)]
    assert differs.max() <= 2


@pytest.mark.parametrize(
    "box", [Box(0, 0, 290, 310), Box(-70, -50, 500, 333), Box(20, 9, 120, 260)]
)
def test_enlarging_interpolates_linearly_and_strips_do_not_show(box: Box) -> None:
    picture, matte = colours(120, 120), noise(120, 120)
    made, alpha = place(picture, matte, box, (300, 280))
    light = np.dstack([picture, np.full((120, 120), 255)]) * (matte[..., None] / 255.0)
    for axis, (start, length, size) in enumerate(
        [(box.top, box.height, 300), (box.left, box.width, 280)]
    ):
        at = np.clip((np.arange(size) - start + 0.5) * 120 / length - 0.5, 0, 119)
        lower = np.floor(at).astype(int)
        part = (at - lower).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        upper = np.minimum(lower + 1, 119)
        light = (1 - part) * np.take(light, lower, axis) + part * np.take(light, upper, axis)
    y, x = np.mgrid[:300, :280]
    inside = (y >= box.top) & (y < box.top + box.height)
    inside &= (x >= box.left) & (x < box.left + box.width)
    assert np.abs(alpha - light[..., 3])[inside].max() <= 0.6
    clear = inside & (alpha > 60)
    assert np.abs(made - light[..., :3] / (light[..., 3:] / 255 + 1e-9))[clear].max() <= 1


def test_fine_stripes_make_no_moire_when_shrunk() -> None:
    stripes = np.zeros((900, 900, 3), np.uint8)
    stripes[:, ::2] = 255
    made, _ = place(stripes, np.full((900, 900), 255, np.uint8), Box(0, 0, 310, 310), (310, 310))
    assert made.std() < 26


def test_a_box_far_larger_than_the_canvas_costs_no_more_than_the_canvas() -> None:
    picture, matte = colours(120, 120), disc()
    tracemalloc.start()
    try:
        place(picture, matte, Box(-400_000, -300_000, 1_000_000, 900_000), (200, 200))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3e6


def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match="differ"):
        place(colours(4, 4), noise(5, 4), Box(0, 0, 4, 4), (4, 4))
