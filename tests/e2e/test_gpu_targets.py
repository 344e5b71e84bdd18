"""The targets of the specification's section 8.3, on the machine they are meant for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.measuring.load import LoadReport, load
from tests.support.pictures import make_image
from tests.support.server import NO_LIMITS, BentoServer, Serve

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.tensorrt,
    pytest.mark.skipif(
        not Path("/dev/nvidia0").exists(), reason="no NVIDIA GPU on this machine (section 8.3)"
    ),
]


@pytest.fixture(scope="module")
def gpu_server(serve: Serve) -> Iterator[BentoServer]:
    with serve(
        BIREFNET_ENGINE="auto", BIREFNET_DEVICE="cuda", BIREFNET_USE_TENSORRT="true", **NO_LIMITS
    ) as server:
        if not server.health()["tensorrt_enabled"]:
            pytest.skip(f"TensorRT does not serve: {server.health()['reasons']}")
        yield server


@pytest.fixture(scope="module")
def report(gpu_server: BentoServer, tmp_path_factory: pytest.TempPathFactory) -> LoadReport:
    picture = tmp_path_factory.mktemp("gpu") / "portrait_1920x1080.jpg"
    picture.write_bytes(make_image("JPEG", 1080, 1920))
    asyncio.run(load(gpu_server.url(), [picture], requests=10, concurrency=1))
    return asyncio.run(load(gpu_server.url(), [picture], requests=100, concurrency=1))


@pytest.mark.parametrize(
    ("percentile", "target_ms"),
    [("p50_latency_ms", 70), ("p95_latency_ms", 80), ("p99_latency_ms", 100)],
)
def test_latency_is_what_the_specification_asks(
    report: LoadReport, percentile: str, target_ms: float
) -> None:
    assert getattr(report, percentile) <= target_ms


def test_throughput_is_what_the_specification_asks(report: LoadReport) -> None:
    assert report.throughput >= 12


def test_one_removal_takes_no_more_gpu_memory_than_the_specification_says(
    gpu_server: BentoServer, report: LoadReport
) -> None:
    before = gpu_server.health()["gpu_memory_free_mb"]
    assert gpu_server.remove(make_image("JPEG", 1080, 1920)).status_code == 200
    assert before - gpu_server.health()["gpu_memory_free_mb"] <= 1200
