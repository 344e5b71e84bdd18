"""Folders of running instances: private, swept once nobody holds them, refused in a sentence."""

from __future__ import annotations

import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.processes.instance import open_instance


@pytest.fixture
def parent() -> Iterator[Path]:
    """A short folder: the path of a socket has 103 bytes."""
    with tempfile.TemporaryDirectory(prefix="i-") as folder:
        yield Path(folder, "run")


def test_nobody_else_may_enter_it_whatever_the_umask(parent: Path) -> None:
    instance = open_instance([parent])
    assert stat.S_IMODE(instance.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(parent.stat().st_mode) == 0o700
    instance.remove()
    assert not instance.folder.exists()


def test_a_folder_that_others_may_enter_is_closed_to_them(parent: Path) -> None:
    parent.mkdir(mode=0o777)
    open_instance([parent]).remove()
    assert stat.S_IMODE(parent.stat().st_mode) == 0o700


def test_what_a_killed_process_left_is_swept_and_what_lives_is_not(parent: Path) -> None:
    alive = open_instance([parent])
    (alive.folder / "socket").touch()
    killed = (
        "import os; from pathlib import Path; "
        "from service.processes.instance import open_instance as o; "
        f"i = o([Path({str(parent)!r})]); print(i.folder, flush=True); os.kill(os.getpid(), 9)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", killed], capture_output=True, text=True, check=False
    )
    left = Path(ran.stdout.strip())
    assert left.is_dir()
    third = open_instance([parent])
    assert not left.exists()
    assert (alive.folder / "socket").exists()
    for instance in (alive, third):
        instance.remove()


def test_the_next_place_is_taken_where_the_first_is_too_long_or_not_ours(parent: Path) -> None:
    elsewhere = parent.parent / "elsewhere"
    elsewhere.mkdir()
    link = parent.parent / "link"
    link.symlink_to(elsewhere)
    instance = open_instance([parent / ("x" * 90), link, parent])
    assert instance.folder.parent == parent
    assert list(elsewhere.iterdir()) == []
    instance.remove()


def test_where_no_place_will_do_one_sentence_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"no place for its sockets: .* BIREFNET_CACHE_DIR"):
        open_instance([tmp_path / ("x" * 90)])
