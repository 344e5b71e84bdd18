"""Public and inference services two by two, each on a host of its own, with what they share.

    callers -> front (HAProxy of deploy/proxy) -> public1, public2
                 -> between (HAProxy of deploy/kubernetes/overlays/split) -> inference1, inference2

Limits are shared in a Redis and tasks in a Postgres, both on a host of their own; the pictures of
tasks lie in a folder that all publics have. Slots for a third pair stand in both HAProxys from the
start, and are down until it is there.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx

from models.store.home import store_folder
from scripts.measuring.processes import PREFIX, REPOSITORY, ServerFailed
from scripts.replicas.balancer import find_haproxy, observed, servers_up, with_servers
from scripts.replicas.network import SUBNET, Host, Network

PAIRS = 3
_PORT = 55433
_FRONT_PORT, _REDIS_PORT, _POSTGRES_PORT = 8080, 6379, 5432
_FRONT = REPOSITORY / "deploy/proxy/haproxy.cfg"
_BETWEEN = REPOSITORY / "deploy/kubernetes/overlays/split/haproxy.cfg"
_START_S = 180.0
_START = ("-m", "bentoml_cli._internal.start", "start-http-server", "--service-name")
_SERVICE = "service.public:BackgroundRemoval"


@dataclass(frozen=True)
class Replica:
    """One service of a pair.

    Attributes:
        host: Where it runs.
        folder: Everything it writes.
    """

    host: Host
    folder: Path

    @property
    def root(self) -> str:
        """Its address."""
        return f"http://{self.host.address}:{_PORT}"

    @property
    def url(self) -> str:
        """Where its API is."""
        return f"{self.root}{PREFIX}"

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / "log"

    def is_ready(self) -> bool:
        """Whether it says that it serves."""
        try:
            return httpx.get(f"{self.root}/readyz", timeout=5).is_success
        except httpx.HTTPError:
            return False


@dataclass
class Cluster:
    """What is running.

    Attributes:
        model: Name in the catalogue; registered already.
        settings: Of every service.
        folder: Everything that is written.
        network: Where the hosts are.
        publics: By the names that HAProxy knows them by.
        inferences: The same.
    """

    model: str
    settings: Mapping[str, str]
    folder: Path
    network: Network
    publics: dict[str, Replica] = field(default_factory=dict)
    inferences: dict[str, Replica] = field(default_factory=dict)
    _hosts: dict[str, Host] = field(default_factory=dict)
    _token: str = field(default_factory=lambda: secrets.token_hex(32))

    @property
    def url(self) -> str:
        """Where callers find it: the front."""
        return f"http://{self._hosts['front'].address}:{_FRONT_PORT}"

    @property
    def front_log(self) -> Path:
        """What the HAProxy before the publics says."""
        return self.folder / "front" / "log"

    @property
    def between_log(self) -> Path:
        """What the HAProxy before the inferences says."""
        return self.folder / "between" / "log"

    def start(self, pairs: int) -> None:
        """Start what is shared, the HAProxys and the first pairs; wait until all are ready."""
        names = ["store", "front", "between"]
        names += [f"{kind}{n + 1}" for n in range(PAIRS) for kind in ("public", "inference")]
        for name in names:
            (self.folder / name).mkdir()
            self._hosts[name] = self.network.add(name)
        self._start_store()
        self._start_balancer("front", _FRONT, "public")
        self._start_balancer("between", _BETWEEN, "inference")
        for number in range(pairs):
            self.launch(number + 1)
        self.wait_until_ready()

    def cpu_seconds(self) -> dict[str, float]:
        """What all have taken so far, user and system: publics, inferences, all the others."""
        found = {"public": 0.0, "inference": 0.0, "others": 0.0}
        for name, host in self._hosts.items():
            kind = name.rstrip("0123456789")
            found[kind if kind in found else "others"] += host.cpu_seconds()
        return found

    def launch(self, number: int) -> None:
        """Start a pair, and return at once."""
        self.inferences[f"inference{number}"] = self._start_service(f"inference{number}", [])
        between = f"http://{self._hosts['between'].address}:{_PORT}"
        depends = ["--depends", f"inference={between}"]
        self.publics[f"public{number}"] = self._start_service(f"public{number}", depends)

    def wait_until_ready(self) -> None:
        """Wait until every service that runs is ready and gets requests; see `wait_for`."""
        for replicas, balancer in ((self.inferences, "between"), (self.publics, "front")):
            running = {n for n, one in replicas.items() if one.host.processes[0].poll() is None}
            for name in running:
                wait_for(replicas[name].is_ready, name, replicas[name].log)
            door = self.folder / balancer / "door"
            wait_for(partial(_are_up, door, running), balancer, door.with_name("log"))

    def _start_service(self, name: str, depends: list[str]) -> Replica:
        host, folder = self._hosts[name], self.folder / name
        for below in ("home", "cache", "tmp"):
            (folder / below).mkdir()
        (folder / "home" / "models").symlink_to(store_folder())
        store = self._hosts["store"].address
        shared = {
            "BIREFNET_REDIS_URL": f"redis://{store}:{_REDIS_PORT}/0",
            "BIREFNET_STORAGE_URL": str(self.folder / "storage"),
            "BIREFNET_TASKS": f"postgresql://postgres@{store}:{_POSTGRES_PORT}/postgres",
        }
        environment = {
            "BENTOML_DO_NOT_TRACK": "True",
            "BENTOML_HOME": str(folder / "home"),
            "BIREFNET_CACHE_DIR": str(folder / "cache"),
            "BIREFNET_HOST": host.address,
            "BIREFNET_INFERENCE_TOKEN": self._token,
            "BIREFNET_MODEL": self.model,
            "BIREFNET_PORT": str(_PORT),
            "BIREFNET_TRUSTED_PROXIES": SUBNET,
            "TMPDIR": str(folder / "tmp"),
            **(shared if depends else {}),
            **self.settings,
        }
        kind = "background_removal" if depends else "inference"
        host.start([sys.executable, *_START, kind, *depends, _SERVICE], folder / "log", environment)
        return Replica(host, folder)

    def _start_balancer(self, name: str, configuration: Path, kind: str) -> None:
        servers = {
            f"{kind}{n + 1}": f"{self._hosts[f'{kind}{n + 1}'].address}:{_PORT}"
            for n in range(PAIRS)
        }
        file = self.folder / name / "haproxy.cfg"
        text = observed(with_servers(configuration.read_text(), servers), file.with_name("door"))
        file.write_text(text)
        self._hosts[name].start([find_haproxy(), "-db", "-f", str(file)], file.with_name("log"))
        port = _FRONT_PORT if name == "front" else _PORT
        self._wait_for_port(name, port, file.with_name("log"))

    def _start_store(self) -> None:
        host, folder = self._hosts["store"], self.folder / "store"
        listening = ["--bind", host.address, "--protected-mode", "no", "--port", str(_REDIS_PORT)]
        host.start(["redis-server", *listening, "--save", ""], folder / "redis.log")
        self._start_postgres(host, folder)
        self._wait_for_port("store", _REDIS_PORT, folder / "redis.log")
        self._wait_for_port("store", _POSTGRES_PORT, folder / "postgres" / "log")

    def _start_postgres(self, host: Host, folder: Path) -> None:
        """Postgres refuses to run as root, so it has a folder and a user of its own."""
        (binaries,) = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:] or [Path("none")]
        if not binaries.is_dir():
            raise ServerFailed("there is no Postgres here; Debian's package is called postgresql")
        user = pwd.getpwnam("postgres")
        place = folder / "postgres"
        place.mkdir()
        os.chown(place, user.pw_uid, user.pw_gid)
        as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        made = [
            str(binaries / "initdb"),
            "-D",
            str(place / "data"),
            "-U",
            "postgres",
            "-A",
            "trust",
        ]
        subprocess.run([*as_postgres, *made], check=True, cwd=place, stdout=subprocess.DEVNULL)
        with (place / "data" / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {SUBNET} trust\n")
        options = ["-c", f"listen_addresses={host.address}", "-c", "fsync=off", "-k", str(place)]
        words = [str(binaries / "postgres"), "-D", str(place / "data"), *options]
        host.start([*as_postgres, "--pdeathsig", "KILL", *words], place / "log")

    def _wait_for_port(self, name: str, port: int, log: Path) -> None:
        address = (self._hosts[name].address, port)

        def listens() -> bool:
            try:
                socket.create_connection(address, timeout=1).close()
            except OSError:
                return False
            return True

        wait_for(listens, name, log)


def _are_up(door: Path, names: set[str]) -> bool:
    return names <= servers_up(door)


@contextmanager
def cluster(
    model: str, settings: Mapping[str, str], folder: Path, pairs: int = 2
) -> Iterator[Cluster]:
    """Pairs and what they share, ready, for the length of a block.

    Args:
        model: Name in the catalogue; registered already.
        settings: More environment of every service.
        folder: For everything that is written; other users must be able to enter it.
        pairs: How many there are at first.

    Raises:
        ServerFailed: If something does not start.
    """
    if shutil.which("redis-server") is None:
        raise ServerFailed("there is no Redis here; Debian's package is called redis-server")
    with Network() as network:
        made = Cluster(model, settings, folder, network)
        made.start(pairs)
        yield made


def wait_for(
    condition: Callable[[], bool], name: str, log: Path, within_s: float = _START_S
) -> None:
    """Wait until a condition holds.

    Raises:
        ServerFailed: With the end of a log, if it takes too long.
    """
    give_up = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > give_up:
            said = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            raise ServerFailed(f"{name}: not after {within_s:g} s:\n{said}")
        time.sleep(0.1)
