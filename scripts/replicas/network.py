"""A network of hosts on this machine: namespaces of Linux, joined by a bridge in one of our own.

Nothing of it has a name that others could meet, and the kernel removes each namespace with the last
process in it. The processes end with us, however we end.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from scripts.command import Unusable
from scripts.measuring.processes import REPOSITORY, within

#: Of this process, on the bridge.
OWN_ADDRESS = "10.99.0.1"
SUBNET = "10.99.0.0/24"
_FIRST_HOST = 10
_STOP_S = 30.0
_END_WITH_US = ("setpriv", "--pdeathsig", "KILL")
_BE_A_HOST = (
    'echo "$1" >/proc/sys/kernel/hostname && ip link set lo up && echo up && exec sleep infinity'
)
_CONFIGURE = 'ip address add "$1/24" dev eth0 && ip link set eth0 up'


def go_into_own_network() -> None:
    """Become this same command in a network namespace of its own, unless it is there already.

    There it finds the Python client, whether or not that is installed.

    Raises:
        Unusable: If that is not allowed.
    """
    ours, others = (Path("/proc", who, "ns/net") for who in ("self", str(os.getppid())))
    if ours.readlink() != others.readlink():
        return
    if os.getuid() != 0:
        raise Unusable("network namespaces are made by root alone; run this as root")
    sys.stdout.flush()
    path = os.pathsep.join((str(REPOSITORY), str(REPOSITORY / "client")))
    command = ["env", f"PYTHONPATH={path}", sys.executable, *sys.orig_argv[1:]]
    os.execvp("unshare", ["unshare", "--net", *command])  # noqa: S606


class Host:
    """A network namespace with a host name, an address, and what is run in it.

    Args:
        name: Its name; at most 10 letters and digits.
        number: Which of the network's it is.

    Attributes:
        name: Its name.
        address: Its address on the bridge.
        processes: What was started in it.
    """

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.address = f"10.99.0.{_FIRST_HOST + number}"
        self.processes: list[psutil.Popen] = []
        command = [*_END_WITH_US, "unshare", "--net", "--uts", "sh", "-c", _BE_A_HOST, "sh", name]
        self._holder = subprocess.Popen(command, stdout=subprocess.PIPE)
        try:
            assert self._holder.stdout is not None  # noqa: S101  asked for above
            if self._holder.stdout.readline() != b"up\n":
                raise Unusable("no network namespace could be made; is this root?")
            self._join(f"to-{name}")
        except BaseException:
            self.close()
            raise

    def _join(self, cable: str) -> None:
        pid = str(self._holder.pid)
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", pid)
        _ip("link", "set", cable, "master", "hosts", "up")
        command = [*self._inside(), "sh", "-c", _CONFIGURE, "sh", self.address]
        subprocess.run(command, check=True)

    def _inside(self) -> list[str]:
        return ["nsenter", "--target", str(self._holder.pid), "--net", "--uts"]

    def start(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> psutil.Popen:
        """Start a command on this host; its process.

        Args:
            command: What to start, in the log's folder.
            log: File for what it says; lines are added.
            environment: What to add to our own environment.
        """
        words = [*self._inside(), *_END_WITH_US, *command]
        with log.open("ab") as out:
            process = psutil.Popen(
                within({"PYTHONPATH": str(REPOSITORY), **(environment or {})}, words),
                cwd=log.parent,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(process)
        return process

    def cpu_seconds(self) -> float:
        """What runs here has taken so far, user and system, what has ended included."""
        taken = 0.0
        for process in self._all():
            with suppress(psutil.NoSuchProcess):  # its parent tells of it from now on
                taken += sum(process.cpu_times()[:4])
        return taken

    def kill(self) -> None:
        """SIGKILL all that runs here, at once."""
        for process in self._all():
            process.kill()
        psutil.wait_procs(self.processes, timeout=_STOP_S)

    def close(self) -> None:
        """Stop what runs here, kindly first, and remove the host."""
        everything = self._all()
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for left in psutil.wait_procs(everything, timeout=_STOP_S)[1]:
            left.kill()
        self._holder.kill()
        self._holder.wait()
        if self._holder.stdout is not None:
            self._holder.stdout.close()

    def _all(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for process in self.processes:
            if process.poll() is None:
                found += [process, *process.children(recursive=True)]
        return found


class Network:
    """A bridge in this process's own network namespace, and the hosts on it."""

    def __init__(self) -> None:
        self._hosts: list[Host] = []

    def __enter__(self) -> Self:
        """Make the bridge, with our own address on it."""
        _ip("link", "set", "lo", "up")
        _ip("link", "add", "hosts", "type", "bridge")
        _ip("address", "add", f"{OWN_ADDRESS}/24", "dev", "hosts")
        _ip("link", "set", "hosts", "up")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the hosts, the last one first, and the bridge."""
        while self._hosts:
            self._hosts.pop().close()
        _ip("link", "delete", "hosts")

    def add(self, name: str) -> Host:
        """Add a host."""
        host = Host(name, len(self._hosts))
        self._hosts.append(host)
        return host


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
