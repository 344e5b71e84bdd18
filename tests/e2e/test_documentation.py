"""The pages by use: what they show is run, in its order, in one folder, against a real service."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import surroundings
from tests.support.documentation import BY_USE, HELD_ELSEWHERE, LANGUAGES, Snippet, snippets_of
from tests.support.pictures import make_image, open_image
from tests.support.server import BentoServer

HERE = "http://localhost:55433"
_STARTS = {"bash": ["bash", "-euo", "pipefail"], "python": [sys.executable]}
_STARTS |= {"js": ["node"], "php": ["php"], "go": ["go", "run"]}
_ENDS = {"bash": "sh", "python": "py", "js": "mjs", "php": "php", "go": "go"}


def pages(languages: tuple[str, ...]) -> list[Path]:
    """Pages on which one of these languages is run."""
    return [
        page
        for page in BY_USE
        if page.name not in HELD_ELSEWHERE
        and any(one.language in languages and not one.why_not for one in snippets_of(page))
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of the names that the pages use, and the commands; a refusal ends `curl`."""
    (tmp_path / "photos/deep").mkdir(parents=True)
    for name in ("photo.jpg", "portrait.jpg", "photos/a.jpg", "photos/deep/b.jpg"):
        (tmp_path / name).write_bytes(make_image("JPEG", 96, 128))
    commands = {
        "birefnet": f'exec {sys.executable} -m birefnet_client "$@"',
        "curl": 'exec /usr/bin/curl -f "$@"',
    }
    (tmp_path / "bin").mkdir()
    for name, line in commands.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def run(snippet: Snippet, number: int, folder: Path, url: str) -> None:
    """Run a program; fails if it does, or if a file that it names is not there then."""
    start = _STARTS[snippet.language]
    program = folder / f"program{number}.{_ENDS[snippet.language]}"
    program.write_text(snippet.text.replace(HERE, url))
    found = shutil.which(start[0])
    if found is None:
        pytest.fail(f"there is no {start[0]} here")
    path = f"{folder}/bin:{Path(found).parent}:/usr/bin:/bin"
    home = {"HOME": str(folder), "GOCACHE": str(folder / "go"), "GO111MODULE": "off"}
    ran = subprocess.run(
        [found, *start[1:], program.name],
        cwd=folder,
        env={**surroundings(url), **home, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, f"{snippet.text}\n{ran.stdout[-500:]}\n{ran.stderr}"
    assert "Traceback" not in ran.stderr
    for name in re.findall(r"-o ([\w.-]+\.(?:png|jpg|webp))", snippet.text):
        open_image((folder / name).read_bytes())


@pytest.mark.full
@pytest.mark.parametrize("page", pages(("bash", "python")), ids=lambda page: page.stem)
def test_what_a_page_shows_runs(page: Path, folder: Path, fake_server: BentoServer) -> None:
    for number, snippet in enumerate(snippets_of(page)):
        if snippet.language in ("bash", "python") and not snippet.why_not:
            run(snippet, number, folder, fake_server.url(""))


@pytest.mark.services
@pytest.mark.parametrize("language", ["js", "php", "go"])
def test_other_languages_run(language: str, folder: Path, fake_server: BentoServer) -> None:
    shown = [
        one for page in pages((language,)) for one in snippets_of(page) if one.language == language
    ]
    assert shown
    for number, snippet in enumerate(shown):
        (folder / "cutout.webp").unlink(missing_ok=True)
        run(snippet, number, folder, fake_server.url(""))
        assert open_image((folder / "cutout.webp").read_bytes()).format == "WEBP"
        (folder / "photo.jpg").write_bytes(b"no picture")
        with pytest.raises(AssertionError, match="Unsupported file format"):
            run(snippet, number, folder, fake_server.url(""))
        (folder / "photo.jpg").write_bytes(make_image("JPEG", 96, 128))


def test_every_language_that_runs_has_a_way_to() -> None:
    assert set(LANGUAGES) == set(_STARTS) == set(_ENDS)
