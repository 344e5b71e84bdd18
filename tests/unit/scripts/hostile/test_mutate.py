"""Damaged files of every format, in a child process: a few always, thousands at times."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from scripts.hostile import mutate
from scripts.hostile.mutations import split
from scripts.hostile.seeds import make_seeds
from service.imaging.decode import decode
from service.imaging.guard import ImageLimits, inspect

FORMATS = ("bmp", "jpeg", "png", "webp", "tiff", "gif", "avif")


def run(count: int, folder: Path) -> int:
    seed = os.environ.get("FUZZ_SEED", str(int(time.time())))
    counted = ["--count", str(count), "--seed", seed, "--keep", str(folder)]
    return mutate.main([*counted, "--only", *FORMATS])


def test_some_damaged_files_are_read_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = run(40, tmp_path)
    told = capsys.readouterr().out
    assert status == 0, told
    assert all(f"| {name} | 40 |" in told for name in FORMATS)
    assert "accepted" in told
    assert "CORRUPT_IMAGE" in told


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_thousands_of_damaged_files_are_read_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = run(5000, tmp_path)
    assert status == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", make_seeds())
def test_every_seed_is_whole_and_its_parts_are_it(name: str) -> None:
    data = make_seeds()[name]
    assert b"".join(split(data)) == data
    assert len(split(data)) > 1
    decode(data, inspect(data, ImageLimits()))
