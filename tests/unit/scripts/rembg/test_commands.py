"""Commands beside each other: what is measured is theirs, and what they did not make is told."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from scripts.command import Unusable
from scripts.measuring.machine import describe_machine
from scripts.rembg.commands import Commands, Contender, Row, Run, measure, take_turns

#: Takes 150 MB, 0.2 s of a processor, and copies what it is given.
WORK = """
import shutil, sys, time
from pathlib import Path
source, _, target = map(Path, sys.argv[1:])
taken = b"x" * 150_000_000
while time.process_time() < 0.2: pass
shutil.copytree(source, target) if source.is_dir() else shutil.copyfile(source, target)
"""


def contender(work: str = WORK, name: str = "ours") -> Contender:
    return Contender(name, (sys.executable, "-c", work), (), (), ("-o",), {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / "in" / f"{number}.jpg").write_bytes(b"picture")
    return tmp_path / "in"


def test_time_and_memory_are_the_commands_own(folder: Path, tmp_path: Path) -> None:
    ours = np.ones(60_000_000)  # 480 MB of this process, which the command is forked from
    run = measure(contender(), folder, tmp_path / "out", tmp_path / "log")
    assert 150 < run.peak_mb < 400 < ours.nbytes / 1e6
    assert 0.2 <= run.cpu_s < 2
    assert run.wall_s >= 0.2
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("work", "words"),
    [
        ("print('no such option'); raise SystemExit(2)", "made 0 of 3 files: no such option"),
        ("from pathlib import Path; Path(__import__('sys').argv[3]).mkdir()", "made 0 of 3"),
    ],
)
def test_what_was_not_made_ends_it(work: str, words: str, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Unusable, match=words):
        measure(contender(work), folder, tmp_path / "out", tmp_path / "log")


def test_they_take_turns_and_the_first_start_does_not_count(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "order"
    work = "import shutil, sys; open({!r}, 'a').write({!r}); shutil.copyfile(*sys.argv[1::2])"
    pair = [contender(work.format(str(log), name[0]), name) for name in ("ours", "rembg")]
    mine, theirs = take_turns((pair[0], pair[1]), folder / "0.jpg", 3, tmp_path)
    assert (len(mine), len(theirs)) == (3, 3)
    assert log.read_text() == "roorroor"


def test_the_report_has_medians_and_both_sides() -> None:
    ours = [Run(2.0, 3.0, 400.0), Run(9.0, 9.0, 900.0), Run(1.0, 1.0, 100.0)]
    rows = [Row("u2net", "one picture, 1080p", ours, [Run(5.0, 6.0, 800.0)] * 3)]
    report = Commands("2026-11-27", "command", describe_machine(), {"rembg": "2.0.86"}, rows)
    page = report.as_markdown()
    assert "| u2net, one picture, 1080p | 2.00 s | 5.00 s | 2.5x faster | 3.0 s | 6.0 s |" in page
    assert "| 400 MB | 800 MB | 50% |" in page
    assert "rembg 2.0.86" in page
