"""A preview answers the newest wish, runs the network once for each picture, and leaves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest

from models.errors import InferenceFailed
from models.matting.scenes import SCENES
from models.matting.strokes import Stroke
from service.errors import CorruptImage, InvalidRequest, ServiceBusy
from service.imaging.encode import encode_picture
from service.preview.asked import Asked, Failed, Picture, Shown
from service.preview.previews import PreviewConfig, Previews
from service.preview.session import Preview
from service.removal.background import Background
from service.removal.bounds import RemoverConfig
from service.removal.options import RemovalOptions
from service.removal.ports import ServedModel
from service.removal.remover import BackgroundRemover
from tests.support.matting import SPEC, FakeMattingClient
from tests.support.pictures import make_portrait, pixels_of

pytestmark = pytest.mark.anyio

KEEP = Stroke("keep", ((0.05, 0.05), (0.1, 0.1)), 0.02)


class Room:
    """A remover with previews, and what a test may look at."""

    def __init__(self, config: PreviewConfig | None = None, max_bytes: int = 2**31) -> None:
        self.matting = FakeMattingClient()
        bounds = RemoverConfig(max_bytes=max_bytes)
        self.remover = BackgroundRemover([ServedModel(SPEC, self.matting)], bounds)
        self.stopping = asyncio.Event()
        self.previews = Previews(self.remover, config or PreviewConfig(), self.stopping)

    def open(self):
        return self.previews.open(no_background)


async def no_background(options: RemovalOptions) -> Background | None:
    return None


@pytest.fixture
async def make_room() -> AsyncIterator[Callable[..., Room]]:
    rooms: list[Room] = []

    def make(*args: object, **more: object) -> Room:
        rooms.append(Room(*args, **more))  # type: ignore[arg-type]
        return rooms[-1]

    yield make
    for room in rooms:
        await room.remover.close()


@pytest.fixture
def room(make_room: Callable[..., Room]) -> Room:
    return make_room()


def large_picture(height: int = 900, width: int = 1200) -> bytes:
    return encode_picture(make_portrait(height, width), "jpeg").data


async def next_of(answers: AsyncIterator[Shown | Failed]) -> Shown | Failed:
    async with asyncio.timeout(20):
        return await anext(answers)


async def shown(preview: Preview, answers: AsyncIterator[Shown | Failed], asked: Asked) -> Shown:
    preview.show(asked)
    answer = await next_of(answers)
    assert isinstance(answer, Shown), answer
    return answer


async def test_a_small_answer_comes_first_and_then_the_one_that_a_removal_gives(room: Room) -> None:
    data = large_picture()
    options = RemovalOptions(feather=3, bg_color=(10, 200, 30))
    with room.open() as preview:
        preview.show(Asked(7, options))
        preview.take(Picture(data))
        answers = preview.answers()
        small, full = await next_of(answers), await next_of(answers)
    assert isinstance(small, Shown)
    assert isinstance(full, Shown)
    assert (small.seq, small.size, small.result.canvas) == (7, "small", (768, 1024))
    assert [file.media_type for file in small.files] == ["image/jpeg"]
    assert [file.data for file in full.files] == [full.result.file]
    assert (full.seq, full.size, full.result.canvas) == (7, "full", (900, 1200))
    assert full.result.file == (await room.remover.remove(data, options)).file


async def test_what_is_changed_afterwards_asks_the_network_nothing(room: Room) -> None:
    data = large_picture()
    with room.open() as preview:
        preview.take(Picture(data))
        answers = preview.answers()
        await next_of(answers)
        await next_of(answers)
        for number, options in enumerate(
            (
                RemovalOptions(smoothing=False),
                RemovalOptions(feather=12),
                RemovalOptions(shift_edge=-4),
                RemovalOptions(bg_color=(1, 2, 3)),
                RemovalOptions(bg_blur=2, shadow="drop"),
                RemovalOptions(background_id=next(iter(SCENES)), outline=2),
                RemovalOptions(crop=True, crop_margin="20px", size="600x600"),
                RemovalOptions(output="mask"),
                RemovalOptions(output="parts"),
            )
        ):
            small = await shown(preview, answers, Asked(number, options))
            full = await next_of(answers)
            assert isinstance(full, Shown)
            assert full.result.file == (await room.remover.remove(data, options)).file
            room.matting.calls -= 1
            assert max(small.result.canvas) <= 1024
            ratio = full.result.canvas[0] / full.result.canvas[1]
            assert small.result.canvas[0] / small.result.canvas[1] == pytest.approx(ratio, rel=0.02)
    assert room.matting.calls == 1


async def test_an_answer_does_not_hang_on_those_before_it(room: Room) -> None:
    wishes = [
        RemovalOptions(bg_color=(9, 9, 9), shadow="drop", outline=3, color_match=0.5),
        RemovalOptions(smoothing=False, shift_edge=5),
        RemovalOptions(output="mask"),
        RemovalOptions(decontaminate=False, crop=True),
        RemovalOptions(feather=4),
    ]
    data = large_picture(500, 700)
    alone = {}
    for number, options in enumerate(wishes):
        with room.open() as preview:
            preview.show(Asked(number, options, full=False))
            preview.take(Picture(data))
            answer = await next_of(preview.answers())
            alone[number] = [file.data for file in answer.files]  # type: ignore[union-attr]
    with room.open() as preview:
        preview.show(Asked(full=False))
        preview.take(Picture(data))
        answers = preview.answers()
        await next_of(answers)
        for number in (0, 4, 1, 2, 3, 2, 0, 1, 4, 3, 0):
            small = await shown(preview, answers, Asked(number, wishes[number], full=False))
            assert [file.data for file in small.files] == alone[number]


async def test_strokes_change_both_answers_and_undo_gives_the_bytes_before(room: Room) -> None:
    with room.open() as preview:
        preview.take(Picture(large_picture()))
        answers = preview.answers()
        before = [await next_of(answers), await next_of(answers)]
        many = tuple(Stroke("keep", ((0.05 + 0.01 * n, 0.05), (0.1, 0.1)), 0.02) for n in range(12))
        preview.show(Asked(1, strokes=many))
        after = [await next_of(answers), await next_of(answers)]
        preview.show(Asked(2, strokes=many[:3]))
        three = [await next_of(answers), await next_of(answers)]
        preview.show(Asked(3, strokes=many))
        again = [await next_of(answers), await next_of(answers)]
        preview.show(Asked(4))
        undone = [await next_of(answers), await next_of(answers)]
    files = [[one.files[-1].data for one in both] for both in (before, after, three, again, undone)]  # type: ignore[union-attr]
    assert files[0] == files[4]
    assert files[1] == files[3]
    assert files[0][1] != files[2][1]
    corner = pixels_of(files[1][1])[..., 3][45:90, 60:120]
    assert np.median(corner) == 255
    assert room.matting.calls == 1


async def test_a_newer_wish_replaces_those_that_wait(room: Room) -> None:
    room.matting.delay_s = 0.2
    with room.open() as preview:
        preview.take(Picture(large_picture()))
        answers = preview.answers()
        first = asyncio.ensure_future(next_of(answers))
        await asyncio.sleep(0.05)
        for seq in range(1, 51):
            preview.show(Asked(seq, RemovalOptions(feather=seq)))
        answer = await first
        assert isinstance(answer, Shown)
        assert answer.seq == 50
        preview.show(Asked(51, full=False))
        seen = [await next_of(answers)]
        assert [(one.seq, one.size) for one in seen] == [(51, "small")]  # type: ignore[union-attr]


async def test_a_full_answer_that_nobody_waits_for_any_more_is_given_up(room: Room) -> None:
    with room.open() as preview:
        preview.take(Picture(large_picture(3000, 4000)))
        answers = preview.answers()
        await next_of(answers)
        coming = asyncio.ensure_future(next_of(answers))
        await asyncio.sleep(0.01)
        preview.show(Asked(9, full=False))
        answer = await coming
        assert isinstance(answer, Shown)
        assert (answer.seq, answer.size) == (9, "small")
    assert room.remover.overdue == 0


async def test_a_fault_is_an_answer_and_the_next_wish_is_served(room: Room) -> None:
    room.matting.faults = [InferenceFailed()]
    with room.open() as preview:
        answers = preview.answers()
        for data, kind in ((b"no picture", CorruptImage), (large_picture(), InferenceFailed)):
            preview.take(Picture(data))
            answer = await next_of(answers)
            assert isinstance(answer, Failed)
            assert isinstance(answer.error, kind | Exception)
            assert room.remover.budget.kept == 0
        preview.take(Picture(large_picture()))
        assert isinstance(await next_of(answers), Shown)
        preview.show(Asked(3, RemovalOptions(model="nonsense")))
        answer = await next_of(answers)
        assert isinstance(answer, Failed)
        assert isinstance(answer.error, InvalidRequest)


async def test_wishes_before_a_picture_are_kept_for_it(room: Room) -> None:
    with room.open() as preview:
        answers = preview.answers()
        coming = asyncio.ensure_future(next_of(answers))
        preview.show(Asked(1, RemovalOptions(output="mask")))
        await asyncio.sleep(0.05)
        preview.take(Picture(large_picture()))
        answer = await coming
        assert isinstance(answer, Shown)
        assert answer.seq == 1
        assert pixels_of(answer.result.file).ndim == 2


async def test_what_is_kept_is_bounded_and_given_back(make_room: Callable[..., Room]) -> None:
    room = make_room(max_bytes=120 * 1024**2)
    data = large_picture(400, 500)
    with room.open() as first:
        first.take(Picture(data))
        assert isinstance(await next_of(first.answers()), Shown)
        assert 0 < room.remover.budget.kept <= 120 * 1024**2 / 4
        with room.open() as second:
            second.take(Picture(data))
            answer = await next_of(second.answers())
            assert isinstance(answer, Failed)
            assert isinstance(answer.error, ServiceBusy)
        assert (await room.remover.remove(large_picture(), RemovalOptions())).file  # alone, as ever
    await asyncio.sleep(0.05)
    assert (room.remover.budget.kept, room.remover.budget.held) == (0, 0)


async def test_previews_leave_a_thread_to_removals(room: Room) -> None:
    data = large_picture(200, 300)
    with room.open() as preview:
        preview.take(Picture(data))
        answers = preview.answers()
        async with room.previews.lane:  # as another preview that is at work
            assert room.previews.lane.locked()
            waiting = asyncio.ensure_future(next_of(answers))
            for _ in range(3):
                assert (await room.remover.remove(data, RemovalOptions())).file
            assert not waiting.done()
        assert isinstance(await waiting, Shown)


async def test_there_are_only_so_many(make_room: Callable[..., Room]) -> None:
    room = make_room(PreviewConfig(most=2))
    with room.open(), room.open(), pytest.raises(ServiceBusy), room.open():
        pass
    with room.open():
        assert room.previews.n_open == 1


async def test_one_that_is_idle_ends(make_room: Callable[..., Room]) -> None:
    room = make_room(PreviewConfig(idle_s=0.05))
    with room.open() as preview:
        assert [one async for one in preview.answers()] == []


async def test_a_stop_ends_idle_ones_at_once_and_busy_ones_after_their_answer(room: Room) -> None:
    room.matting.delay_s = 0.3
    with room.open() as idle, room.open() as busy:
        busy.take(Picture(large_picture()))
        working = asyncio.ensure_future(_all_of(busy.answers()))
        await asyncio.sleep(0.1)
        room.stopping.set()
        assert await _all_of(idle.answers()) == []
        sizes = [one.size for one in await working]  # type: ignore[union-attr]
        assert sizes == ["small", "full"]
    await room.previews.ended()


async def _all_of(answers: AsyncIterator[Shown | Failed]) -> list[Shown | Failed]:
    async with asyncio.timeout(20):
        return [one async for one in answers]


async def test_previews_dropped_at_any_moment_leave_nothing(room: Room) -> None:
    data = large_picture(700, 900)
    room.matting.delay_s = 0.02
    for number in range(40):
        with room.open() as preview:
            preview.take(Picture(data))
            working = asyncio.ensure_future(_all_of(preview.answers()))
            await asyncio.sleep(0.004 * number)
            working.cancel()
            await asyncio.wait([working])
    for _ in range(100):
        if not room.remover.overdue and not room.remover.budget.held:
            break
        await asyncio.sleep(0.05)
    load = room.remover.load()
    assert (room.remover.budget.kept, room.remover.budget.held, room.previews.n_open) == (0, 0, 0)
    assert (room.remover.overdue, load) == (0, {"memory": 0, "imaging": 0, "inference": 0})
    assert room.remover.is_idle
