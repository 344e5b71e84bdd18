"""A second name for inference's socket, where the system allows one."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from service.lifecycle import second_name


def test_a_socket_is_reached_by_its_second_name_after_the_first_is_gone() -> None:
    with tempfile.TemporaryDirectory(prefix="s-") as folder, socket.socket(socket.AF_UNIX) as bound:
        first = Path(folder, "uds", "1.sock")
        first.parent.mkdir()
        bound.bind(str(first))
        bound.listen()
        with second_name(first.as_uri()) as address:
            first.unlink()
            with socket.socket(socket.AF_UNIX) as caller:
                caller.connect(address.removeprefix("file://"))
        assert [path.name for path in Path(folder).iterdir()] == ["uds"]


def test_where_no_second_name_can_be_had_the_first_has_to_do(tmp_path: Path) -> None:
    missing = (tmp_path / "uds" / "1.sock").as_uri()
    with second_name(missing) as address:
        assert address == missing


# A supervisor and its worker, by their command lines; the worker has it stopped.
SUPERVISOR = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, lambda *_: print("process", os.getpid(), "was told to stop"))
worker = "from service.lifecycle import stop_service; stop_service()"
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


def test_who_takes_orphans_in_is_not_the_supervisor(root: Path) -> None:
    command = [sys.executable, "-c", SUPERVISOR]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr
