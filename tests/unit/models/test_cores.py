"""A CPU quota counts as cores, in either version of control groups and wherever it is set."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from models import cores
from models.cores import cpu_quota, usable_cores

V2 = "30 23 0:26 {top} {mount} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
V1 = "33 23 0:29 {top} {mount} rw,nosuid - cgroup cgroup rw,cpu,cpuacct"


def system(root: Path, mount: str, membership: str, limits: dict[str, str], top: str = "/") -> Path:
    """A file system with one hierarchy mounted at `/cg`, and files below it."""
    (root / "proc/self").mkdir(parents=True)
    line = mount.format(mount="/cg", top=top)
    (root / "proc/self/mountinfo").write_text(f"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n{line}\n")
    (root / "proc/self/cgroup").write_text(f"4:memory:/elsewhere\n{membership}\n")
    for name, text in limits.items():
        file = root / "cg" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def v1(group: str, quota: str, period: str = "100000") -> dict[str, str]:
    return {
        f"{group}/cpu.cfs_quota_us": f"{quota}\n",
        f"{group}/cpu.cfs_period_us": f"{period}\n",
    }


@pytest.mark.parametrize(
    ("limits", "quota"),
    [
        ({"app/cpu.max": "250000 100000\n"}, 2.5),
        ({"app/cpu.max": "max 100000\n"}, None),
        ({"app/cpu.max": "max 100000\n", "cpu.max": "300000 100000\n"}, 3.0),
        ({"app/cpu.max": "400000 100000\n", "cpu.max": "50000 100000\n"}, 0.5),
        ({"app/cpu.max": "20000 10000\n", "cpu.max": "900000 100000\n"}, 2.0),
        ({}, None),
        ({"app/cpu.max": ""}, None),
        ({"app/cpu.max": "fast 100000\n"}, None),
        ({"app/cpu.max": "100000 0\n"}, None),
    ],
)
def test_version_2_takes_the_smallest_on_the_path(
    limits: dict[str, str], quota: float | None, tmp_path: Path
) -> None:
    assert cpu_quota(system(tmp_path, V2, "0::/app", limits)) == quota


@pytest.mark.parametrize(
    ("limits", "quota"),
    [
        (v1("pod/app", "150000"), 1.5),
        (v1("pod/app", "-1"), None),
        (v1("pod/app", "-1") | v1("pod", "75000", "50000"), 1.5),
        (v1("pod/app", "600000") | v1("pod", "200000"), 2.0),
        (v1("other", "100000"), None),
    ],
)
def test_version_1_takes_the_smallest_on_the_path(
    limits: dict[str, str], quota: float | None, tmp_path: Path
) -> None:
    assert cpu_quota(system(tmp_path, V1, "3:cpu,cpuacct:/pod/app", limits)) == quota


@pytest.mark.parametrize(
    ("membership", "top"),
    [
        ("0::/", "/"),  # a group name space of its own
        ("0::/docker/abc", "/docker/abc"),  # the host's names, the container's mount
        ("0::/../../sibling", "/"),  # a group outside of what is seen here
        ("0::/docker/abc", "/kubepods/xyz"),
    ],
)
def test_in_a_container_the_top_of_the_mount_is_the_containers_group(
    membership: str, top: str, tmp_path: Path
) -> None:
    limits = {"cpu.max": "100000 100000\n"}
    assert cpu_quota(system(tmp_path, V2, membership, limits, top)) == 1.0


def test_only_the_hierarchy_of_the_cpu_controller_counts(tmp_path: Path) -> None:
    cpuset = V1.replace("cpu,cpuacct", "cpuset")
    assert cpu_quota(system(tmp_path, cpuset, "3:cpuset:/a", v1("a", "100000"))) is None


def test_a_mount_with_a_space_in_its_name_is_read(tmp_path: Path) -> None:
    root = system(tmp_path, V2.replace("{mount}", "/c\\040g"), "0::/", {})
    (root / "c g").mkdir()
    (root / "c g/cpu.max").write_text("200000 100000")
    assert cpu_quota(root) == 2.0


def test_a_system_without_control_groups_has_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None


@pytest.mark.parametrize(
    ("quota", "expected"), [(None, 4), (0.2, 1), (1.0, 1), (1.01, 2), (3.5, 4), (64.0, 4)]
)
def test_cores_are_what_affinity_and_quota_leave(
    quota: float | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 5, 7}, raising=False)
    monkeypatch.setattr(cores, "cpu_quota", lambda: quota)
    assert usable_cores() == expected


def test_cores_are_counted_where_the_system_has_no_affinity(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(cores, "cpu_quota", lambda: None)
    assert usable_cores() == os.cpu_count()


def test_a_process_that_shares_the_machine_takes_what_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cores, "_told", None)
    there = usable_cores()
    cores.use_only(1)
    assert usable_cores() == 1
    cores.use_only(there + 1)
    assert usable_cores() == there
