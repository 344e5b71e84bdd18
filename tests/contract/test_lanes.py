"""Tests run in lanes, processes that report to another: what a test says must not end one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import REPOSITORY

pytestmark = pytest.mark.full

TESTS = r"""
import logging

def test_a_log_that_is_no_text():
    logging.getLogger().warning("a\udcffb")

def test_a_failure_that_is_no_text():
    raise RuntimeError("c\udcffd")

def test_what_comes_after():
    pass
"""
BROKEN = """
import os

def pytest_runtest_logfinish(nodeid):
    if "PYTEST_XDIST_WORKER" in os.environ:
        raise ValueError("a hook of " + nodeid)
"""


def run_in_a_lane(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_odd.py").write_text(TESTS)
    (folder / "pytest.ini").write_text("[pytest]\n")
    lane = ["-n", "1", "-p", "tests.conftest", "-c", "pytest.ini", "--rootdir", "."]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *lane, *words, "."],
        cwd=folder,
        env={"PYTHONPATH": f"{REPOSITORY}:{folder}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_is_no_text_is_reported_all_the_same(tmp_path: Path) -> None:
    ran = run_in_a_lane(tmp_path)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "1 failed, 2 passed" in ran.stdout
    assert r"c\udcffd" in ran.stdout


def test_why_a_lane_ended_is_the_last_thing_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    ran = run_in_a_lane(tmp_path, "-p", "broken")
    assert ran.returncode == 3, ran.stdout + ran.stderr
    assert "ValueError: a hook of test_odd.py::test_a_log" in ran.stderr
