"""Tests run in lanes, processes that report to another: what a test says must not end one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import REPOSITORY

TESTS = r"""
import logging

def test_a_log_that_is_no_text():
    logging.getLogger().warning("a\udcffb")

def test_a_failure_that_is_no_text():
    raise RuntimeError("c\udcffd")

def test_what_comes_after():
    pass
"""


@pytest.mark.full
def test_what_is_no_text_is_reported_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "test_odd.py").write_text(TESTS)
    words = ["-n", "1", "-p", "tests.conftest", "-c", "pytest.ini", "--rootdir", ".", "."]
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "1 failed, 2 passed" in ran.stdout
    assert r"c\udcffd" in ran.stdout
