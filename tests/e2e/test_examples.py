"""The examples, run as a reader would run them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.pictures import make_image, open_image
from tests.support.server import REPOSITORY, BentoServer, Serve, free_port

EXAMPLES = REPOSITORY / "examples"


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, timeout=120, check=False
    )


def test_the_sync_client_keeps_the_cutout(fake_server: BentoServer, tmp_path: Path) -> None:
    target = tmp_path / "cutout.png"
    photo = EXAMPLES / "photos" / "astronaut.jpg"
    ran = run(EXAMPLES / "sync_client.py", photo, target, fake_server.url(""))
    assert (ran.returncode, ran.stdout) == (0, f"{target}\n"), ran.stderr
    cutout = open_image(target.read_bytes())
    assert (cutout.format, cutout.mode, cutout.size) == ("PNG", "RGBA", (512, 512))


def test_the_sync_client_says_in_one_line_what_is_wrong(
    fake_server: BentoServer, tmp_path: Path
) -> None:
    source = tmp_path / "report.pdf"
    source.write_bytes(b"%PDF-1.7 nothing to see")
    ran = run(EXAMPLES / "sync_client.py", source, tmp_path / "cutout.png", fake_server.url(""))
    assert ran.returncode == 1
    assert "Unsupported file format" in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1, ran.stderr


@pytest.mark.full
def test_the_async_client_sends_a_folder_and_one_bad_picture_keeps_no_other(
    serve: Serve, tmp_path: Path
) -> None:
    sources, targets = tmp_path / "sources", tmp_path / "targets"
    sources.mkdir()
    for number in range(7):
        (sources / f"{number}.png").write_bytes(make_image("PNG", 80, 64 + number))
    (sources / "bad.jpg").write_bytes(b"no picture")
    (sources / "notes.txt").write_text("not sent")
    with serve() as server:  # with every limit an operator leaves in place
        ran = run(EXAMPLES / "async_client.py", sources, targets, server.url(""))
    assert ran.returncode == 1
    (fault,) = ran.stdout.strip().splitlines()
    assert fault.startswith("bad.jpg: ")
    assert "Unsupported file format" in fault
    assert sorted(file.name for file in targets.iterdir()) == [f"{n}.png.png" for n in range(7)]
    assert open_image((targets / "3.png.png").read_bytes()).size == (67, 80)


@pytest.mark.parametrize("program", ["sync_client", "async_client"])
def test_a_service_that_is_not_there_is_said_so_in_one_line(program: str, tmp_path: Path) -> None:
    photos = EXAMPLES / "photos"
    source = photos / "astronaut.jpg" if program == "sync_client" else photos
    address = f"http://127.0.0.1:{free_port()}"
    ran = run(EXAMPLES / f"{program}.py", source, tmp_path / "cutouts", address)
    assert ran.returncode == 1
    assert "not ready after" in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1, ran.stderr
