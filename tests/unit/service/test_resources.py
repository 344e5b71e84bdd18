"""The smallest limit counts: of the machine, a control group, the address space."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from service.resources import allowed_bytes, free_bytes, group_limits, has_room_for_as_much

GB = 1024**3


def test_no_more_than_the_machine_has() -> None:
    assert 0 < allowed_bytes() <= psutil.virtual_memory().total


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit there")
def test_what_is_left_of_the_address_space(root: Path) -> None:
    code = "from service.resources import allowed_bytes; print(allowed_bytes())"
    shell = f'ulimit -v {4 * GB // 1024}; exec "$0" -c "$1"'
    ran = subprocess.run(
        ["bash", "-c", shell, sys.executable, code],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert 2 * GB < int(ran.stdout) < 4 * GB


@pytest.mark.parametrize(
    ("mount", "membership", "file"),
    [
        ("cgroup2 cgroup2 rw", "0::/a/b", "memory.max"),
        ("cgroup cgroup rw,memory", "7:memory:/a/b", "memory.limit_in_bytes"),
    ],
)
def test_the_limits_of_all_groups_around_this_process(
    tmp_path: Path, mount: str, membership: str, file: str
) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(f"{membership}\n")
    line = f"30 25 0:26 / /sys/fs/cgroup rw - {mount}\n"
    (tmp_path / "proc/self/mountinfo").write_text(line)
    inner = tmp_path / "sys/fs/cgroup/a/b"
    inner.mkdir(parents=True)
    (inner / file).write_text("max\n")
    (inner.parent / file).write_text(f"{2 * GB}\n")
    assert group_limits(tmp_path) == [2 * GB]
    used = {"memory.max": "memory.current", "memory.limit_in_bytes": "memory.usage_in_bytes"}[file]
    for taken, free in ((2 * GB - 5, 5), (3 * GB, 0)):
        (inner.parent / used).write_text(f"{taken}\n")
        assert free_bytes(tmp_path) == free
    counted = "inactive_file" if file == "memory.max" else "total_inactive_file"
    (inner.parent / "memory.stat").write_text(f"anon 9\n{counted} 7\n")
    (inner.parent / used).write_text(f"{2 * GB}\n")
    assert free_bytes(tmp_path) == 7


def test_this_small_process_fits_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert has_room_for_as_much()
    monkeypatch.setattr("service.resources.free_bytes", lambda: GB // 1024)
    assert not has_room_for_as_much()
