"""Many callers at once: no errors, real batches, steady memory."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from scripts.measuring.load import load
from tests.support.pictures import make_image
from tests.support.server import BentoServer, mosaic_picture

MB = 1024**2


@pytest.mark.full
def test_three_hundred_calls_at_once_sixteen_all_succeed_in_batches(
    fake_server: BentoServer, tmp_path: Path
) -> None:
    picture = tmp_path / "portrait.jpg"
    picture.write_bytes(make_image("JPEG", 240, 320))
    before = _batches(fake_server)
    report = asyncio.run(load(fake_server.url(), [picture], requests=300, concurrency=16))
    after = _batches(fake_server)
    assert report.statuses == {"200": 300}
    assert "the hop to inference broke" not in fake_server.log()  # a retry would have hidden it
    single, total = (after[index] - before[index] for index in (0, 1))
    assert 0 < total < 300, "never more than one picture in a batch"
    assert single < total


def _batches(server: BentoServer) -> tuple[float, float]:
    """How many batches had one item, and how many there were."""
    single = total = 0.0
    for name, value in server.metrics().items():
        if name.startswith("bentoml_service_adaptive_batch_size_bucket"):
            bound = re.search(r'le="([^"]+)"', name)
            assert bound is not None
            single += value if float(bound[1]) == 1 else 0
            total += value if bound[1] == "+Inf" else 0
    return single, total


@pytest.mark.full
def test_memory_is_steady_over_sixty_pictures_of_mixed_sizes(real_server: BentoServer) -> None:
    sizes = ((96, 128), (480, 640), (1080, 1920), (2000, 1500), (64, 64), (2000, 3000))
    pictures = [
        make_image("JPEG", *size) if size[0] < 2000 else mosaic_picture(*size) for size in sizes
    ]
    samples = []
    with ThreadPoolExecutor(3) as threads:
        for _ in range(10):
            answers = threads.map(real_server.remove, pictures)
            assert [answer.status_code for answer in answers] == [200] * len(pictures)
            samples.append(_pss(real_server))
    middle, last = samples[3:6], samples[7:10]
    print([round(sample / MB) for sample in samples])
    assert sum(last) / len(last) < sum(middle) / len(middle) + 60 * MB


def _pss(server: BentoServer) -> int:
    """Memory of both workers, shared pages split between those who share them."""
    workers: list[psutil.Process] = list(server.workers().values())
    return sum(int(worker.memory_full_info().pss) for worker in workers)
