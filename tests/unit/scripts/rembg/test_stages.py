"""What lies around the network is timed by the CPU it takes, whatever else the machine does."""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path

import numpy as np
import pytest

from models.catalog import find
from scripts.rembg.stages import _measure_ours
from tests.support.pictures import make_image


def test_stages_count_cpu_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(seconds)))  # a slow machine
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(make_image())
    matte = np.full((320, 320), 255, np.uint8)
    _, stages_ms = asyncio.run(_measure_ours(find("u2netp"), picture, matte, 1))
    assert {"guard", "decode", "refine", "encode"} <= set(stages_ms)
    assert sum(stages_ms.values()) < 1000
