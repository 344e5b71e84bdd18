"""A supervisor is known by what it runs, and a worker heeds what it is told with."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

# A supervisor and its worker, by their command lines; the worker has it stopped.
SUPERVISOR = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, lambda *_: print("process", os.getpid(), "was told to stop"))
worker = "from service.processes.workers import stop_service; stop_service()"
names = ["_bentoml_impl.worker.service", "--service-name", "inference"]
sys.exit(subprocess.run([sys.executable, "-c", worker, *names]).returncode)
"""
IN_A_CONTAINER = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc")


def test_a_supervisor_is_known_where_it_is_process_1(root: Path) -> None:
    if subprocess.run([*IN_A_CONTAINER, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespaces can be made here")
    command = [*IN_A_CONTAINER, sys.executable, "-c", SUPERVISOR, "serve"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    assert (ran.returncode, ran.stdout) == (0, "process 1 was told to stop\n"), ran.stderr


def test_a_parent_that_does_not_run_serve_is_not_told_to_stop(root: Path) -> None:
    command = [sys.executable, "-c", SUPERVISOR]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr


@pytest.mark.parametrize(
    ("parent", "status"), [(["serve"], 0), (["start-http-server"], 0), ([], -signal.SIGTERM)]
)
def test_a_worker_whose_supervisor_was_killed_while_it_started_ends(
    root: Path, parent: list[str], status: int
) -> None:
    code = SUPERVISOR.replace("stop_service", "end_with_supervisor")
    code = code.replace("sys.exit(", "print(")
    ran = subprocess.run(
        [sys.executable, "-c", code, *parent], capture_output=True, text=True, cwd=root, check=False
    )
    assert int(ran.stdout) == status, ran.stderr
