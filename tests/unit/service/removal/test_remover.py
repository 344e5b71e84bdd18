"""Bytes and options in, a cutout out; bounded in threads, memory and time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import numpy as np
import pytest
from PIL import Image

from models.errors import InferenceFailed
from service.errors import (
    CorruptImage,
    ImageError,
    MemoryExhausted,
    ProcessingTimeout,
    ServiceBusy,
)
from service.removal.bounds import RemoverConfig
from service.removal.options import RemovalOptions
from service.removal.pipeline import FINISH, Removal, Step
from service.removal.ports import ServedModel
from service.removal.remover import BackgroundRemover
from service.removal.threads import StageClock
from tests.support.matting import SPEC, FakeMattingClient
from tests.support.pictures import make_array, make_portrait, pixels_of, save, with_orientation

pytestmark = pytest.mark.anyio

MB = 1024**2
PLAIN = RemovalOptions(smoothing=False)


@pytest.fixture
def matting() -> FakeMattingClient:
    return FakeMattingClient()


@pytest.fixture
async def remover(matting: FakeMattingClient) -> AsyncIterator[BackgroundRemover]:
    made = BackgroundRemover([ServedModel(SPEC, matting)], RemoverConfig())
    yield made
    await made.close()


def make_remover(matting: FakeMattingClient, **bounds: float) -> BackgroundRemover:
    return BackgroundRemover([ServedModel(SPEC, matting)], RemoverConfig(**bounds))  # type: ignore[arg-type]


async def test_colours_under_no_opacity_are_gone(
    remover: BackgroundRemover, portrait_png: bytes
) -> None:
    cutout = pixels_of((await remover.remove(portrait_png, RemovalOptions())).file)
    hidden = cutout[..., 3] == 0
    assert 0.3 < hidden.mean() < 0.9
    assert cutout[hidden].max() == 0


async def test_colours_under_full_opacity_are_the_sources(
    remover: BackgroundRemover, portrait_png: bytes
) -> None:
    cutout = pixels_of((await remover.remove(portrait_png, RemovalOptions())).file)
    solid = cutout[..., 3] == 255
    assert np.array_equal(cutout[solid][:, :3], make_portrait()[solid])


@pytest.mark.parametrize(("height", "width"), [(64, 64), (97, 333), (500, 65)])
async def test_a_cutout_is_as_large_as_its_source(
    remover: BackgroundRemover, height: int, width: int
) -> None:
    result = await remover.remove(save(Image.fromarray(make_array(height, width)), "PNG"), PLAIN)
    assert (result.height, result.width) == (height, width)
    assert pixels_of(result.file).shape == (height, width, 4)


async def test_a_cutout_is_upright_and_as_large_as_the_upright_source(
    remover: BackgroundRemover,
) -> None:
    portrait = Image.fromarray(make_portrait(120, 160))
    sideways = save(portrait.transpose(Image.Transpose.ROTATE_90), "PNG", exif=with_orientation(6))
    turned = await remover.remove(sideways, PLAIN)
    straight = await remover.remove(save(portrait, "PNG"), PLAIN)
    assert (turned.height, turned.width) == (120, 160)
    assert turned.file == straight.file


async def test_smoothing_changes_the_edge_and_nothing_else(
    remover: BackgroundRemover, portrait_png: bytes
) -> None:
    hard = pixels_of((await remover.remove(portrait_png, PLAIN)).file)[..., 3]
    smooth = pixels_of((await remover.remove(portrait_png, RemovalOptions())).file)[..., 3]
    changed = hard != smooth
    assert changed.any()
    assert changed.mean() < 0.2
    assert hard[60, 80] == smooth[60, 80] == 255


async def test_what_was_transparent_stays_so(remover: BackgroundRemover) -> None:
    existing = np.full((120, 160), 255, np.uint8)
    existing[:, :80] = 0
    existing[:, 80:100] = 128
    data = save(Image.fromarray(np.dstack([make_portrait(), existing])), "PNG")
    alpha = pixels_of((await remover.remove(data, PLAIN)).file)[..., 3]
    assert alpha[:, :80].max() == 0
    assert alpha[60, 90] == 128
    assert alpha[60, 105] == 255


@pytest.mark.parametrize("hidden", [0, 90, 255])
@pytest.mark.parametrize("shade", [0, 30, 240, 255])
async def test_what_lies_hidden_changes_nothing(
    remover: BackgroundRemover, matting: FakeMattingClient, shade: int, hidden: int
) -> None:
    alpha = np.zeros((120, 160), np.uint8)
    alpha[30:90, 40:120] = 255
    alpha[28:30, 40:120] = 120
    results = []
    for under in (hidden, 77):
        colours = np.where(alpha[..., None] > 0, shade, under).astype(np.uint8)
        rgba = np.dstack([colours, colours, colours, alpha])
        results.append((await remover.remove(save(Image.fromarray(rgba), "PNG"), PLAIN)).file)
    assert results[0] == results[1]
    cutout = pixels_of(results[0])
    assert (cutout[..., 3] <= alpha).all()
    assert not cutout[alpha == 0].any()


async def test_a_picture_of_which_nothing_is_seen_gives_nothing(remover: BackgroundRemover) -> None:
    rgba = np.dstack([make_portrait(), np.zeros((120, 160), np.uint8)])
    result = await remover.remove(save(Image.fromarray(rgba), "PNG"), PLAIN)
    assert not pixels_of(result.file).any()


async def test_a_picture_without_a_subject_is_not_stretched(remover: BackgroundRemover) -> None:
    dim = save(Image.fromarray(np.full((80, 80, 3), 3, np.uint8)), "PNG")
    assert pixels_of((await remover.remove(dim, PLAIN)).file)[..., 3].max() <= 3


@pytest.mark.parametrize(
    ("n_bytes", "times"),
    [(1, 1), (5 * MB, 1), (5 * MB + 1, 2), (8 * MB, 2), (8 * MB + 1, 4), (10 * MB, 4)],
)
async def test_the_deadline_grows_with_the_file(
    remover: BackgroundRemover, n_bytes: int, times: int
) -> None:
    assert remover.config.deadline_s(n_bytes) == times * 30


async def test_a_missed_deadline_says_how_long_and_what_to_do(portrait_png: bytes) -> None:
    remover = make_remover(FakeMattingClient(delay_s=10), timeout_s=0.2)
    with pytest.raises(ProcessingTimeout) as late:
        await remover.remove(portrait_png, PLAIN)
    assert late.value.detail == "Processing timeout exceeded 0.2 seconds"
    assert late.value.fields["elapsed_seconds"] == pytest.approx(0.2, abs=0.15)
    assert late.value.fields["suggested_action"] == "Reduce image size or retry with smaller image"
    await remover.close()


class SlowStep:
    """A step before all others of the second half, which takes until told."""

    __name__ = "wait"

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        monkeypatch.setattr("service.removal.remover.FINISH", [Step(self), *FINISH])

    def __call__(self, removal: Removal, clock: StageClock) -> None:
        self.begun.set()
        self.go_on.wait(10)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> SlowStep:
    return SlowStep(monkeypatch)


async def test_a_thread_past_its_deadline_is_counted_and_its_memory_held_until_it_is_done(
    portrait_png: bytes, slow: SlowStep
) -> None:
    remover = BackgroundRemover(
        [ServedModel(SPEC, FakeMattingClient())], RemoverConfig(timeout_s=0.3)
    )
    with pytest.raises(ProcessingTimeout):
        await remover.remove(portrait_png, PLAIN)
    assert slow.begun.is_set()
    assert remover.overdue == 1
    assert remover.budget.held >= 120 * 160 * 3
    slow.go_on.set()
    assert await remover.close()
    await asyncio.sleep(0.05)
    assert (remover.overdue, remover.budget.held) == (0, 0)


async def test_closing_does_not_wait_for_a_thread_that_does_not_come_back(
    portrait_png: bytes, slow: SlowStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.removal.remover._COME_BACK_S", 0.1)
    remover = BackgroundRemover(
        [ServedModel(SPEC, FakeMattingClient())], RemoverConfig(timeout_s=0.3)
    )
    with pytest.raises(ProcessingTimeout):
        await remover.remove(portrait_png, PLAIN)
    assert not await remover.close()
    slow.go_on.set()


async def test_a_thread_gives_up_at_its_next_step_once_nobody_waits(
    portrait_png: bytes, slow: SlowStep
) -> None:
    remover = BackgroundRemover(
        [ServedModel(SPEC, FakeMattingClient())], RemoverConfig(timeout_s=0.3, workers=1)
    )
    with pytest.raises(ProcessingTimeout) as late:
        await remover.remove(portrait_png, PLAIN)
    assert late.value.fields["elapsed_seconds"] >= 0.3
    slow.go_on.set()
    done = asyncio.get_running_loop().time() + 5
    while remover.overdue and asyncio.get_running_loop().time() < done:
        await asyncio.sleep(0.01)
    assert remover.overdue == 0
    await remover.close()


@pytest.mark.parametrize("stage", ["decoding.decode", "estimate_foreground", "encode_picture"])
async def test_no_memory_is_said_to_be_no_memory(
    portrait_png: bytes, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    def no_memory(*_: object, **__: object) -> None:
        raise MemoryError

    remover = make_remover(FakeMattingClient())
    monkeypatch.setattr(f"service.removal.pipeline.{stage}", no_memory)
    with pytest.raises(MemoryExhausted):
        await remover.remove(portrait_png, PLAIN)
    assert remover.budget.held == 0
    await remover.close()


async def test_memory_is_given_back_after_every_kind_of_end(portrait_png: bytes) -> None:
    remover = make_remover(FakeMattingClient(faults=(InferenceFailed("x"),)))
    with pytest.raises(InferenceFailed):
        await remover.remove(portrait_png, PLAIN)
    with pytest.raises(CorruptImage):
        await remover.remove(portrait_png[:-300], PLAIN)
    await remover.remove(portrait_png, PLAIN)
    await asyncio.sleep(0.02)
    assert remover.budget.held == 0
    await remover.close()


async def test_one_more_than_the_queue_takes_is_refused_at_once(portrait_png: bytes) -> None:
    remover = make_remover(FakeMattingClient(delay_s=0.3), max_queue=2)
    inside = [asyncio.create_task(remover.remove(portrait_png, PLAIN)) for _ in range(2)]
    inside.append(asyncio.create_task(remover.remove(portrait_png, PLAIN, in_batch=True)))
    await asyncio.sleep(0.05)
    assert remover.lanes() == {"callers": (2, 2), "batches": (1, 1)}
    with pytest.raises(ServiceBusy) as busy:
        await remover.remove(portrait_png, PLAIN)
    assert busy.value.fields == {"retry_after": 1}
    await asyncio.gather(*inside)
    await remover.remove(portrait_png, PLAIN)
    await remover.close()


async def test_refused_files_leave_the_queue(remover: BackgroundRemover) -> None:
    for _ in range(100):
        with pytest.raises(ImageError):
            await remover.remove(b"no picture", PLAIN)
    assert remover.is_idle
    assert {n_inside for n_inside, _ in remover.lanes().values()} == {0}
    assert {*remover.load().values()} == {0}


async def test_pictures_wait_for_each_others_memory(portrait_png: bytes) -> None:
    matting = FakeMattingClient(delay_s=0.05)
    remover = make_remover(matting, max_bytes=120 * 160 * 26 * 2)
    await asyncio.gather(*(remover.remove(portrait_png, PLAIN) for _ in range(6)))
    assert matting.most_at_once == 2
    await remover.close()


async def test_a_picture_larger_than_the_whole_budget_is_still_served(portrait_png: bytes) -> None:
    remover = make_remover(FakeMattingClient(), max_bytes=1000)
    assert (await remover.remove(portrait_png, PLAIN)).width == 160
    await remover.close()


async def test_a_bad_file_never_reaches_inference(
    remover: BackgroundRemover, matting: FakeMattingClient
) -> None:
    with pytest.raises(ImageError):
        await remover.remove(b"\xff\xd8\xff" + bytes(100), PLAIN)
    assert matting.calls == 0


async def test_warming_up_runs_one_whole_removal_without_a_file(
    remover: BackgroundRemover, matting: FakeMattingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/not-there")
    await remover.warm_up()
    assert matting.calls == 1


async def test_every_stage_is_timed(remover: BackgroundRemover, portrait_png: bytes) -> None:
    result = await remover.remove(portrait_png, RemovalOptions())
    stages = ("guard", "admission", "decode", "fit", "matte", "inference", "refine", "smooth")
    assert {*stages, "compose", "encode"} <= set(result.stages_ms)
    assert all(milliseconds >= 0 for milliseconds in result.stages_ms.values())
